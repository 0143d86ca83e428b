//! bhyve's control socket: a Unix stream socket with the name of the virtual machine, in the folder
//! of such sockets; one request for each connection, as a list of libnv's. As with bhyve, the stock
//! command has no answer, and the connection is closed.

mod command;
mod receive;

use std::fs;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{Shutdown, shutdown};

pub use command::Command;
use receive::receive;

use crate::machine::{End, Machine};

/// Where bhyve has its sockets.
pub const RUN_DIR: &str = "/var/run/bhyve";

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// The socket.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    vm: String,
}

impl Control {
    /// Listens for the virtual machine of that name. A socket that another left there is replaced.
    ///
    /// # Errors
    /// A folder that is not there, or a name that cannot be taken.
    pub fn new(folder: &Path, vm: &str) -> io::Result<Self> {
        let path = folder.join(vm);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        Ok(Self { listener, path, vm: vm.to_owned() })
    }

    /// Does what clients ask for, one after another, until the machine was suspended.
    pub fn serve(&self, machine: &Machine) {
        while machine.ended().is_none() {
            match self.listener.accept().and_then(|(stream, _)| self.one(&stream, machine)) {
                Err(error) if machine.ended().is_none() => {
                    eprintln!("testvm: {}: {error}", self.path.display())
                }
                _ => {}
            }
        }
    }

    /// Ends [`serve`](Self::serve), after the machine ended.
    pub fn close(&self) {
        // Waiting for clients ends with an error. The name stays, as bhyve leaves it: by now it may
        // be that of another process, in which the guest went on.
        let _ = shutdown(&self.listener, Shutdown::Both);
    }

    fn one(&self, stream: &UnixStream, machine: &Machine) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let Some(message) = receive(stream)? else { return Ok(()) };
        let command = Command::read(message)?;
        match command.run(machine, &self.vm) {
            Ok(false) => Ok(()),
            Ok(true) => {
                machine.end(End::Suspended);
                Ok(())
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }
}
