//! Disks: those that a VM names, and those that the host has.

use std::path::Path;

use super::{identity, mounts};
use crate::stream::message::Disk;
use crate::system::{self, Node, System};

/// A disk or an image file by its path.
pub(super) fn disk(system: &dyn System, path: &str) -> Option<Disk> {
    let real = system.real(Path::new(path)).ok()?;
    let (size, identity) = match system.node(&real).ok()? {
        Node::File(size) => (size, mounts::identity(system, &real)),
        Node::Device(major, minor) => {
            let size = device_size(system, &real, (major, minor))?;
            (size, identity::of(system, &real, (major, minor)))
        }
        Node::Other => return None,
    };
    Some(Disk { path: path.to_owned(), size, identity })
}

/// The size of a device, which its inode does not tell.
fn device_size(system: &dyn System, path: &Path, (major, minor): (u32, u32)) -> Option<u64> {
    if system.name() == "FreeBSD" {
        let text = system.ask("/usr/sbin/diskinfo", &[path.to_str()?]).ok()?;
        // Name, bytes of a sector, bytes of all, and more.
        return text.split_whitespace().nth(2)?.parse().ok();
    }
    // In units of 512 bytes, whatever a sector has.
    let text = system::text(system, &format!("/sys/dev/block/{major}:{minor}/size"))?;
    text.trim().parse::<u64>().ok()?.checked_mul(512)
}

/// The disks that the host has, but for those that live in RAM or in a file.
pub(super) fn all(system: &dyn System) -> impl Iterator<Item = Disk> {
    let names = if system.name() == "FreeBSD" {
        let names = system.ask("/sbin/sysctl", &["-n", "kern.disks"]).unwrap_or_default();
        let volumes = system.ask("/sbin/zfs", &["list", "-H", "-t", "volume", "-o", "name"]);
        let volumes = volumes.unwrap_or_default();
        let volumes = volumes.lines().map(|name| format!("zvol/{name}"));
        names.split_whitespace().map(str::to_owned).chain(volumes).collect()
    } else {
        system.list(Path::new("/sys/block")).unwrap_or_default()
    };
    let made_up = |name: &String| {
        ["loop", "ram", "zram", "md", "fd", "sr", "cd"].iter().any(|kind| {
            name.strip_prefix(kind)
                .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        })
    };
    let mut disks = Vec::new();
    for name in names.into_iter().filter(|name| !made_up(name)) {
        // A slash in a name of sysfs stands there as an exclamation mark.
        disks.extend(disk(system, &format!("/dev/{}", name.replace('!', "/"))));
    }
    disks.into_iter()
}
