//! The command that starts the VM, as the command line says it.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use snaptool::exit::Trouble;
use tracing::{info, warn};

use super::options::Span;
use crate::driver::Starter;
use crate::handover::Guest;
use crate::regular;
use crate::run::{Contract, Plan, Ready, Script, start};
use crate::system::process::{Log, Real};

/// A command that is none of bhyve's own is at work for so long when its guest runs.
const LIVES: Duration = Duration::from_secs(5);

/// How the VM is started.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Start {
    /// Run this once the VM is this side's; `{}` is the path of its RAM, which needs no quotes.
    #[arg(long, value_name = "COMMAND")]
    run: Option<String>,
    /// What shows that the guest runs: `socket:PATH`, `command:COMMAND`, or `lives:TIME`, that
    /// COMMAND is at work for so long, which a load that takes longer would pass for. Without it:
    /// the control socket of the last word of COMMAND, if its first is bhyve; else lives:5s.
    #[arg(long, value_name = "WHAT", requires = "run")]
    ready: Option<ReadyWhen>,
    /// Exit codes of COMMAND that mean that the guest never ran, as 65 of bhyve -r. Only with these
    /// is the VM given back by itself.
    #[arg(long, value_name = "CODE", value_delimiter = ',', requires = "run")]
    never_ran: Vec<i32>,
    /// How long COMMAND may take until the guest runs.
    #[arg(long, value_name = "TIME", default_value = "10m", requires = "run")]
    start_timeout: Span,
}

impl Start {
    /// Whether there is one.
    #[must_use]
    pub(super) fn is_given(&self) -> bool {
        self.run.is_some()
    }

    /// The words of the command, which name the VM's disks here.
    #[must_use]
    pub(super) fn words(&self) -> Option<&str> {
        self.run.as_deref()
    }

    /// What starts the VM from `ram`; what the command says goes to `log`.
    ///
    /// # Errors
    /// A command that is none.
    pub(super) fn starter(&self, ram: PathBuf, log: PathBuf) -> anyhow::Result<Option<Starter>> {
        let Some(run) = &self.run else { return Ok(None) };
        let script = Script::with_place(run)?;
        let ready = match &self.ready {
            Some(ReadyWhen(ready)) => ready.clone(),
            None => usual(&script)?,
        };
        let contract = Contract { never_ran: self.never_ran.clone() };
        let patience = self.start_timeout.0;
        Ok(Some(Arc::new(move || {
            let log = match open(&log) {
                Ok(file) => Log::File(file),
                Err(error) => {
                    warn!(%error, path = %log.display(), "what the start command says is lost");
                    Log::Nowhere
                }
            };
            let (script, ready, contract, snapshot) = (&script, &ready, &contract, &*ram);
            let plan = Plan { script, snapshot, ready, contract, patience };
            let started = start(&plan, &Real, &Real, log);
            let why = started.why.to_string();
            match started.guest {
                Guest::Ran => info!(why, pid = started.pid, "the guest has run"),
                Guest::NeverRan => warn!(why, "the guest never ran"),
                Guest::Unknown => warn!(why, "whether the guest has run is not known"),
            }
            started.guest
        })))
    }
}

/// What shows that the guest of this command runs, where a person does not say.
fn usual(script: &Script) -> anyhow::Result<Ready> {
    let mut words = script.given().split_whitespace();
    let is_bhyve = words.next().is_some_and(|word| Path::new(word).ends_with("bhyve"));
    if !is_bhyve {
        return Ok(Ready::Lives(LIVES));
    }
    let plain = |word: &&str| {
        !word.starts_with('-')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let name = words.next_back().filter(plain).filter(|_| script.program().is_some());
    let ready = name.and_then(Ready::bhyve);
    let unknown = || Trouble::new("what shows that the guest runs cannot be told from COMMAND");
    Ok(ready.ok_or_else(|| unknown().hint("--ready socket:/var/run/bhyve/NAME, the VM's name"))?)
}

fn open(path: &Path) -> std::io::Result<File> {
    regular::open(File::options().append(true).create(true).mode(0o600), path)
}

/// What shows that the guest runs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ReadyWhen(Ready);

impl FromStr for ReadyWhen {
    type Err = String;

    fn from_str(words: &str) -> Result<Self, String> {
        let ready = match words.split_once(':') {
            Some(("socket", path)) if !path.is_empty() => Ready::Socket(path.into()),
            Some(("command", script)) => {
                Ready::Command(Script::parse(script).map_err(|error| error.to_string())?)
            }
            Some(("lives", span)) => Ready::Lives(span.parse::<Span>()?.0.max(Duration::ZERO)),
            _ => return Err("it is socket:PATH, command:COMMAND or lives:TIME".to_owned()),
        };
        Ok(Self(ready))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bhyve_is_waited_for_at_its_control_socket_unless_a_person_says_otherwise() {
        let usual = |words: &str| usual(&Script::parse(words).unwrap()).ok();
        let socket = |name: &str| Some(Ready::Socket(Path::new("/var/run/bhyve").join(name)));
        assert_eq!(usual("bhyve -r {} vm"), socket("vm"));
        assert_eq!(usual("/usr/sbin/bhyve -c 2 -r {} web-1.a "), socket("web-1.a"));
        for words in ["bhyve -r {}", "bhyve -r {} 'my vm'", "bhyve -r {} vm &", "bhyve", "bhyve -D"]
        {
            assert_eq!(usual(words), None, "{words}");
        }
        assert_eq!(usual("vm-start {}"), Some(Ready::Lives(LIVES)));
        assert_eq!(usual("/etc/bhyve/start {}"), Some(Ready::Lives(LIVES)));
    }

    #[test]
    fn what_shows_that_a_guest_runs_is_read() {
        let ready = |words: &str| words.parse().map(|ReadyWhen(ready)| ready);
        assert_eq!(ready("socket:/a:b"), Ok(Ready::Socket("/a:b".into())));
        assert_eq!(ready("lives:200ms"), Ok(Ready::Lives(Duration::from_millis(200))));
        assert!(matches!(ready("command:test -e {}"), Ok(Ready::Command(_))));
        for words in ["", "socket:", "lives:", "lives", "command:'", "x:y"] {
            assert!(ready(words).is_err(), "{words}");
        }
    }
}
