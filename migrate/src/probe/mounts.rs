//! Files that more than one host may see, since a server exports them.

use std::path::{Path, PathBuf};

use crate::system::{self, System};

/// File systems whose source names a server.
const SHARED: [&str; 8] =
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "fuse.glusterfs", "fuse.sshfs"];

/// A file system and where it is.
struct Mount {
    place: PathBuf,
    kind: String,
    source: String,
}

/// The server's name for a file, if a server has it.
pub(super) fn identity(system: &dyn System, file: &Path) -> Option<String> {
    let mounts = if system.name() == "FreeBSD" {
        let text = system.ask("/sbin/mount", &["-p"]).ok()?;
        text.lines().filter_map(freebsd).collect::<Vec<_>>()
    } else {
        let text = system::text(system, "/proc/self/mountinfo")?;
        text.lines().filter_map(linux).collect()
    };
    // The last of those that lie over each other is seen.
    let around = mounts.iter().filter(|mount| file.starts_with(&mount.place));
    let mount = around.max_by_key(|mount| mount.place.components().count())?;
    let below = file.strip_prefix(&mount.place).ok()?.to_str()?;
    let shared = SHARED.contains(&mount.kind.as_str());
    shared.then(|| format!("file:{}/{below}", mount.source.trim_end_matches('/')))
}

/// `server:/vm  /mnt  nfs  rw  0 0`, as fstab(5) has it.
fn freebsd(line: &str) -> Option<Mount> {
    let mut words = line.split_whitespace().map(unescaped);
    let (source, place, kind) = (words.next()?, words.next()?, words.next()?);
    Some(Mount { place: place.into(), kind, source })
}

/// `36 35 0:32 / /mnt rw shared:1 - nfs server:/vm rw`: see proc(5). What is mounted may be less
/// than all of the source.
fn linux(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3).map(unescaped);
    let (root, place) = (before.next()?, before.next()?);
    let mut after = after.split(' ').map(unescaped);
    let (kind, source) = (after.next()?, after.next()?);
    let source = format!("{}{}", source.trim_end_matches('/'), root.trim_end_matches('/'));
    Some(Mount { place: place.into(), kind, source })
}

/// Blanks and the like stand there as `\040`.
fn unescaped(word: &str) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let byte = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let Some(byte) = byte.filter(u8::is_ascii) else {
            out.push('\\');
            rest = after;
            continue;
        };
        out.push(char::from(byte));
        rest = after.get(3..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}
