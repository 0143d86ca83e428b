//! Rules of the requests in flight that older bhyve saves with AHCI ports.

use super::super::class::{Argued, Class};
use super::super::rule::{Judge, NotRule, Rule, Severity, Subject, rule};
use super::super::{Chapter, Check};
use super::{AHCI, WITHOUT, flag, in_memory};
use crate::state::FieldRef;

pub(super) static CHAPTER: Chapter = Chapter {
    title: "`ahci`: requests in flight",
    rules: RULES,
    argued: ARGUED,
    not_rules: NOT_RULES,
};

const IOQSZ: &str = "port->ioqsz";
const INDEX: &str = "idx";
const COMMAND: &str = "ioreq->cfis";
const SECTOR: &str = "bc->bc_sectsz";
const SIZE: &str = "bc->bc_size";

/// Bytes of a command table before the list of buffers.
const COMMAND_LEN: u64 = 0x80;
/// What ends a list.
const END: u64 = 0xffff_ffff;

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(INDEX)],
        condition: "must be the index of a request, or -1 at the end of a list",
        reason: "bhyve puts the request at that index into a list",
        bhyve: "takes other memory for a request, writes to it, and crashes",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_ahci.c pci_ahci_snapshot_restore_queues",
        judge: Judge::Relation(indices),
        ..rule("ahci-request-index", AHCI)
    },
    Rule {
        subjects: &[Subject::field(INDEX)],
        condition: "must name each request once: free or busy",
        reason: "a request is in exactly one list",
        bhyve: "restores it; a request that is in two lists, or in none, makes a list endless or \
                is lost",
        source: "usr.sbin/bhyve/pci_ahci.c ata_ioreq_cb",
        judge: Judge::Relation(once),
        ..rule("ahci-request-once", AHCI)
    },
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field("ioreq->slot")],
        condition: "must be 0 to 31",
        reason: "bhyve reads the command at that slot, as an index",
        bhyve: "reads far from the command list, which may crash it",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_ahci.c pci_ahci_snapshot",
        judge: Judge::Signed(|slot| matches!(slot, 0..=31)),
        ..rule("ahci-request-slot", AHCI)
    },
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(COMMAND)],
        condition: "must lie in guest memory, with the 128 bytes of a command",
        reason: "bhyve looks the address up in guest memory and reads the command when the request \
                 is done",
        bhyve: "refuses the snapshot if there is none; else restores NULL, and crashes when the \
                request is done",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_ahci.c pci_ahci_snapshot, ata_ioreq_cb",
        judge: Judge::Relation(commands),
        ..rule("ahci-request-command", AHCI)
    },
    Rule {
        subjects: &[Subject::field("iov->iov_base"), Subject::field("iov->iov_len")],
        condition: "must lie in guest memory",
        reason: "bhyve saves addresses in guest memory only",
        bhyve: "restores NULL; the request fails",
        source: "usr.sbin/bhyve/block_if.c blockif_snapshot_req",
        judge: Judge::Relation(buffers),
        ..rule("ahci-request-buffer", AHCI)
    },
    Rule {
        subjects: &[
            Subject::field("ioreq->more"),
            Subject::field("ioreq->readop"),
            Subject::field("bc->bc_ischr"),
            Subject::field("bc->bc_isgeom"),
            Subject::field("bc->bc_candelete"),
            Subject::field("bc->bc_rdonly"),
        ],
        condition: "must be 0 or 1",
        reason: "it says yes or no",
        bhyve: "restores it and takes any value but 0 for yes",
        source: "usr.sbin/bhyve/pci_ahci.c, block_if.c",
        judge: Judge::Number(flag),
        ..rule("ahci-request-flags", AHCI)
    },
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field("bc->bc_magic"), Subject::field(SECTOR)],
        condition: "must be the signature of a disk, 0xb109b109, and a sector size other than 0",
        reason: "bhyve asserts the one, and divides by the other",
        bhyve: "aborts, or dies when the guest asks what disk it has",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/block_if.c blockif_resume, blockif_chs",
        judge: Judge::Relation(disk),
        ..rule("ahci-disk", AHCI)
    },
    Rule {
        subjects: &[Subject::field(SECTOR), Subject::field(SIZE), Subject::field("bc->bc_closing")],
        condition: "must be a sector size that is a power of two, 512 or more, a size that is not \
                    negative, and a disk that is not being closed",
        reason: "bhyve opens no other, and saves none that it closes",
        bhyve: "restores it; requests are refused, or never done",
        source: "usr.sbin/bhyve/block_if.c blockif_open, blockif_close",
        judge: Judge::Relation(backing),
        ..rule("ahci-disk-values", AHCI)
    },
];

/// The indices of a port's two lists, without their ends.
fn listed<'f, 'a>(
    port: crate::state::Scope<'f, 'a>,
) -> impl Iterator<Item = (FieldRef<'f, 'a>, u64)> {
    let indices = port.all(INDEX).filter_map(|field| Some((field, field.u64()?)));
    indices.filter(|(_, index)| *index != END)
}

fn indices(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for port in known.fields.root().groups("device") {
            let Some(size) = port.u64(IOQSZ) else { continue };
            for (field, index) in listed(port) {
                if index >= size {
                    check.breaks(known.record, &field, &[("requests", size)]);
                }
            }
        }
    }
}

fn once(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for port in known.fields.root().groups("device") {
            let (Some(size), Some(_)) = (port.u64(IOQSZ), port.get(INDEX)) else { continue };
            let mut seen = vec![false; usize::try_from(size).unwrap_or_default()];
            let mut last = None;
            let mut wrong = false;
            for (field, index) in listed(port) {
                last = Some(field);
                let place = usize::try_from(index).ok().and_then(|index| seen.get_mut(index));
                match place {
                    Some(seen) if *seen => {
                        wrong = true;
                        check.breaks(known.record, &field, &[]);
                    }
                    Some(seen) => *seen = true,
                    // Another rule's.
                    None => wrong = true,
                }
            }
            let missing = seen.iter().filter(|seen| !**seen).count() as u64;
            let end = last.or_else(|| port.get(INDEX));
            if let Some(field) = end.filter(|_| missing > 0 && !wrong) {
                check.breaks(known.record, &field, &[("requests in no list", missing)]);
            }
        }
    }
}

fn commands(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for field in known.fields.root().all(COMMAND) {
            if field.u64().is_some_and(|gpa| !in_memory(check, gpa, COMMAND_LEN)) {
                check.breaks(known.record, &field, &[]);
            }
        }
    }
}

fn buffers(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for iov in known.fields.root().groups("iov") {
            if let (Some(base), Some(len)) = (iov.get("iov->iov_base"), iov.u64("iov->iov_len"))
                && base.u64().is_some_and(|gpa| !in_memory(check, gpa, len))
            {
                check.breaks(known.record, &base, &[("bytes", len)]);
            }
        }
    }
}

fn disk(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for (key, good) in [
            ("bc->bc_magic", (|magic| magic == 0xb109_b109) as fn(u64) -> bool),
            (SECTOR, |size| size != 0),
        ] {
            for field in known.fields.root().all(key) {
                if !field.u64().is_none_or(good) {
                    check.breaks(known.record, &field, &[]);
                }
            }
        }
    }
}

fn backing(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for (key, good) in [
            (
                SECTOR,
                (|size| size == 0 || size >= 512 && size.is_power_of_two()) as fn(u64) -> bool,
            ),
            (SIZE, |size| size >> 63 == 0),
            ("bc->bc_closing", |closing| closing == 0),
        ] {
            for field in known.fields.root().all(key) {
                if !field.u64().is_none_or(good) {
                    check.breaks(known.record, &field, &[]);
                }
            }
        }
    }
}

static ARGUED: &[Argued] = &[
    Argued {
        records: AHCI,
        subjects: &[Subject::field("ioreq->len"), Subject::field("ioreq->done")],
        class: Class::Free,
        because: "how much the guest wants and how much is done, which bhyve works out anew from \
                  the command",
    },
    Argued {
        records: AHCI,
        subjects: &[Subject::field("br->br_offset"), Subject::field("br->br_resid")],
        class: Class::Free,
        because: "where on the disk and how much, which the system call checks",
    },
    Argued {
        records: AHCI,
        subjects: &[Subject::field("bc->bc_psectsz"), Subject::field("bc->bc_psectoff")],
        class: Class::Free,
        because: "it describes the disk behind, which is not known here",
    },
];

static NOT_RULES: &[NotRule] = &[NotRule {
    about: "ahci bc_size",
    fact: "must be the size of the disk that the machine is restored with",
    because: "that disk is not known here",
}];
