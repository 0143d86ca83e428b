//! A bhyve without a guest: it listens as each version does, writes the three files, and can offer
//! primitives. From the description of bhyve and `bhyve-primitives.md` alone, so that the client
//! can be held against it; only lists on sockets are those of `migrate`.

mod machine;
mod stock;
mod suspend;

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use migrate::bhyve::{Presence, Process, Protocol};
use migrate::msgio::{Bounds, Deadline, recv, send};
use snapfmt::nvlist::Nvlist;

pub use self::machine::{Machine, Trouble};
pub use self::stock::Conduct;

/// The name of the VM.
pub const VM: &str = "vm";

/// Which bhyve it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// How it listens.
    pub protocol: Protocol,
    /// Whether it answers commands, as versions since 2025 do.
    pub answers: bool,
    /// Whether it has primitives.
    pub primitives: bool,
}

/// A bhyve that listens until it is dropped, or exits.
pub struct FakeBhyve {
    run_dir: tempfile::TempDir,
    machine: Arc<Mutex<Machine>>,
    version: Version,
    thread: Option<JoinHandle<()>>,
}

enum Socket {
    Stream(UnixListener),
    Datagram(UnixDatagram),
}

impl FakeBhyve {
    /// Begins to listen.
    ///
    /// # Panics
    /// If it cannot.
    #[must_use]
    pub fn start(version: Version, conduct: Conduct) -> Self {
        let run_dir = tempfile::tempdir().expect("a directory");
        let path = run_dir.path().join(VM);
        let socket = match version.protocol {
            Protocol::DatagramStruct | Protocol::DatagramList => {
                Socket::Datagram(UnixDatagram::bind(path).expect("a socket"))
            }
            Protocol::Stream | Protocol::StreamDirectory => {
                Socket::Stream(UnixListener::bind(path).expect("a socket"))
            }
        };
        let machine = Arc::new(Mutex::new(Machine::new()));
        let shared = Arc::clone(&machine);
        let thread = thread::spawn(move || {
            let mut server = Server { version, conduct, machine: shared };
            match socket {
                Socket::Stream(listener) => server.streams(&listener),
                Socket::Datagram(socket) => server.datagrams(&socket),
            }
        });
        Self { run_dir, machine, version, thread: Some(thread) }
    }

    /// The directory of its socket.
    #[must_use]
    pub fn run_dir(&self) -> &Path {
        self.run_dir.path()
    }

    /// The VM that it runs.
    ///
    /// # Panics
    /// If its thread has.
    pub fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().expect("a thread that lives")
    }

    fn path(&self) -> PathBuf {
        self.run_dir().join(VM)
    }
}

impl Process for FakeBhyve {
    fn presence(&self) -> Presence {
        if self.machine().alive { Presence::Lives } else { Presence::Gone }
    }
}

impl Drop for FakeBhyve {
    fn drop(&mut self) {
        if let Ok(mut machine) = self.machine.lock() {
            machine.alive = false;
        }
        // It looks whether it lives after every message.
        if self.version.protocol.socket() == rustix::net::SocketType::STREAM {
            drop(UnixStream::connect(self.path()));
        } else if let Ok(socket) = UnixDatagram::unbound() {
            let _ = socket.send_to(b"", self.path());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Server {
    version: Version,
    conduct: Conduct,
    machine: Arc<Mutex<Machine>>,
}

/// What is to be said after a message.
enum Said {
    Nothing,
    Answer(Nvlist),
    /// With the memory of the guest.
    Memory(Nvlist),
    Raw(Vec<u8>),
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

impl Server {
    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().expect("a thread that lives")
    }

    fn streams(&mut self, listener: &UnixListener) {
        while let Ok((stream, _)) = listener.accept() {
            if !self.machine().alive {
                return;
            }
            let said = self.serve(&stream);
            let ram = self.machine().ram();
            // Whoever asked may not listen any more.
            let _ = match said {
                Said::Nothing => Ok(()),
                Said::Answer(list) => send(&stream, &list, &[], soon()),
                Said::Memory(list) => send(&stream, &list, &[ram.as_fd()], soon()),
                Said::Raw(bytes) => {
                    let _ = io::Write::write_all(&mut &stream, &bytes);
                    Ok(())
                }
            };
            if !self.machine().alive {
                return;
            }
        }
    }

    fn serve(&mut self, stream: &UnixStream) -> Said {
        let Ok(mut message) = recv(stream, Bounds::default(), soon()) else {
            return Said::Nothing;
        };
        let list = message.list().clone();
        let directory = message.take("fddir");
        let directory = directory.as_ref().map(AsFd::as_fd);
        self.machine().requests.push(list.clone());
        self.command(&list, directory)
    }

    fn command(&mut self, list: &Nvlist, directory: Option<BorrowedFd<'_>>) -> Said {
        let cmd = machine::text(list, "cmd").unwrap_or_default();
        if self.version.primitives && cmd != "checkpoint" {
            return self.machine().primitive(&cmd, list, directory);
        }
        let error = if cmd == "checkpoint" {
            stock::checkpoint(self.version.protocol, &self.conduct, list, directory, &self.machine)
        } else {
            Err(format!("command '{cmd}' not found"))
        };
        if !self.version.answers || !self.machine().alive {
            return Said::Nothing;
        }
        let answer = match (error, &self.conduct) {
            // It forgets that it could not create a file.
            (Err(_), Conduct::Forgets) | (Ok(()), _) => Nvlist::builder(),
            (Err(error), _) => Nvlist::builder().string("error", error),
        };
        Said::Answer(answer.build().expect("a list"))
    }

    fn datagrams(&mut self, socket: &UnixDatagram) {
        loop {
            let list = if self.version.protocol == Protocol::DatagramStruct {
                let mut op = [0; 104];
                match socket.recv(&mut op) {
                    Ok(104) => stock::from_struct(&op),
                    _ => None,
                }
            } else {
                recv(socket, Bounds::default(), Deadline::NEVER).ok().map(|m| m.into_list())
            };
            if !self.machine().alive {
                return;
            }
            if let Some(list) = list {
                self.machine().requests.push(list.clone());
                let (protocol, conduct) = (self.version.protocol, &self.conduct);
                let _ = stock::checkpoint(protocol, conduct, &list, None, &self.machine);
            }
            if !self.machine().alive {
                return;
            }
        }
    }
}

/// Writes a file below a directory that must not have it.
fn create(directory: Option<BorrowedFd<'_>>, name: &str, bytes: &[u8]) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags};
    let Some(directory) = directory else { return fs::write(name, bytes) };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
    let file = rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o700))?;
    io::Write::write_all(&mut fs::File::from(file), bytes)
}
