//! Names of places, taken apart. Nothing is looked up or opened here.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a VM is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dest {
    /// To a directory on another host, through the user's ssh.
    Ssh(Remote),
    /// To whoever listens on a Unix socket.
    Unix(PathBuf),
    /// To whoever listens there.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A copy to stdout.
    Stdout,
    /// A copy to a file.
    File(PathBuf),
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// On a Unix socket.
    Unix(PathBuf),
    /// On a port of an address.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// The port; 0 for any that is free.
        port: u16,
    },
}

/// A directory on another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The user there, if it is not what ssh would take.
    pub user: Option<String>,
    /// The host, as ssh knows it.
    pub host: String,
    /// Its port, if it is not what ssh would take.
    pub port: Option<u16>,
    /// The directory there.
    pub path: String,
}

impl Dest {
    /// Whether there is a way back, so that the VM can be handed over.
    #[must_use]
    pub fn answers(&self) -> bool {
        !matches!(self, Self::Stdout | Self::File(_))
    }
}

/// What is wrong with the name of a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadDest {
    /// No scheme that we know.
    #[error(
        "it must be ssh://[user@]host[:port]/path, unix:PATH, tcp://HOST:PORT, or, for a copy, \
         file:PATH or -"
    )]
    Scheme,
    /// No place to listen.
    #[error("it must be unix:PATH or tcp://HOST:PORT")]
    Listen,
    /// Something is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A port that is none.
    #[error("{0:?} is not a port, 1 to 65535")]
    Port(String),
    /// A bracket without its other.
    #[error("an IPv6 address stands in brackets, as in [::1]")]
    Brackets,
    /// A word that ssh would take for an option.
    #[error("the {0} begins with '-', which ssh takes for an option")]
    Dash(&'static str),
    /// What no name has, and shells would not pass on.
    #[error("it has control characters")]
    Control,
    /// A tcp address has no path.
    #[error("nothing may stand behind the port of tcp://")]
    Path,
}

impl FromStr for Dest {
    type Err = BadDest;

    fn from_str(name: &str) -> Result<Self, BadDest> {
        if name == "-" {
            return Ok(Self::Stdout);
        }
        if let Some(path) = name.strip_prefix("file:") {
            return path_of(path).map(Self::File);
        }
        if let Some(path) = name.strip_prefix("unix:") {
            return path_of(path).map(Self::Unix);
        }
        if let Some(rest) = name.strip_prefix("tcp://") {
            let (host, port) = tcp(rest, 1)?;
            return Ok(Self::Tcp { host, port });
        }
        name.strip_prefix("ssh://").ok_or(BadDest::Scheme)?.parse().map(Self::Ssh)
    }
}

impl FromStr for Listen {
    type Err = BadDest;

    fn from_str(name: &str) -> Result<Self, BadDest> {
        if let Some(path) = name.strip_prefix("unix:") {
            return path_of(path).map(Self::Unix);
        }
        let (host, port) = tcp(name.strip_prefix("tcp://").ok_or(BadDest::Listen)?, 0)?;
        Ok(Self::Tcp { host, port })
    }
}

impl FromStr for Remote {
    type Err = BadDest;

    /// Takes what stands behind `ssh://`. `/~/` is the user's home there.
    fn from_str(rest: &str) -> Result<Self, BadDest> {
        if rest.chars().any(char::is_control) {
            return Err(BadDest::Control);
        }
        let (place, path) = rest.split_once('/').ok_or(BadDest::Missing("path"))?;
        let path = match path.strip_prefix("~/") {
            Some("") => return Err(BadDest::Missing("path")),
            // Nothing that the shell or the program there could take for more than a name.
            Some(home) => format!("./{home}"),
            None if path.is_empty() => return Err(BadDest::Missing("path")),
            None => format!("/{path}"),
        };
        let (user, place) = match place.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, place),
        };
        let (host, port) = host_and_port(place)?;
        let port = port.map(|words| port_of(words, 1)).transpose()?;
        if user.is_some_and(str::is_empty) {
            return Err(BadDest::Missing("user before the @"));
        }
        for (what, word) in [("user", user), ("host", Some(host))] {
            if word.is_some_and(|word| word.starts_with('-')) {
                return Err(BadDest::Dash(what));
            }
        }
        Ok(Self { user: user.map(str::to_owned), host: host.to_owned(), port, path })
    }
}

fn path_of(path: &str) -> Result<PathBuf, BadDest> {
    if path.is_empty() { Err(BadDest::Missing("path")) } else { Ok(path.into()) }
}

fn tcp(rest: &str, least: u16) -> Result<(String, u16), BadDest> {
    if rest.contains('/') {
        return Err(BadDest::Path);
    }
    let (host, port) = host_and_port(rest)?;
    let port = port_of(port.ok_or(BadDest::Missing("port"))?, least)?;
    Ok((host.to_owned(), port))
}

fn port_of(words: &str, least: u16) -> Result<u16, BadDest> {
    let digits = !words.is_empty() && words.bytes().all(|byte| byte.is_ascii_digit());
    let port = words.parse().ok().filter(|port| digits && *port >= least);
    port.ok_or_else(|| BadDest::Port(words.to_owned()))
}

/// The host without brackets, and what stands behind its colon.
fn host_and_port(place: &str) -> Result<(&str, Option<&str>), BadDest> {
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(BadDest::Brackets)?;
        match rest.strip_prefix(':') {
            None if rest.is_empty() => (host, None),
            None => return Err(BadDest::Brackets),
            port => (host, port),
        }
    } else {
        match place.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err(BadDest::Brackets),
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        }
    };
    if host.is_empty() { Err(BadDest::Missing("host")) } else { Ok((host, port)) }
}

/// `HOST:PORT` as it is written in a URL.
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl fmt::Display for Dest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ssh(remote) => write!(f, "ssh://{remote}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } => write!(f, "tcp://{}", authority(host, *port)),
            Self::Stdout => f.write_str("-"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.port {
            Some(port) => f.write_str(&authority(&self.host, port))?,
            None if self.host.contains(':') => write!(f, "[{}]", self.host)?,
            None => f.write_str(&self.host)?,
        }
        match self.path.strip_prefix("./") {
            Some(home) => write!(f, "/~/{home}"),
            None => f.write_str(&self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(name: &str) -> Remote {
        match name.parse().unwrap() {
            Dest::Ssh(remote) => remote,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_form_is_taken_apart_and_put_together_again() {
        for name in [
            "-",
            "file:copy.stream",
            "unix:/run/m.sock",
            "tcp://localhost:7",
            "tcp://[::1]:65535",
            "ssh://host/vm",
            "ssh://me@host:22/vm/a b",
            "ssh://me@[fe80::1%em0]:2222/~/vm",
            "ssh://[::1]/vm",
        ] {
            assert_eq!(name.parse::<Dest>().unwrap().to_string(), name);
        }
        let found = remote("ssh://a@b@[::1]:22/~/-x");
        let user = Some("a@b".to_owned());
        let path = "./-x".to_owned();
        assert_eq!(found, Remote { user, host: "::1".to_owned(), port: Some(22), path });
        assert_eq!(remote("ssh://h//x").path, "//x");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (name, wrong) in [
            ("", BadDest::Scheme),
            ("host:/vm", BadDest::Scheme),
            ("http://x/y", BadDest::Scheme),
            ("unix:", BadDest::Missing("path")),
            ("file:", BadDest::Missing("path")),
            ("tcp://host", BadDest::Missing("port")),
            ("tcp://:80", BadDest::Missing("host")),
            ("tcp://h:0", BadDest::Port("0".to_owned())),
            ("tcp://h:65536", BadDest::Port("65536".to_owned())),
            ("tcp://h:+1", BadDest::Port("+1".to_owned())),
            ("tcp://h:1/x", BadDest::Path),
            ("tcp://::1:80", BadDest::Brackets),
            ("tcp://[::1:80", BadDest::Brackets),
            ("tcp://[::1]80", BadDest::Brackets),
            ("ssh://host", BadDest::Missing("path")),
            ("ssh://host/", BadDest::Missing("path")),
            ("ssh://host/~/", BadDest::Missing("path")),
            ("ssh:///vm", BadDest::Missing("host")),
            ("ssh://@h/vm", BadDest::Missing("user before the @")),
            ("ssh://h:/vm", BadDest::Port(String::new())),
            ("ssh://-oProxyCommand=x/vm", BadDest::Dash("host")),
            ("ssh://-l@h/vm", BadDest::Dash("user")),
            ("ssh://h/a\nb", BadDest::Control),
        ] {
            assert_eq!(name.parse::<Dest>(), Err(wrong), "{name}");
        }
    }

    #[test]
    fn only_sockets_are_listened_on_and_any_port_will_do() {
        let any = Listen::Tcp { host: "::1".to_owned(), port: 0 };
        assert_eq!("tcp://[::1]:0".parse(), Ok(any));
        assert_eq!("unix:m".parse(), Ok(Listen::Unix("m".into())));
        for name in ["-", "file:x", "ssh://h/x", "m"] {
            assert_eq!(name.parse::<Listen>(), Err(BadDest::Listen));
        }
    }
}
