//! What is asked of the system on which the program runs, so that a test can answer instead.
//!
//! Looks and changes nothing. What is read has a bound, and what is run ends: answers of a system
//! are small, and a program of the base system that hangs must not hang a migration.

mod here;
#[cfg(test)]
pub(crate) mod made_up;
pub mod process;

use std::io;
use std::path::{Path, PathBuf};

pub use here::Here;

/// More bytes than this are not read from a file, or from what a program says.
pub const MOST_BYTES: u64 = 1 << 20;

/// More entries than this are not read from a folder.
pub const MOST_ENTRIES: usize = 1 << 16;

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A file of so many bytes.
    File(u64),
    /// A block device, or on FreeBSD any device: major and minor number.
    Device(u32, u32),
    /// A folder, a socket and the like.
    Other,
}

/// A process of any user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// That of its parent.
    pub parent: u32,
    /// Its command line or title, word by word.
    pub words: Vec<String>,
}

/// The questions.
pub trait System {
    /// What the system is called: `FreeBSD`, `Linux`.
    fn name(&self) -> String;

    /// What a program says on stdout, or why it says nothing.
    ///
    /// # Errors
    /// In words: it is not there, it failed, or it did not end.
    fn ask(&self, program: &str, args: &[&str]) -> Result<String, String>;

    /// A file's bytes.
    ///
    /// # Errors
    /// If it cannot be read, or is larger than [`MOST_BYTES`].
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The names in a folder.
    ///
    /// # Errors
    /// If it cannot be read, or has more than [`MOST_ENTRIES`].
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// What a path leads to.
    ///
    /// # Errors
    /// If it leads to nothing.
    fn node(&self, path: &Path) -> io::Result<Node>;

    /// A path without symbolic links.
    ///
    /// # Errors
    /// If it leads to nothing.
    fn real(&self, path: &Path) -> io::Result<PathBuf>;

    /// Bytes that an unprivileged user may still write where a path is.
    ///
    /// # Errors
    /// If it leads to nothing.
    fn room(&self, path: &Path) -> io::Result<u64>;

    /// All processes that can be seen.
    ///
    /// # Errors
    /// In words.
    fn processes(&self) -> Result<Vec<Process>, String> {
        if self.name() == "Linux" {
            return linux(self);
        }
        let lines = self.ask("/bin/ps", &["-axww", "-o", "pid=,ppid=,command="])?;
        Ok(lines.lines().filter_map(process).collect())
    }
}

/// `  812     1 /usr/sbin/sshd -D`.
fn process(line: &str) -> Option<Process> {
    let mut words = line.split_whitespace();
    let pid = words.next()?.parse().ok()?;
    let parent = words.next()?.parse().ok()?;
    Some(Process { pid, parent, words: words.map(str::to_owned).collect() })
}

/// All processes out of proc(5): ps(1) is not on every Linux.
fn linux<S: System + ?Sized>(system: &S) -> Result<Vec<Process>, String> {
    let names = system.list(Path::new("/proc")).map_err(|error| format!("/proc: {error}"))?;
    let pids = names.iter().filter_map(|name| name.parse().ok());
    // Those that have ended meanwhile are not there.
    Ok(pids.filter_map(|pid| one(system, pid)).collect())
}

fn one<S: System + ?Sized>(system: &S, pid: u32) -> Option<Process> {
    let file = |name: &str| system.read(Path::new(&format!("/proc/{pid}/{name}"))).ok();
    let stat = String::from_utf8_lossy(&file("stat")?).into_owned();
    // `7 (a name) S 1 ...`, and the name may have brackets.
    let (before, after) = stat.rsplit_once(')')?;
    let parent = after.split_whitespace().nth(1)?.parse().ok()?;
    let line = String::from_utf8_lossy(&file("cmdline")?).into_owned();
    let mut words: Vec<_> = line.split_terminator('\0').map(str::to_owned).collect();
    if words.is_empty() {
        words.push(before.split_once('(')?.1.to_owned());
    }
    Some(Process { pid, parent, words })
}

/// Text that a file has, if it has text.
pub(crate) fn text(system: &dyn System, path: &str) -> Option<String> {
    String::from_utf8(system.read(Path::new(path)).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ps_is_numbers_and_words() {
        let found = process("  812     1 /usr/sbin/sshd -D").unwrap();
        assert_eq!((found.pid, found.parent), (812, 1));
        assert_eq!(found.words, ["/usr/sbin/sshd", "-D"]);
        assert_eq!(process("PID PPID COMMAND"), None);
        assert_eq!(process("7"), None);
    }

    #[test]
    fn this_process_is_seen_with_its_parent() {
        let all = Here::new().processes().unwrap();
        let own = all.iter().find(|process| process.pid == std::process::id()).unwrap();
        assert!(own.words.len() == std::env::args().len() && own.parent > 0);
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let all = Here::new().processes().unwrap();
        let found = all.iter().find(|process| process.pid == child.id()).unwrap();
        assert_eq!(found.parent, std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
