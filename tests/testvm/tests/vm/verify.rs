//! What the machine writes holds against all rules that snapfmt has for bhyve's snapshots.

use std::fs::{self, File};
use std::path::Path;

use crate::kit::{machine, skipped, sweeps};
use snapfmt::bhyve::{Files, Severity};
use snapfmt::state::gate::{Judged, Policy};
use snapfmt::state::rules::{GuestRam, RamError};
use tempfile::tempdir;
use testvm::machine::Machine;
use testvm::state::{fpu, save};

/// Guest memory, all below the hole.
struct Ram(Vec<u8>);

impl GuestRam for Ram {
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Result<(), RamError> {
        let at = usize::try_from(gpa).unwrap();
        let found = self.0.get(at..at + bytes.len()).ok_or(RamError::Outside { gpa })?;
        bytes.copy_from_slice(found);
        Ok(())
    }
}

/// What the rules say of three files.
fn judge(base: &Path) -> Judged {
    let names = Files::of(base);
    let [text, kern, ram] = [names.meta, names.kern, names.ram].map(|name| fs::read(name).unwrap());
    let lengths = (kern.len() as u64, ram.len() as u64);
    let bytes = |record: &snapfmt::bhyve::Record| {
        let (at, len) = (record.offset as usize, record.size as usize);
        Some(kern.get(at..at + len)?.to_vec())
    };
    Judged::of_files(&text, lengths, bytes, Some(&Ram(ram)), None).unwrap()
}

fn saved(machine: &Machine, folder: &Path) -> Judged {
    machine.pause();
    save(machine, crate::kit::NAME, File::open(folder).unwrap(), "vm.ckp".as_ref()).unwrap();
    machine.resume();
    judge(&folder.join("vm.ckp"))
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn no_rule_fails_what_is_written() {
    if skipped() {
        return;
    }
    for ncpus in [1, 4] {
        let folder = tempdir().unwrap();
        let machine = machine(ncpus, folder.path(), None);
        sweeps(&machine, 2);
        let judged = saved(&machine, folder.path());
        let judgement = judged.judgement();
        // The one device that no bhyve has; worth a note.
        let structure = judgement.structure.iter().map(|found| (found.rule.id, found.severity()));
        assert_eq!(structure.collect::<Vec<_>>(), [("device-unknown", Severity::Warn)]);
        let findings: Vec<_> = judgement.state.findings.iter().map(ToString::to_string).collect();
        assert_eq!(findings, [""; 0]);
        let unknown: Vec<_> = judgement.unknown.iter().map(|record| &record.record).collect();
        assert_eq!(unknown, [fpu::NAME]);
        assert!(judgement.passes(&Policy::default()));
    }
}
