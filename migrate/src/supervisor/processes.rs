//! Processes that wait for the end of a VM's process.

use super::{Kind, Supervisor};
use crate::system::Process;

/// Programs that start their children again.
const SERVICES: [&str; 7] =
    ["runsv", "s6-supervise", "supervise", "supervisord", "monit", "perpd", "nosh"];

const SHELLS: [&str; 8] = ["sh", "bash", "zsh", "ksh", "csh", "tcsh", "dash", "fish"];

/// What processes of a VM of this name show.
pub(super) fn find(all: &[Process], name: &str) -> Vec<Supervisor> {
    let own = all.iter().filter_map(|process| Some((by_its_words(&process.words, name)?, process)));
    let mut found: Vec<_> = own.collect();
    for vm in all.iter().filter(|process| is_vm(&process.words, name)) {
        // nice(1), lockf(1) and env(1) may stand between.
        let mut below = vm;
        for _ in 0..8 {
            let Some(parent) = all.iter().find(|process| process.pid == below.parent) else {
                break;
            };
            if let Some(kind) = by_being_parent(&parent.words) {
                let named = found.iter().any(|(_, process)| process.pid == parent.pid);
                if !named {
                    found.push((kind, parent));
                }
                break;
            }
            below = parent;
        }
    }
    let shown = |process: &Process| format!("process {}: {}", process.pid, process.words.join(" "));
    let found = found.into_iter();
    found.map(|(kind, process)| Supervisor { kind, evidence: shown(process) }).collect()
}

/// The last component of a path. A shell that a person logged in to has a `-` before it.
fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or_default()
}

/// A supervisor that says in its words which VM it is for.
fn by_its_words(words: &[String], name: &str) -> Option<Kind> {
    let of_name = |word: &String| word == name;
    let mut pairs = words.iter().zip(words.iter().skip(1));
    if pairs.any(|(vm, run)| base(vm) == "vm" && run == "_run") && words.iter().any(of_name) {
        return Some(Kind::VmBhyve);
    }
    let runs = |script: &str| words.iter().take(3).any(|word| base(word) == script);
    let folder = format!("/jails-system/{name}/");
    if runs("bhyverun.sh") && words.iter().any(|word| word.contains(&folder)) {
        return Some(Kind::Cbsd);
    }
    (runs("vmrun.sh") && words.last().is_some_and(of_name)).then_some(Kind::Vmrun)
}

/// A process of the VM: `bhyve … NAME`, or under its title, `bhyve: NAME`.
fn is_vm(words: &[String], name: &str) -> bool {
    let mut rest = words.iter();
    match rest.next().map(|word| base(word)) {
        Some("bhyve") => rest.next_back().is_some_and(|word| word == name),
        Some("bhyve:") => rest.next().is_some_and(|word| word == name),
        _ => false,
    }
}

/// What a parent of a VM's process does when that ends, if it is known to do, or may do, something.
fn by_being_parent(words: &[String]) -> Option<Kind> {
    let program = base(words.first()?).trim_end_matches(':');
    if SERVICES.contains(&program) {
        return Some(Kind::Services);
    }
    if program == "daemon" {
        // Its title has no options: it may have been told to start again.
        let titled = words.first().is_some_and(|word| word.ends_with(':'));
        return (titled || daemon_restarts(words)).then_some(Kind::Daemon);
    }
    // A shell with nothing to run is a person's, and does nothing by itself.
    let script = SHELLS.contains(&program) && words.iter().skip(1).any(|word| word != "-i");
    script.then_some(Kind::Script)
}

/// Whether daemon(8) was told to start its command again. Options end where the command begins.
fn daemon_restarts(words: &[String]) -> bool {
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            return false;
        };
        if let Some(long) = letters.strip_prefix('-') {
            if long.starts_with("restart") {
                return true;
            }
            continue;
        }
        for (at, letter) in letters.char_indices() {
            if matches!(letter, 'r' | 'R') {
                return true;
            }
            // These take an argument: the rest of the word, or the next one.
            if "CLmlopPsTtu".contains(letter) {
                if at + 1 == letters.len() {
                    words.next();
                }
                break;
            }
        }
    }
    false
}
