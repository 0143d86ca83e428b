//! Regular files in a directory of ours, by their own names: what is a symbolic link, a FIFO or a
//! device there was not put there by this program, and is not followed, waited for or written.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens `path` as `options` say.
///
/// # Errors
/// If that is not possible, or it is no regular file.
pub(crate) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let flags = i32::try_from(flags).map_err(io::Error::other)?;
    if look(path)?.is_some_and(|data| !data.is_file()) {
        return Err(irregular());
    }
    let file = options.custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(irregular()) }
}

/// Opens `path` to be read.
///
/// # Errors
/// As [`open`].
pub(crate) fn read(path: &Path) -> io::Result<File> {
    open(File::options().read(true), path)
}

/// What has this name, a symbolic link to nowhere too; nothing if there is none.
///
/// # Errors
/// If that cannot be found out.
pub(crate) fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(data) => Ok(Some(data)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the names in the directory of `path` durable.
///
/// # Errors
/// If they may not be.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    // Of `a/.` or `a/..` too: the directory that has its name.
    let path = fs::canonicalize(path)?;
    File::open(path.parent().unwrap_or(&path))?.sync_all()
}

fn irregular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_a_regular_file_by_its_own_name_is_opened() {
        let dir = std::env::temp_dir().join(format!("regular-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let name = |name: &str| dir.join(name);
        fs::write(name("file"), "x").unwrap();
        symlink(name("file"), name("link")).unwrap();
        symlink(name("nothing"), name("nowhere")).unwrap();
        assert!(read(&name("file")).is_ok());
        assert_eq!(read(&name("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        for other in ["link", "nowhere", "."] {
            let mut options = File::options();
            let opened = open(options.write(true).create(true).truncate(true), &name(other));
            assert_eq!(opened.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{other}");
            assert!(look(&name(other)).unwrap().is_some(), "{other}");
        }
        assert!(
            look(&name("none")).unwrap().is_none() && look(&name("nothing")).unwrap().is_none()
        );
        assert_eq!(fs::read(name("file")).unwrap(), b"x");
        fs::remove_dir_all(&dir).unwrap();
    }
}
