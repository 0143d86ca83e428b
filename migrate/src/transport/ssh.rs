//! Another host through the user's own ssh, with the keys, agents and configuration that it has.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use super::dest::Remote;
use super::{Child, Closer, Connection, Error, quoted};

/// How ssh is run, and what is to be run at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh {
    /// The program and its first arguments, with blanks between them.
    pub command: String,
    /// The path of `migrate` there.
    pub remote: String,
}

/// The command that runs `migrate WORDS...` there. A shell there takes its last argument apart.
#[must_use]
pub fn command(ssh: &Ssh, remote: &Remote, words: &[&str]) -> Command {
    let mut own = ssh.command.split_whitespace();
    let mut command = Command::new(own.next().unwrap_or("ssh"));
    command.args(own);
    if let Some(port) = remote.port {
        command.args(["-p", &port.to_string()]);
    }
    if let Some(user) = &remote.user {
        command.args(["-l", user]);
    }
    // No terminal: it would change bytes.
    command.args(["-T", "--", &remote.host]);
    let words = [ssh.remote.as_str()].into_iter().chain(words.iter().copied());
    let line: Vec<_> = words.map(quoted).collect();
    command.arg(OsString::from(line.join(" ")));
    command
}

/// Starts `migrate recv` in the directory there.
///
/// # Errors
/// If ssh cannot be run. What it says later goes to stderr.
pub fn connect(ssh: &Ssh, remote: &Remote, words: &[&str]) -> Result<Connection, Error> {
    let place = format!("ssh://{remote}");
    let mut command = command(ssh, remote, words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|error| {
        let words = format!("cannot run {name}: {error}");
        Error::system(&place)(std::io::Error::new(error.kind(), words))
    })?;
    let pipes = child.stdin.take().zip(child.stdout.take());
    let child = Child::watch(name, child).map_err(Error::system(&place))?;
    let no_pipes = || Error::system(&place)(std::io::Error::other("it was started without pipes"));
    let (output, input) = pipes.ok_or_else(no_pipes)?;
    Ok(Connection {
        input: Box::new(input),
        output: Box::new(output),
        closer: Closer::Child(child),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::time::Duration;

    use super::*;

    fn ssh(command: &str) -> Ssh {
        Ssh { command: command.to_owned(), remote: "migrate".to_owned() }
    }

    fn args(command: &Command) -> Vec<String> {
        command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn names_stay_names_all_the_way() {
        let remote: Remote = "a;b@[::1]:22/$(x) '".parse().unwrap();
        let made = command(&ssh("ssh -F my.conf"), &remote, &["recv", &remote.path]);
        assert_eq!(made.get_program(), "ssh");
        let expected = ["-F", "my.conf", "-p", "22", "-l", "a;b", "-T", "--", "::1"];
        let line = r"migrate recv '/$(x) '\'''";
        assert_eq!(args(&made), [&expected[..], &[line]].concat());
        let plain: Remote = "host/vm".parse().unwrap();
        let made = command(&ssh("ssh"), &plain, &["recv", &plain.path]);
        assert_eq!(args(&made), ["-T", "--", "host", "migrate recv /vm"]);
    }

    #[test]
    fn its_pipes_are_the_connection_and_its_end_is_told() {
        // A stand-in for ssh that says what it hears, and ends badly.
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("ssh");
        std::fs::write(&script, "cat; exit 255\n").unwrap();
        let stand_in = ssh(&format!("/bin/sh {}", script.display()));
        let connection = connect(&stand_in, &"h/d".parse().unwrap(), &["recv"]).unwrap();
        let Connection { mut input, mut output, closer } = connection;
        output.write_all(b"heard").unwrap();
        drop(output);
        let mut said = String::new();
        input.read_to_string(&mut said).unwrap();
        assert_eq!(said, "heard");
        let end = closer.close(Duration::from_secs(60)).unwrap();
        assert_eq!(end, "/bin/sh ended with exit code 255");
    }

    #[test]
    fn a_missing_ssh_is_an_error_with_its_name() {
        let error = connect(&ssh("no-such-ssh"), &"h/d".parse().unwrap(), &[]).unwrap_err();
        let words = error.to_string();
        assert!(words.starts_with("ssh://h/d: cannot run no-such-ssh: No such"), "{words}");
    }
}
