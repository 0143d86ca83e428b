//! Where a new file will live: what the name means now, and the directory kept open.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, Stat, openat, statat, unlinkat};
use rustix::io::Errno;

use super::{Existing, cannot, taken};
use crate::exit::Trouble;
use crate::node::{self, Identity};
use crate::text;

/// What stands at a name.
pub(super) enum Found {
    /// Nothing, or a file that may be replaced.
    Place(Place),
    /// A pipe or a device: no new file can be made there.
    Special { shown: String, block: bool },
}

/// A directory, held open so that moving it cannot mislead us, and a name in it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: File,
    /// Only to list it; everything else goes through `dir`.
    pub(super) dir_path: PathBuf,
    pub(super) name: OsString,
    /// The whole path as the user gave it, safe for a terminal.
    pub(super) shown: String,
    /// The file that stood there at first.
    pub(super) stood: Option<Identity>,
}

pub(super) fn identity(stat: &Stat) -> Identity {
    // The fields' types differ between systems.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast, clippy::cast_sign_loss)]
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// Finds out what `path` means, and refuses early what could not work at the end.
pub(super) fn find(path: &Path, existing: Existing) -> anyhow::Result<Found> {
    let shown = text::path(path);
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() {
        return Err(Trouble::new("the name of the output is empty").into());
    }
    let names_directory = bytes.ends_with(b"/") || bytes.ends_with(b"/.") || bytes == b".";
    let data = match fs::symlink_metadata(path) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !names_directory => {
            return Ok(Found::Place(Place::new(path, shown)?));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Trouble::new(format!("{shown} names a directory"))
                .hint("name a file")
                .into());
        }
        Err(error) => return Err(cannot("look at", &shown, error).into()),
    };
    if data.is_symlink() {
        return find_behind_link(path, shown, existing);
    }
    let kind = data.file_type();
    if kind.is_dir() {
        return Err(Trouble::new(format!("{shown} is a directory"))
            .hint("name a file inside it")
            .into());
    }
    if kind.is_socket() {
        return Err(Trouble::new(format!("{shown} is a socket"))
            .hint("write to stdout with `-` and pipe that into a program that connects to it")
            .into());
    }
    if !kind.is_file() {
        return Ok(Found::Special { shown, block: kind.is_block_device() });
    }
    match existing {
        Existing::Refuse => Err(taken(&shown)),
        Existing::Replace | Existing::Force => {
            let place = Place::new(path, shown)?;
            Ok(Found::Place(Place { stood: Some(node::identity(&data)), ..place }))
        }
    }
}

/// A link to a pipe or device (`/dev/stdout`) is that; a link to a file stands for that file.
fn find_behind_link(path: &Path, shown: String, existing: Existing) -> anyhow::Result<Found> {
    let data = match fs::metadata(path) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Trouble::new(format!("{shown} is a symbolic link to nothing"))
                .hint("remove the link, or name the file that you mean")
                .into());
        }
        Err(error) => return Err(cannot("look at", &shown, error).into()),
    };
    if !data.is_file() && !data.is_dir() {
        return Ok(Found::Special { shown, block: data.file_type().is_block_device() });
    }
    if data.is_file() && existing == Existing::Refuse {
        return Err(taken(&shown));
    }
    let target = fs::canonicalize(path).map_err(|error| cannot("look at", &shown, error))?;
    find(&target, existing)
}

impl Place {
    fn new(path: &Path, shown: String) -> anyhow::Result<Self> {
        let Some(name) = path.file_name() else {
            return Err(Trouble::new(format!("{shown} names a directory"))
                .hint("name a file")
                .into());
        };
        let dir_path = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&dir_path, flags, Mode::empty()).map_err(|error| {
            let dir = text::path(&dir_path);
            match error {
                Errno::NOENT => Trouble::new(format!("the directory {dir} does not exist"))
                    .hint("create it first")
                    .into(),
                Errno::NOTDIR => Trouble::new(format!("{dir} is not a directory")).into(),
                error => cannot("open the directory", &dir, error.into()),
            }
        })?;
        Ok(Self { dir: dir.into(), dir_path, name: name.to_owned(), shown, stood: None })
    }

    /// Opens a name in the directory, never through a link and never waiting for a FIFO.
    pub(super) fn open(&self, name: &OsStr, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(openat(self.dir.as_fd(), name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Which file a name in the directory means, links not followed.
    pub(super) fn identify(&self, name: &OsStr) -> io::Result<Option<Identity>> {
        match statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(identity(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.dir, name, AtFlags::empty())?)
    }

    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.dir, from, &self.dir, to)?)
    }

    /// Gives the file at `temp` the final name. That is free, or means the file that it meant at
    /// first, which is replaced; else `AlreadyExists`.
    ///
    /// Between the look and the rename is a moment in which someone else's file could be lost.
    pub(super) fn name_over(&self, temp: &OsStr) -> io::Result<()> {
        if self.stood.is_some() && self.identify(&self.name)? == self.stood {
            return self.rename(temp, &self.name);
        }
        self.name_new(temp)
    }

    /// Gives the file at `temp` the final name, unless that is taken: then `AlreadyExists`.
    ///
    /// A hard link does that atomically everywhere. File systems without hard links (FAT, some
    /// network ones) have it done by Linux's own rename; on FreeBSD, where that is lacking, by
    /// looking first, which leaves a moment in which someone else's new file of that name could be
    /// lost.
    pub(super) fn name_new(&self, temp: &OsStr) -> io::Result<()> {
        match rustix::fs::linkat(&self.dir, temp, &self.dir, &self.name, AtFlags::empty()) {
            Ok(()) => {
                // If this fails, the owner's destructor tries again.
                let _ = self.remove(temp);
                Ok(())
            }
            // A repeated request over a network may find its own success.
            Err(Errno::EXIST) if self.is_both(temp)? => Ok(()),
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
                self.name_new_without_links(temp)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn is_both(&self, temp: &OsStr) -> io::Result<bool> {
        let ours = self.identify(temp)?;
        Ok(ours.is_some() && ours == self.identify(&self.name)?)
    }

    fn name_new_without_links(&self, temp: &OsStr) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(&self.dir, temp, &self.dir, &self.name, flags) {
                Err(Errno::INVAL | Errno::NOSYS) => {}
                result => return Ok(result?),
            }
        }
        self.look_then_name(temp)
    }

    fn look_then_name(&self, temp: &OsStr) -> io::Result<()> {
        if self.identify(&self.name)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.rename(temp, &self.name)
    }

    /// Makes the directory's names durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.dir) {
            // Some file systems have nothing to sync in a directory, and say so.
            Ok(()) | Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
            Err(error) => {
                let dir = text::path(&self.dir_path);
                Err(cannot("make durable the names in", &dir, error.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(dir: &Path) -> Place {
        Place::new(&dir.join("final"), String::from("final")).unwrap()
    }

    #[test]
    fn every_way_to_name_a_file_refuses_a_taken_name() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        let ways: [fn(&Place, &OsStr) -> io::Result<()>; 3] =
            [Place::name_new, Place::name_new_without_links, Place::look_then_name];
        for way in ways {
            fs::write(dir.path().join("temp"), "new").unwrap();
            fs::write(dir.path().join("final"), "old").unwrap();
            let error = way(&place, OsStr::new("temp")).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read_to_string(dir.path().join("final")).unwrap(), "old");

            fs::remove_file(dir.path().join("final")).unwrap();
            way(&place, OsStr::new("temp")).unwrap();
            assert_eq!(fs::read_to_string(dir.path().join("final")).unwrap(), "new");
            assert!(!dir.path().join("temp").exists());
        }
    }

    #[test]
    fn a_name_given_twice_is_given() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("temp"), "new").unwrap();
        fs::hard_link(dir.path().join("temp"), dir.path().join("final")).unwrap();
        place(dir.path()).name_new(OsStr::new("temp")).unwrap();
    }

    #[test]
    fn a_dangling_link_counts_as_taken() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("final")).unwrap();
        fs::write(dir.path().join("temp"), "new").unwrap();
        let place = place(dir.path());
        assert!(place.name_new(OsStr::new("temp")).is_err());
        assert!(place.look_then_name(OsStr::new("temp")).is_err());
    }
}
