//! Files that supervisors leave.

use std::path::Path;

use super::{Kind, Supervisor, Vm};
use crate::system::{self, System};

const RC_CONF: [&str; 2] = ["/etc/rc.conf", "/etc/rc.conf.local"];
const RC_SCRIPTS: &str = "/usr/local/etc/rc.d";

/// rc scripts that come with a package and are run for VMs that a list names.
const PACKAGED: [&str; 4] = ["vm", "cbsdd", "libvirtd", "bhyve"];

pub(super) fn find(system: &dyn System, name: &str, vm: Vm) -> Vec<Supervisor> {
    let mut found = Vec::new();
    let mut add = |kind, evidence: String| found.push(Supervisor { kind, evidence });
    let there = |path: &str| system.real(Path::new(path)).is_ok();

    let node = format!("/dev/vmm/{name}");
    if vm == Vm::Suspended && there(&node) {
        add(Kind::Vm, node);
    }
    for run in ["/var/run", "/run"] {
        let state = format!("{run}/libvirt/bhyve/{name}.xml");
        if there(&state) {
            add(Kind::Libvirt, state);
        }
    }
    let conf: Vec<(&str, String)> =
        RC_CONF.iter().filter_map(|path| Some((*path, system::text(system, path)?))).collect();
    for (path, text) in &conf {
        for (variable, value) in assignments(text) {
            let lists = ["vm_list", "bhyve_list", "bhyvevm_list"].contains(&variable);
            if lists && value.split_whitespace().any(|word| word == name) {
                let kind = if variable == "vm_list" { Kind::VmBhyve } else { Kind::Rc };
                add(kind, format!("{variable} in {path}"));
            }
        }
    }
    // The last assignment counts.
    let folder = conf.iter().flat_map(|(_, text)| assignments(text));
    let folder = folder.filter(|(variable, _)| *variable == "vm_dir").last();
    if let Some((_, folder)) = folder {
        // The mount point of a dataset is its name, unless a person says otherwise.
        let folder = folder.strip_prefix("zfs:").map_or(folder.to_owned(), |set| format!("/{set}"));
        let lock = format!("{folder}/{name}/run.lock");
        if there(&lock) {
            add(Kind::VmBhyve, lock);
        }
    }
    for script in system.list(Path::new(RC_SCRIPTS)).unwrap_or_default() {
        let path = format!("{RC_SCRIPTS}/{script}");
        if !PACKAGED.contains(&script.as_str())
            && let Some(text) = system::text(system, &path)
            && has_word(&text, "bhyve")
            && has_word(&text, name)
        {
            add(Kind::Rc, path);
        }
    }
    found
}

/// `name="value"` and `name=value`, line by line.
fn assignments(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once('=')?;
        let value = value.trim();
        let value = match value.strip_prefix(['"', '\'']) {
            Some(quoted) => quoted.split(['"', '\'']).next()?,
            None => value.split(['#', ' ', '\t']).next()?,
        };
        Some((name, value))
    })
}

/// Whether a text has a word, not as a piece of another one.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    text.split(|c: char| !part(c)).any(|found| found == word)
}
