//! Rules of virtqueues: where their rings are, what is in them, how far device and driver are.

use super::super::finding::Spot;
use super::super::rule::{ANOTHER, Judge, Needs, NotRule, Rule, Severity, Subject, rule};
use super::super::{Chapter, Check, Missing, RamError};
use super::{VIRTIO, WITHOUT, in_memory};
use crate::state::{FieldRef, Scope, Shape};

pub(super) static CHAPTER: Chapter =
    Chapter { title: "Virtqueues", rules: RULES, argued: &[], not_rules: NOT_RULES };

const SIZE: &str = "vq->vq_qsize";
const NUMBER: &str = "vq->vq_num";
const FLAGS: &str = "vq->vq_flags";
const LAST_AVAIL: &str = "vq->vq_last_avail";
const NEXT_USED: &str = "vq->vq_next_used";
const SAVE_USED: &str = "vq->vq_save_used";
const PFN: &str = "vq->vq_pfn";
/// The address of the descriptors, and the image of all rings after it.
const DESC: &str = "vq->vq_desc";
const AVAIL: &str = "vq->vq_avail";
const USED: &str = "vq->vq_used";

const PAGE: u64 = 4096;

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(DESC), Subject::field(AVAIL), Subject::field(USED)],
        condition: "must lie in guest memory, with all of the rings",
        reason: "bhyve looks the addresses up in guest memory and uses what it finds, which is \
                 NULL for others",
        bhyve: "copies the rings to NULL and dies",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/virtio.c vi_pci_snapshot_queues",
        judge: Judge::Relation(in_ram),
        ..rule("virtq-rings-in-memory", VIRTIO)
    },
    Rule {
        subjects: &[
            Subject::field(PFN),
            Subject::field(DESC),
            Subject::field(AVAIL),
            Subject::field(USED),
        ],
        condition: "must be where the page number of the queue says: descriptors at its page, 16 \
                    bytes each, the available ring after them, the used ring at the next page",
        reason: "bhyve works them out from the page number that the driver writes",
        bhyve: "restores them: the rings are written over other memory of the guest, and device \
                and driver look at different rings",
        source: "usr.sbin/bhyve/virtio.c vi_vq_init",
        judge: Judge::Relation(addresses),
        ..rule("virtq-ring-addresses", VIRTIO)
    },
    Rule {
        needs: Needs::Ram,
        subjects: &[Subject::field(DESC)],
        condition: "must be what guest memory has there",
        reason: "both were saved while the machine stood still",
        bhyve: "writes the rings of the record over those in memory",
        source: "usr.sbin/bhyve/virtio.c vi_pci_snapshot_queues; snapshot.c vm_checkpoint",
        judge: Judge::Relation(image),
        ..rule("virtq-ring-image", VIRTIO)
    },
    Rule {
        subjects: &[Subject::field(FLAGS)],
        condition: "must have no other bits than 0 (set up) and 1 (broken)",
        reason: "there are no other flags",
        bhyve: "restores it and ignores the other bits",
        source: "usr.sbin/bhyve/virtio.h",
        judge: Judge::Number(|flags| flags & !0b11 == 0),
        ..rule("virtq-flags", VIRTIO)
    },
    Rule {
        subjects: &[Subject::field(NUMBER)],
        condition: "must be the place of the queue among those of the device",
        reason: "bhyve numbers them so",
        bhyve: "refuses the snapshot",
        source: "usr.sbin/bhyve/virtio.c vi_softc_linkup",
        judge: Judge::Relation(number),
        ..rule("virtq-number", VIRTIO)
    },
    Rule {
        severity: Severity::Guest,
        subjects: &[
            Subject::field(LAST_AVAIL),
            Subject::field(NEXT_USED),
            Subject::field(SAVE_USED),
        ],
        condition: "must be within a ring of each other and of the indices in the rings",
        reason: "no more requests can be under way than a queue has descriptors",
        bhyve: "restores it; the device finds its driver confused and stops, or answers requests \
                that were not made",
        advice: ANOTHER,
        source: "usr.sbin/bhyve/virtio.c vq_getchain",
        judge: Judge::Relation(positions),
        ..rule("virtq-positions", VIRTIO)
    },
];

/// A queue that the driver has set up.
struct Rings<'f, 'a> {
    scope: Scope<'f, 'a>,
    descriptors: u64,
    desc: FieldRef<'f, 'a>,
    avail: FieldRef<'f, 'a>,
    used: FieldRef<'f, 'a>,
    image: FieldRef<'f, 'a>,
}

impl<'f, 'a> Rings<'f, 'a> {
    fn of(scope: Scope<'f, 'a>) -> Option<Self> {
        let image = |field: &FieldRef<'_, '_>| matches!(field.definition().shape, Shape::Rings(_));
        Some(Self {
            scope,
            descriptors: scope.u64(SIZE)?,
            desc: scope.all(DESC).find(|field| !image(field))?,
            avail: scope.get(AVAIL)?,
            used: scope.get(USED)?,
            image: scope.all(DESC).find(image)?,
        })
    }

    /// Where the available ring and the used ring begin after the descriptors.
    const fn offsets(&self) -> (u64, u64) {
        let avail = 16 * self.descriptors;
        (avail, (avail + 2 * (2 + self.descriptors + 1)).next_multiple_of(PAGE))
    }

    /// The index in a ring of the image.
    fn index(&self, ring: u64) -> Option<u64> {
        let at = usize::try_from(ring + 2).ok()?;
        self.image.bytes().get(at..at + 2).and_then(crate::state::value::little_endian)
    }
}

fn in_ram(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for rings in known.fields.root().groups("queues").filter_map(Rings::of) {
            let (avail, used) = rings.offsets();
            for (field, len) in [
                (rings.desc, rings.image.len()),
                (rings.avail, used - avail),
                (rings.used, rings.image.len().saturating_sub(used)),
            ] {
                if field.u64().is_some_and(|gpa| !in_memory(check, gpa, len)) {
                    check.breaks(known.record, &field, &[("bytes", len)]);
                }
            }
        }
    }
}

fn addresses(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for rings in known.fields.root().groups("queues").filter_map(Rings::of) {
            let Some(pfn) = rings.scope.u64(PFN) else { continue };
            let (avail, used) = rings.offsets();
            for (field, offset) in [(rings.desc, 0), (rings.avail, avail), (rings.used, used)] {
                if field.u64() != Some(pfn * PAGE + offset) {
                    check.breaks(known.record, &field, &[("page", pfn)]);
                }
            }
        }
    }
}

fn image(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for rings in known.fields.root().groups("queues").filter_map(Rings::of) {
            let (Some(ram), Some(gpa)) = (check.ram(), rings.desc.u64()) else { continue };
            let bytes = rings.image.bytes();
            if !in_memory(check, gpa, rings.image.len()) {
                continue;
            }
            let mut found = vec![0; bytes.len()];
            match ram.read(gpa, &mut found) {
                Ok(()) => {
                    let mut pairs = bytes.iter().zip(&found);
                    if let Some(at) = pairs.position(|(saved, found)| saved != found) {
                        let spot = Spot::bytes(at as u64, 1);
                        let ram = found.get(at).copied().unwrap_or_default();
                        let others = [("at", gpa + at as u64), ("memory has", ram.into())];
                        check.breaks_at(known.record, &rings.image, spot, &others);
                    }
                }
                Err(RamError::Unreadable { gpa } | RamError::Outside { gpa }) => {
                    check.lacks(Missing::RamAt(gpa));
                }
            }
        }
    }
}

fn number(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for queue in known.fields.root().groups("queues") {
            if let Some(field) = queue.get(NUMBER)
                && field.u64() != Some(queue.index().into())
            {
                check.breaks(known.record, &field, &[]);
            }
        }
    }
}

fn positions(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for rings in known.fields.root().groups("queues").filter_map(Rings::of) {
            let field = |key| rings.scope.get(key).and_then(|f| Some((f, f.u64()?)));
            let (Some((avail, taken)), Some((used, next)), Some((save, saved))) =
                (field(LAST_AVAIL), field(NEXT_USED), field(SAVE_USED))
            else {
                continue;
            };
            let (avail_at, used_at) = rings.offsets();
            // Indices count modulo 2^16.
            let within =
                |ahead: u64, behind: u64| ahead.wrapping_sub(behind) & 0xffff <= rings.descriptors;
            if let Some(made) = rings.index(avail_at)
                && !within(made, taken)
            {
                check.breaks(known.record, &avail, &[("available", made)]);
            } else if !within(taken, next) {
                check.breaks(known.record, &used, &[("taken", taken)]);
            }
            if !within(next, saved) {
                check.breaks(known.record, &save, &[("next", next)]);
            } else if let Some(shown) = rings.index(used_at)
                && !within(next, shown)
            {
                check.breaks(known.record, &used, &[("in the ring", shown)]);
            }
        }
    }
}

static NOT_RULES: &[NotRule] = &[
    NotRule {
        about: "vq->vq_pfn and positions",
        fact: "are 0 in a queue that is not set up",
        because: "nothing reads them before the driver sets the queue up, which sets them",
    },
    NotRule {
        about: "vq->vq_desc",
        fact: "descriptors point into guest memory",
        because: "the guest writes them, and bhyve looks each up before it uses it",
    },
];
