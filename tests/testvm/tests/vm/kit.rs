//! A guest that is started, asked, suspended and awaited, in this process or in one of its own.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use snapfmt::nvlist::{Builder, Nvlist};
use testvm::control::wire::{Message, receive, send};
use testvm::guest::Beat;
use testvm::machine::{Config, Machine};

/// The name of the virtual machine.
pub(crate) const NAME: &str = "guest";

/// Bytes of its memory: little, since a KVM may interpret the guest for a while, and then takes
/// seconds for a sweep over more.
pub(crate) const MEMORY: u64 = 1 << 20;

/// Bytes of the longest reply, with its bitmaps.
const REPLY: usize = 1 << 20;

/// How long anything may take: far longer than it does on any machine.
const LIMIT: Duration = Duration::from_secs(300);

/// Says why nothing can be tested here, if so.
pub(crate) fn skipped() -> bool {
    let why = testvm::kvm::available();
    if let Some(why) = &why {
        println!("skipped: there is no virtual machine here: {why}");
    }
    why.is_some()
}

/// Waits for something to become true.
pub(crate) fn wait(what: &str, mut is: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < LIMIT, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A machine in this process, whose guest runs.
pub(crate) fn machine(ncpus: u32, serial: &Path, rate: Option<u64>) -> Machine {
    let serial = Some(serial.to_owned());
    let config = Config { ncpus, memory: MEMORY, serial, rate, ..Default::default() };
    let machine = Machine::new(&config).unwrap();
    machine.boot().unwrap();
    machine.resume();
    machine
}

/// Waits until each virtual CPU has made so many sweeps more.
pub(crate) fn sweeps(machine: &Machine, more: u64) {
    for vcpu in 0..machine.ncpus() {
        let sweeps = || machine.status(vcpu).unwrap().sweeps;
        let begin = sweeps();
        wait("sweeps", || {
            assert_eq!(machine.ended(), None);
            sweeps() >= begin + more
        });
    }
}

/// Violations that the guest has found, on all virtual CPUs.
pub(crate) fn violations(machine: &Machine) -> u64 {
    (0..machine.ncpus()).map(|vcpu| machine.status(vcpu).unwrap().violations).sum()
}

/// What the guest said at a serial port.
pub(crate) fn said(serial: &Path, port: u32) -> String {
    std::fs::read_to_string(serial.join(format!("com{port}"))).unwrap_or_default()
}

/// The reports of a virtual CPU.
pub(crate) fn beats(serial: &Path, vcpu: u32) -> Vec<Beat> {
    said(serial, vcpu + 1).lines().filter_map(Beat::parse).collect()
}

/// A machine in a process of its own.
pub(crate) struct Process {
    child: Child,
    folder: PathBuf,
}

impl Process {
    /// Starts it in a folder, and waits until it listens.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut process = Self::begin(folder, arguments);
        // A socket that an earlier process left refuses.
        wait("the control socket", || {
            assert_eq!(process.child.try_wait().unwrap(), None);
            process.connect().is_ok()
        });
        process
    }

    /// Starts it in a folder.
    pub(crate) fn begin(folder: &Path, arguments: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_testvm"))
            .args(["--run-dir", "."])
            .args(["--serial", "."])
            .args(arguments)
            .arg(NAME)
            .current_dir(folder)
            .spawn()
            .unwrap();
        Self { child, folder: folder.to_owned() }
    }

    fn connect(&self) -> std::io::Result<UnixStream> {
        UnixStream::connect(self.folder.join(NAME))
    }

    /// Sends bytes that may be anything, and leaves.
    pub(crate) fn say(&self, bytes: &[u8]) {
        self.connect().unwrap().write_all(bytes).unwrap();
    }

    /// Asks it to end with its state in files.
    pub(crate) fn suspend(&self, folder: &Path, base: &str) {
        self.checkpoint(folder, base, true);
    }

    /// Sends a request, as bhyvectl does.
    pub(crate) fn ask(&self, list: Builder, descriptor: Option<BorrowedFd<'_>>) -> UnixStream {
        let stream = self.connect().unwrap();
        send(&stream, &list.build().unwrap(), descriptor).unwrap();
        stream
    }

    /// Sends a request, and waits for its reply.
    pub(crate) fn request(&self, list: Builder, folder: Option<&Path>) -> Message {
        let folder = folder.map(|folder| File::open(folder).unwrap());
        let stream = self.ask(list, folder.as_ref().map(|folder| folder.as_fd()));
        receive(&stream, REPLY).unwrap().unwrap()
    }

    /// Asks for a checkpoint into a folder.
    pub(crate) fn checkpoint(&self, folder: &Path, base: &str, suspend: bool) {
        let list = Nvlist::builder().string("cmd", "checkpoint").string("filename", base);
        let list = list.boolean("suspend", suspend).descriptor("fddir", 0);
        self.ask(list, Some(File::open(folder).unwrap().as_fd()));
    }

    /// Waits until it ends.
    pub(crate) fn ended(mut self) -> ExitStatus {
        let mut status = None;
        wait("the end of the process", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
