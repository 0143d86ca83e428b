//! What starts a VM again when its process ends.
//!
//! bhyve ends with 0 when its guest reboots, and also after a suspend. What waits for that end to
//! start the guest again then makes a second copy on the same disks, which no journal can prevent
//! (`spec/handover.md` §7.1). So such things are looked for on the source, and without a command
//! that stops them a VM is not moved.
//!
//! | found | by |
//! |---|---|
//! | vm-bhyve | its process `vm _run NAME`; `run.lock` in the VM's folder; `vm_list` in rc.conf |
//! | cbsd | its process `bhyverun.sh -c …/jails-system/NAME/…` |
//! | libvirt | the state of a domain that runs |
//! | vmrun.sh | its process |
//! | daemon(8) | the parent of the VM's process, with `-r` or `-R` |
//! | runit, s6, daemontools, supervisord, monit | the parent of the VM's process |
//! | a shell's script | the parent of the VM's process |
//! | rc scripts | one in /usr/local/etc/rc.d that runs bhyve and has the VM's name |
//! | the VM itself | /dev/vmm/NAME, where the VM should be suspended |
//!
//! Nothing found does not mean that there is nothing: a cron job or a program on another host
//! shows itself nowhere here.

mod files;
mod processes;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::run::Script;
use crate::system::System;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// vm-bhyve.
    VmBhyve,
    /// CBSD.
    Cbsd,
    /// libvirt's driver of bhyve.
    Libvirt,
    /// The example script of FreeBSD.
    Vmrun,
    /// daemon(8), told to start again.
    Daemon,
    /// A supervisor of services.
    Services,
    /// A script, which may be a loop.
    Script,
    /// A script that is run when the host starts.
    Rc,
    /// The VM, which was not to be there.
    Vm,
    /// Nobody knows: processes cannot be seen.
    Unseen,
}

/// Something that may start a VM again, and what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervisor {
    /// What it is.
    pub kind: Kind,
    /// A process, a file, a line.
    pub evidence: String,
}

impl fmt::Display for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            Kind::VmBhyve => "vm-bhyve starts it again",
            Kind::Cbsd => "cbsd starts it again",
            Kind::Libvirt => "libvirt starts it again",
            Kind::Vmrun => "vmrun.sh starts it again",
            Kind::Daemon => "daemon(8) starts it again",
            Kind::Services => "a supervisor of services starts it again",
            Kind::Script => "a script runs it and may start it again",
            Kind::Rc => "it is started with the host",
            Kind::Vm => "the VM is there already",
            Kind::Unseen => "processes cannot be seen",
        };
        write!(f, "{what}: {}", self.evidence)
    }
}

/// Whether the VM runs, as the caller knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vm {
    /// It runs and is to be suspended.
    Runs,
    /// It is suspended; nothing of it should be here.
    Suspended,
}

/// What may start the VM of this name again on this host. Nothing where the name can be no VM's.
pub fn detect(system: &dyn System, name: &str, vm: Vm) -> Vec<Supervisor> {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
    if !plain {
        return Vec::new();
    }
    let mut found = match system.processes() {
        Ok(all) => processes::find(&all, name),
        Err(evidence) => vec![Supervisor { kind: Kind::Unseen, evidence }],
    };
    found.extend(files::find(system, name, vm));
    found.sort_by_key(|supervisor| supervisor.kind);
    found.dedup();
    found
}

/// Why a VM is not moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("something may start the VM again when it is suspended: {}", words(.0))]
pub struct Unstopped(pub Vec<Supervisor>);

fn words(found: &[Supervisor]) -> String {
    found.iter().map(Supervisor::to_string).collect::<Vec<_>>().join("; ")
}

/// Whether a VM can be moved: nothing was found, or there is a command that stops it.
///
/// # Errors
/// If there is none.
pub fn permit(found: &[Supervisor], stop: Option<&Script>) -> Result<(), Unstopped> {
    if found.is_empty() || stop.is_some() { Ok(()) } else { Err(Unstopped(found.to_vec())) }
}
