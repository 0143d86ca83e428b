//! bhyve's control socket: a Unix stream socket with the name of the virtual machine, in the folder
//! of such sockets; one request for each connection, as a list of libnv's.
//!
//! The stock command has no answer, as with bhyve. The primitives of `spec/bhyve-primitives.md`
//! have replies, as has [`rate`](crate::pace), which is this machine's own; a server that was told
//! to be a stock one passes over all of them, as bhyve does.

mod command;
mod marks;
mod reply;
pub mod wire;

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{Shutdown, shutdown};

use crate::machine::{End, Machine};
use command::{Server, text};
use reply::{Refused, Reply};

/// Where bhyve has its sockets.
pub const RUN_DIR: &str = "/var/run/bhyve";

/// How long a client may take to say what it wants, and to hear the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of the longest request that is taken.
const LONGEST: usize = 4096;

/// The socket.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    vm: String,
    stock: bool,
}

impl Control {
    /// Listens for the virtual machine of that name; whether as a stock bhyve, without primitives.
    /// A socket that another left there is replaced.
    ///
    /// # Errors
    /// A folder that is not there, or a name that cannot be taken.
    pub fn new(folder: &Path, vm: &str, stock: bool) -> io::Result<Self> {
        let path = folder.join(vm);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        Ok(Self { listener, path, vm: vm.to_owned(), stock })
    }

    /// Does what clients ask for, one after another, until the machine ends.
    pub fn serve(&self, machine: &Machine) {
        let mut server = Server::new(machine, &self.vm);
        while machine.ended().is_none() {
            let connection = self.listener.accept();
            match connection.and_then(|(stream, _)| self.one(&stream, &mut server)) {
                Ok(true) => machine.end(End::Suspended),
                Ok(false) => {}
                Err(error) if machine.ended().is_none() => {
                    eprintln!("testvm: {}: {error}", self.path.display());
                }
                Err(_) => {}
            }
        }
    }

    /// Ends [`serve`](Self::serve), after the machine ended.
    pub fn close(&self) {
        // Waiting for clients ends with an error. The name stays, as bhyve leaves it: by now it may
        // be that of another process, in which the guest went on.
        let _ = shutdown(&self.listener, Shutdown::Both);
    }

    /// Serves one client. Says whether the machine ends with it.
    fn one(&self, stream: &UnixStream, server: &mut Server<'_>) -> io::Result<bool> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let Some(mut message) = wire::receive(stream, LONGEST)? else { return Ok(false) };
        let said = match text(&message.list, "cmd") {
            Ok(cmd) if cmd == "checkpoint" => {
                return server.checkpoint(&mut message).map_err(io::Error::other);
            }
            Ok(cmd) if self.stock => {
                let passed = Refused::new("EOPNOTSUPP", &cmd, "the command is not known");
                return Err(io::Error::other(passed));
            }
            Ok(cmd) => server.other(&cmd, &mut message),
            Err(refused) => Err(refused),
        };
        let Reply { list, descriptor, last } = said.unwrap_or_else(|refused| {
            eprintln!("testvm: {}: {refused}", self.path.display());
            refused.reply()
        });
        let list = list.string("guest", server.guest()).build().map_err(io::Error::other)?;
        let descriptor = descriptor.as_ref().map(|descriptor| descriptor.as_fd());
        let sent = wire::send(stream, &list, descriptor);
        // The guest is given up also where nobody hears that.
        if last { Ok(true) } else { sent.map(|()| false) }
    }
}
