//! What this host has, for a comparison with another (`spec/stream.md` §5.1).
//!
//! ```text
//!   snaptool::host ── CPU, kernel ──┐
//!   memory, room, bhyve ────────────┼──▶ Host
//!   disks: size and identity ───────┘
//! ```
//! Looks and changes nothing. What cannot be found out is left open, and may then fail. Paths that
//! a peer sends are not looked at: a host tells of disks that its own words name, and of those that
//! it has.

mod disks;
mod identity;
mod mounts;
#[cfg(test)]
mod tests;

use std::path::Path;

use snapfmt::bhyve::Config;

use crate::facts::UNSEEN;
use crate::stream::message::{Disk, Host};
use crate::system::{self, System};

/// More disks than this are not told of: the list that holds them is bounded (§12).
pub const MOST_DISKS: usize = 128;

/// This host. `keeps` is where it has, or is to have, the VM; `words` are the configuration or the
/// command that name disks.
pub fn host(system: &dyn System, keeps: &Path, words: &[&[u8]]) -> Host {
    let named = words.iter().flat_map(|words| disks_of(system, words));
    let named = named.filter(|disk| disk.size != UNSEEN);
    Host {
        facts: snaptool::host::probe(),
        bhyve: bhyve(system),
        memory: memory(system),
        room: room(system, keeps),
        disks: bounded(named.chain(disks::all(system))),
    }
}

/// The disks that a configuration or a command line of bhyve names. One that this host does not see
/// has the size [`UNSEEN`].
pub fn disks_of(system: &dyn System, words: &[u8]) -> Vec<Disk> {
    let Ok(config) = Config::parse(words) else { return Vec::new() };
    let unseen = |path: &str| Disk { path: path.to_owned(), size: UNSEEN, identity: None };
    let paths = config.disks.iter().map(|disk| disk.path.as_str());
    bounded(paths.map(|path| disks::disk(system, path).unwrap_or_else(|| unseen(path))))
}

/// Each path once, and no more than there is place for.
fn bounded(disks: impl Iterator<Item = Disk>) -> Vec<Disk> {
    let mut kept: Vec<Disk> = Vec::new();
    for disk in disks {
        if kept.len() < MOST_DISKS && !kept.iter().any(|other| other.path == disk.path) {
            kept.push(disk);
        }
    }
    kept
}

/// bhyve comes with FreeBSD and has no version but that of what is installed of it; the kernel's
/// may be another, and is a fact of its own.
fn bhyve(system: &dyn System) -> Option<String> {
    let version = system.ask("/bin/freebsd-version", &["-u"]).ok()?;
    Some(version.trim().to_owned()).filter(|version| !version.is_empty())
}

/// Bytes of RAM that can be had without taking them from a program.
fn memory(system: &dyn System) -> Option<u64> {
    if system.name() == "FreeBSD" {
        let names = ["vm.stats.vm.v_free_count", "vm.stats.vm.v_inactive_count", "hw.pagesize"];
        let text = system.ask("/sbin/sysctl", &["-n", names[0], names[1], names[2]]).ok()?;
        let numbers: Option<Vec<u64>> = text.lines().map(|line| line.trim().parse().ok()).collect();
        let [free, inactive, page] = numbers?.try_into().ok()?;
        return free.checked_add(inactive)?.checked_mul(page);
    }
    let text = system::text(system, "/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Free bytes where a path is, or will be.
fn room(system: &dyn System, path: &Path) -> Option<u64> {
    let here = Path::new(".");
    let above = path.ancestors().map(|path| if path.as_os_str().is_empty() { here } else { path });
    above.into_iter().find_map(|path| system.room(path).ok())
}
