//! The system that the program runs on.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{major, minor, statvfs};

use super::process::{Log, Processes, Real, wait};
use super::{MOST_BYTES, MOST_ENTRIES, Node, System};

/// A program of the base system that takes longer does not end.
const PATIENCE: Duration = Duration::from_secs(20);

/// This system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Here;

impl Here {
    /// This system.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl System for Here {
    fn name(&self) -> String {
        rustix::system::uname().sysname().to_string_lossy().into_owned()
    }

    fn ask(&self, program: &str, args: &[&str]) -> Result<String, String> {
        let said = |error: io::Error| format!("{program}: {error}");
        // A file, and no pipe: what is not read must not keep the program from its end.
        let mut out = tempfile::tempfile().map_err(said)?;
        let mut command = Command::new(program);
        command.args(args).env_clear().env("PATH", "/sbin:/bin:/usr/sbin:/usr/bin");
        command.env("LC_ALL", "C").stdin(Stdio::null()).stderr(Stdio::null());
        command.stdout(out.try_clone().map_err(said)?);
        let mut child = Real.start(command, Log::Given).map_err(said)?;
        let ended = wait(child.as_mut(), &Real, PATIENCE).map_err(said)?;
        match ended {
            None => {
                child.kill().map_err(said)?;
                Err(format!("{program}: it did not end"))
            }
            Some(ended) if ended.code == Some(0) => {
                let mut text = String::new();
                out.rewind().map_err(said)?;
                out.take(MOST_BYTES).read_to_string(&mut text).map_err(said)?;
                Ok(text)
            }
            Some(ended) => Err(format!("{program}: {ended}")),
        }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        let too_long = bytes.len() as u64 > MOST_BYTES;
        if too_long { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            if names.len() == MOST_ENTRIES {
                return Err(io::Error::other("too many entries"));
            }
            // Nothing that is looked for has a name that is not text.
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        let found = fs::metadata(path)?;
        let kind = found.file_type();
        let device = kind.is_block_device() || cfg!(target_os = "freebsd") && kind.is_char_device();
        Ok(if kind.is_file() {
            Node::File(found.len())
        } else if device {
            Node::Device(major(found.rdev()), minor(found.rdev()))
        } else {
            Node::Other
        })
    }

    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn room(&self, path: &Path) -> io::Result<u64> {
        let found = statvfs(path)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}
