//! What several commands take.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use snapfmt::part::codec::Compression;
use snaptool::cmd::Method;
use snaptool::pipeline;

use crate::transport::{self, Connection, Dest, Ssh};

/// How a peer is reached, and how long is waited for it.
#[derive(Clone, Debug, clap::Args)]
pub struct Reach {
    /// Give up when nothing has come for this long, as `30`, `500ms` or `5m`.
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub timeout: Span,
    /// Let TCP leave this machine. Nothing encrypts it, and anybody may answer or come.
    #[arg(long)]
    pub insecure: bool,
}

/// How the other side of ssh:// is reached.
#[derive(Clone, Debug, clap::Args)]
pub struct Through {
    /// The program that takes the place of ssh, with its first arguments.
    #[arg(long, value_name = "COMMAND", default_value = "ssh")]
    pub ssh: String,
    /// Where `migrate` is at the other side of ssh.
    #[arg(long, value_name = "PATH", default_value = "migrate")]
    pub remote_command: String,
}

impl Through {
    /// For `transport`.
    #[must_use]
    pub fn ssh(&self) -> Ssh {
        Ssh { command: self.ssh.clone(), remote: self.remote_command.clone() }
    }
}

/// Connects to what answers; over ssh, `words` are run there.
///
/// # Errors
/// What keeps it from an answer; a copy has none.
pub fn connect(
    dest: &Dest,
    reach: &Reach,
    through: &Through,
    words: &[&str],
) -> anyhow::Result<Connection> {
    let patience = reach.timeout.0;
    Ok(match dest {
        Dest::Ssh(remote) => transport::over_ssh(&through.ssh(), remote, words)?,
        Dest::Unix(path) => transport::over_unix(path, patience)?,
        Dest::Tcp { host, port } => transport::over_tcp(host, *port, reach.insecure, patience)?,
        Dest::Stdout | Dest::File(_) => anyhow::bail!("{dest} gives no answers"),
    })
}

/// How parts are made.
#[derive(Clone, Debug, clap::Args)]
pub struct Making {
    /// How to store pages and records: `none`, `zstd` or `zstd:LEVEL` (-7 to 19). Unless it is
    /// given, `none` where the connection is local, and `zstd:1` elsewhere.
    #[arg(long, value_name = "METHOD", allow_hyphen_values = true)]
    compress: Option<Method>,
    #[command(flatten)]
    threads: pipeline::Threads,
}

impl Making {
    /// How many threads.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.count()
    }

    /// The method for this connection, and why.
    #[must_use]
    pub fn compression(&self, dest: &Dest) -> (Compression, &'static str) {
        match (&self.compress, dest) {
            (Some(method), _) => (method.compression(), "as asked for"),
            (None, Dest::Unix(_)) => (Compression::None, "a Unix socket is faster than zstd"),
            (None, Dest::Tcp { host, .. }) if is_here(host) => {
                (Compression::None, "TCP on this machine is faster than zstd")
            }
            (None, Dest::Ssh(_)) => (Compression::Zstd(1), "ssh carries less than zstd makes"),
            (None, Dest::Tcp { .. }) => {
                (Compression::Zstd(1), "most networks carry less than zstd makes")
            }
            (None, Dest::File(_) | Dest::Stdout) => {
                (Compression::Zstd(1), "a copy is read and stored once more")
            }
        }
    }
}

/// Whether a name leads nowhere else, as far as a name can tell.
fn is_here(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(words: &str) -> Result<Self, String> {
        let digits = words.find(|c: char| !c.is_ascii_digit()).unwrap_or(words.len());
        let (number, unit) = words.split_at(digits);
        let unit = match unit {
            "ms" => 1,
            "" | "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => 0,
        };
        let time = number.parse().ok().and_then(|number: u64| number.checked_mul(unit));
        match time.filter(|time| (1..=100 * 24 * 3_600_000).contains(time)) {
            Some(time) => Ok(Self(Duration::from_millis(time))),
            None => Err("it is a number with ms, s, m or h, as 30s".to_owned()),
        }
    }
}

/// What the tests of the program put between it and a disk.
#[derive(Clone)]
pub struct Means {
    /// Where a journal is kept, given its file.
    pub storage: Arc<dyn Fn(crate::journal::File) -> Box<dyn crate::journal::Storage + Send>>,
}

impl Default for Means {
    fn default() -> Self {
        Self { storage: Arc::new(|file| Box::new(file)) }
    }
}

impl std::fmt::Debug for Means {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Means").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units_and_an_end() {
        let span = |words: &str| words.parse::<Span>().map(|span| span.0.as_millis());
        assert_eq!(span("30"), Ok(30_000));
        assert_eq!(span("250ms"), Ok(250));
        assert_eq!(span("2m"), Ok(120_000));
        assert_eq!(span("1h"), Ok(3_600_000));
        for words in ["", "0", "0s", "s", "-1s", "1d", "1.5s", "99999999999999999999", "9999h"] {
            assert!(span(words).is_err(), "{words}");
        }
    }

    #[test]
    fn what_is_faster_than_zstd_is_not_compressed_unless_asked() {
        let making = Making { compress: None, threads: pipeline::Threads::default() };
        let of = |dest: &str| making.compression(&dest.parse().unwrap()).0;
        assert_eq!(of("unix:/s"), Compression::None);
        assert_eq!(of("tcp://127.0.0.1:1"), Compression::None);
        assert_eq!(of("tcp://[::1]:1"), Compression::None);
        assert_eq!(of("tcp://192.0.2.1:1"), Compression::Zstd(1));
        assert_eq!(of("ssh://h/d"), Compression::Zstd(1));
        assert_eq!(of("-"), Compression::Zstd(1));
        let making = Making { compress: Some("none".parse().unwrap()), ..making };
        assert_eq!(making.compression(&"-".parse().unwrap()).0, Compression::None);
    }
}
