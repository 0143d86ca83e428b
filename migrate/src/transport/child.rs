//! A program that carries the stream, from its start to its last word.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{self, ExitStatus};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// A program that was started, and will be waited for.
#[derive(Debug)]
pub struct Child {
    name: String,
    child: process::Child,
    /// Says once that it has ended. It stays a zombie until it is asked how, so that nobody else
    /// can have its number when it is killed.
    ended: Receiver<()>,
}

impl Child {
    /// Watches a program that was just started under a name.
    ///
    /// # Errors
    /// If there can be no thread for that; the program is killed then.
    pub fn watch(name: String, mut child: process::Child) -> io::Result<Self> {
        let (tell, ended) = sync_channel(1);
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let watcher = thread::Builder::new().name("wait".to_owned()).spawn(move || {
            let ends = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while pid.is_some_and(|pid| matches!(waitid(WaitId::Pid(pid), ends), Err(Errno::INTR)))
            {
            }
            // It may not be asked for any more.
            let _ = tell.send(());
        });
        if let Err(error) = watcher {
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
        Ok(Self { name, child, ended })
    }

    /// Waits until it has ended, and kills it if that takes longer than `patience`. Says how it
    /// ended, if it did not end well.
    #[must_use]
    pub fn finish(mut self, patience: Duration) -> Option<String> {
        let name = std::mem::take(&mut self.name);
        if self.ended.recv_timeout(patience).is_err() {
            // Only one that has ended cannot be killed.
            let _ = self.child.kill();
            let _ = self.child.wait();
            return Some(format!("{name} did not end within {patience:?} and was killed"));
        }
        match self.child.wait() {
            Ok(status) if status.success() => None,
            Ok(status) => Some(format!("{name} {}", words(status))),
            Err(error) => Some(format!("{name}: {error}")),
        }
    }
}

impl Drop for Child {
    /// None is left behind, whatever happens. Harmless for one that was waited for.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn finish(script: &str, patience: Duration) -> Option<String> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let said = Child::watch("sh".to_owned(), child).unwrap().finish(patience);
        drop(stdin);
        said
    }

    #[test]
    fn how_it_ended_is_said_unless_it_ended_well() {
        let minute = Duration::from_secs(60);
        assert_eq!(finish("exit 0", minute), None);
        assert_eq!(finish("exit 255", minute).unwrap(), "sh ended with exit code 255");
        assert_eq!(finish("kill -9 $$", minute).unwrap(), "sh was killed by signal 9");
    }

    #[test]
    fn one_that_does_not_end_is_killed() {
        let said = finish("read never", Duration::ZERO).unwrap();
        assert_eq!(said, "sh did not end within 0ns and was killed");
    }
}
