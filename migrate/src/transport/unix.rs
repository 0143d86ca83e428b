//! Unix sockets.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::umask;

use super::{Connection, Error, within};

/// Connects to whoever listens at `path`.
///
/// # Errors
/// If nobody does, or does not take the connection in time.
pub fn connect(path: &Path, patience: Duration) -> Result<Connection, Error> {
    let place = format!("unix:{}", path.display());
    let path = path.to_owned();
    within(patience, &place, move || Connection::unix(UnixStream::connect(path)?))
}

/// A socket that is listened on. Its name goes with it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: a name that means something else by now stays.
    made: (u64, u64),
}

impl Socket {
    /// The socket.
    #[must_use]
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.made) {
            // Nobody can be told.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens at `path`, where only this user may connect. A socket that nobody listens on any more is
/// replaced.
///
/// Call it before there are threads: for a moment it changes the mask that all of them share.
///
/// # Errors
/// If the name is taken, or no socket can be made there.
pub fn listen(path: &Path) -> Result<Socket, Error> {
    let place = format!("unix:{}", path.display());
    let listener = match bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if !is_left_over(path) {
                return Err(Error::Taken(place));
            }
            fs::remove_file(path).and_then(|()| bind(path))
        }
        bound => bound,
    };
    let listener = listener.map_err(Error::system(&place))?;
    let made = identity(path).map_err(Error::system(&place))?;
    Ok(Socket { listener, path: path.to_owned(), made })
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    let before = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
    let bound = UnixListener::bind(path);
    umask(before);
    bound
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let data = fs::symlink_metadata(path)?;
    Ok((data.dev(), data.ino()))
}

/// Whether it is a socket that refuses every connection: whoever listened has died.
fn is_left_over(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket())
        && UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_socket_left_over_is_replaced_and_one_in_use_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        let socket = listen(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(listen(&path), Err(Error::Taken(_))));
        connect(&path, MINUTE).unwrap();
        drop(socket);
        assert!(!path.exists());
        let error = connect(&path, MINUTE).unwrap_err().to_string();
        assert!(error.starts_with("unix:") && error.contains("No such file"), "{error}");
    }

    #[test]
    fn a_file_is_not_taken_for_a_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        fs::write(&path, "kept").unwrap();
        assert!(matches!(listen(&path), Err(Error::Taken(_))));
        assert_eq!(fs::read(&path).unwrap(), b"kept");
    }

    #[test]
    fn a_name_that_means_another_socket_by_now_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let socket = listen(&path).unwrap();
        fs::rename(&path, dir.path().join("t")).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        drop(socket);
        assert!(path.exists());
        drop(other);
    }
}
