//! What tells that two hosts see the same disk.
//!
//! Device numbers and names are a host's own. What a disk says of itself is not: its world wide
//! name, or the serial number of a LUN, which iSCSI and Fibre Channel give to every host alike.
//!
//! | identity | where from |
//! |---|---|
//! | `ident:…` | FreeBSD: diskinfo(8) -s, which is GEOM::ident |
//! | `wwid:…` | Linux: what SCSI and NVMe disks say, in sysfs |
//! | `serial:…` | Linux: the serial number of a virtio disk, in sysfs |
//! | `dm:…` | Linux: UUID of a device mapper's volume, which LVM keeps on the disks |
//! | `id:…` | Linux: a name in /dev/disk/by-id, where nothing else is |
//! | `file:…` | a file of a file system that a server exports: the server's name for it |
//!
//! Of a partition its number is added. Volumes of ZFS and files of local file systems have none:
//! they belong to one host, and a replica is not known to be one.

use std::path::{Path, PathBuf};

use crate::system::{self, System};

/// Longer ones are not believed.
const MOST: usize = 256;

/// The identity of a device.
pub(super) fn of(system: &dyn System, path: &Path, number: (u32, u32)) -> Option<String> {
    let found = if system.name() == "FreeBSD" {
        word("ident", &system.ask("/usr/sbin/diskinfo", &["-s", path.to_str()?]).ok()?)
    } else {
        linux(system, path, number)
    };
    found.filter(|identity| identity.len() <= MOST)
}

/// An identity of a kind, if there is a value at all. Disks fill names up with blanks.
fn word(kind: &str, value: &str) -> Option<String> {
    let words: Vec<_> = value.split_whitespace().collect();
    let value = words.join(" ");
    let bad = value.is_empty() || value.chars().any(char::is_control);
    (!bad).then(|| format!("{kind}:{value}"))
}

fn linux(system: &dyn System, path: &Path, (major, minor): (u32, u32)) -> Option<String> {
    let folder = format!("/sys/dev/block/{major}:{minor}");
    let read = |below: &str| system::text(system, &format!("{folder}/{below}"));
    if let Some(partition) = read("partition") {
        // It lies in the folder of its disk.
        let disk = read("../dev")?;
        let (major, minor) = disk.trim().split_once(':')?;
        let disk = linux(system, path, (major.parse().ok()?, minor.parse().ok()?))?;
        return Some(format!("{disk}, partition {}", partition.trim()));
    }
    let kinds = [
        ("wwid", "wwid"),
        ("wwid", "device/wwid"),
        ("serial", "serial"),
        ("serial", "device/serial"),
        ("dm", "dm/uuid"),
    ];
    kinds
        .iter()
        .find_map(|(kind, file)| word(kind, &read(file)?))
        .or_else(|| word("id", &by_id(system, path)?))
}

/// The first name by which udev knows a device.
fn by_id(system: &dyn System, device: &Path) -> Option<String> {
    let folder = PathBuf::from("/dev/disk/by-id");
    let mut names = system.list(&folder).ok()?.into_iter();
    names.find(|name| system.real(&folder.join(name)).is_ok_and(|real| real == device))
}
