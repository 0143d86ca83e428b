//! What a source has to say about its VM and its host.

use std::path::Path;
use std::sync::Arc;

use snaptool::exit::{self, Trouble};
use snaptool::links::Where;
use snaptool::signal::Stop;
use snaptool::text;

use super::options::Making;
use crate::origin::{Form, Origin, Snapshot};
use crate::probe;
use crate::run::{Script, hook};
use crate::stream::message::{Disk, Facts, Needs};
use crate::supervisor;
use crate::system::process::Real;
use crate::system::{Here, System};
use crate::transport::Dest;

/// Opens what is to be sent.
///
/// # Errors
/// Trouble with reading, and damage.
pub(super) fn open(
    source: &Path,
    places: &Where,
    making: &Making,
    dest: &Dest,
    stop: &Stop,
) -> anyhow::Result<Arc<dyn Origin>> {
    let (compression, _) = making.compression(dest);
    let form = Form { compression, threads: making.threads() };
    Ok(Arc::new(Snapshot::open(source, places, form, stop)?))
}

/// This host, and what the VM needs.
///
/// # Errors
/// If its configuration cannot be read.
pub(super) fn facts(source: &Path, origin: &dyn Origin) -> anyhow::Result<Facts> {
    let system = Here::new();
    let config = origin.config()?;
    let words: Vec<&[u8]> = config.iter().map(|config| config.text.as_slice()).collect();
    let parent = source.parent().filter(|parent| !parent.as_os_str().is_empty());
    let host = probe::host(&system, parent.unwrap_or(Path::new(".")), &words);
    let disks = words.iter().flat_map(|words| disks(&system, words)).collect();
    let vm = origin.vm();
    let needs = Needs {
        name: vm.name.clone(),
        arch: vm.arch.clone(),
        ncpus: vm.ncpus,
        memsize: vm.memory.size(),
        stored: origin.stored(),
        disks,
    };
    Ok(Facts { host, needs })
}

fn disks(system: &dyn System, words: &[u8]) -> Vec<Disk> {
    probe::disks_of(system, words)
}

/// What may start the VM again while it moves, and what a person gives to stop that.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Supervised {
    /// A command that stops what starts the VM again, such as a supervisor; `{}` is its name.
    /// Needed where one is found: it would make a second copy.
    #[arg(long, value_name = "COMMAND")]
    stop_supervisor: Option<String>,
}

impl Supervised {
    /// What was found that nothing stops; words for each.
    ///
    /// # Errors
    /// A command that is none.
    pub(super) fn unstopped(&self, name: &str) -> anyhow::Result<Vec<String>> {
        let found = supervisor::detect(&Here::new(), name, supervisor::Vm::Suspended);
        Ok(match supervisor::permit(&found, self.script()?.as_ref()) {
            Ok(()) => Vec::new(),
            Err(unstopped) => unstopped.0.iter().map(ToString::to_string).collect(),
        })
    }

    fn script(&self) -> anyhow::Result<Option<Script>> {
        Ok(self.stop_supervisor.as_deref().map(Script::parse).transpose()?)
    }

    /// Refuses to go on while something may start the VM again, or stops that.
    ///
    /// # Errors
    /// If nothing stops it, or the command fails.
    pub(super) fn stop(&self, name: &str, patience: std::time::Duration) -> anyhow::Result<bool> {
        let unstopped = self.unstopped(name)?;
        if !unstopped.is_empty() {
            let words = "something may start the VM again, and would make a second copy of it";
            let mut trouble = Trouble::new(words);
            for line in unstopped {
                trouble = trouble.hint(text::one_line(&line));
            }
            let hint = "--stop-supervisor says how to stop that";
            exit::report(&trouble.hint(hint).into());
            return Ok(false);
        }
        if let Some(script) = self.script()? {
            hook(&script, name.as_ref(), patience, &Real, &Real)?;
        }
        Ok(true)
    }
}
