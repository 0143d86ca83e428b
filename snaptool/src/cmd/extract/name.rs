//! Names under which bhyve resumes nothing: it takes NAME, NAME.kern and NAME.meta.

use std::path::{Path, PathBuf};

use snapfmt::bhyve::set::Files;

use super::what::What;

/// The name of a part beside its snapshot. What is no letter, digit, point, `_` or `-` in the
/// part's name becomes `-`.
pub(super) fn beside(input: &Path, part: &What, ending: &str) -> PathBuf {
    let part = part.to_string();
    let plain = part.chars().map(|c| {
        let keep = c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if keep { c } else { '-' }
    });
    let mut name = input.as_os_str().to_owned();
    name.push(format!(".{}.{ending}", plain.collect::<String>()));
    name.into()
}

/// Why bhyve could take the name for one of a snapshot.
pub(super) fn restorable(path: &Path) -> Option<&'static str> {
    if path.extension().is_some_and(|ending| ending == "kern" || ending == "meta") {
        return Some("is the name of a file that bhyve would resume from");
    }
    let files = Files::of(path);
    let there = |path: &PathBuf| path.symlink_metadata().is_ok();
    (there(&files.kern) || there(&files.meta))
        .then_some("would be the RAM file of the .kern or .meta beside it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_lies_beside_its_snapshot_under_a_plain_name() {
        let name = |part: &str| beside(Path::new("/a/vm.snap"), &part.parse().unwrap(), "raw");
        assert_eq!(name("kern_structs/vm"), Path::new("/a/vm.snap.kern_structs-vm.raw"));
        let net = name("devices/virtio-net@pci.0.2.0");
        assert_eq!(net, Path::new("/a/vm.snap.devices-virtio-net-pci.0.2.0.raw"));
        assert_eq!(name("devices/../x"), Path::new("/a/vm.snap.devices-..-x.raw"));
        assert!(restorable(&name("meta")).is_none());
    }

    #[test]
    fn names_of_bhyve_are_known() {
        assert!(restorable(Path::new("/none/vm.ckp.kern")).is_some());
        assert!(restorable(Path::new("/none/vm.meta")).is_some());
        assert!(restorable(Path::new("/none/vm.ckp")).is_none());
    }
}
