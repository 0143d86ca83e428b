//! Rules of virtio disks.

use super::super::class::{Argued, Class};
use super::super::rule::{Judge, NotRule, Rule, Subject, rule};
use super::super::{Chapter, Check};

pub(super) static CHAPTER: Chapter =
    Chapter { title: "`virtio-blk`: disks", rules: RULES, argued: ARGUED, not_rules: NOT_RULES };

const BLK: &[&str] = &["virtio-blk"];
const CONFIG: &str = "sc->vbsc_cfg";
const IDENT: &str = "sc->vbsc_ident";

static RULES: &[Rule] = &[
    Rule {
        subjects: &[Subject::part(CONFIG, "blk_size")],
        condition: "must be a power of two, 512 or more",
        reason: "it is the sector size of the backing file or device",
        bhyve: "restores it; the guest reads and writes with a block size that the disk has not",
        source: "usr.sbin/bhyve/block_if.c blockif_open; pci_virtio_block.c pci_vtblk_init",
        judge: Judge::Number(|size| size >= 512 && size.is_power_of_two()),
        ..rule("blk-block-size", BLK)
    },
    Rule {
        subjects: &[
            Subject::part(CONFIG, "size_max"),
            Subject::part(CONFIG, "geometry.cylinders"),
            Subject::part(CONFIG, "geometry.heads"),
            Subject::part(CONFIG, "geometry.sectors"),
            Subject::part(CONFIG, "topology.min_io_size"),
            Subject::part(CONFIG, "topology.opt_io_size"),
            Subject::part(CONFIG, "writeback"),
        ],
        condition: "must be 0",
        reason: "bhyve's disks have no such property, and no guest can write it",
        bhyve: "restores it and shows it to the guest",
        source: "usr.sbin/bhyve/pci_virtio_block.c pci_vtblk_init, pci_vtblk_cfgwrite",
        judge: Judge::Number(|value| value == 0),
        ..rule("blk-unused", BLK)
    },
    Rule {
        subjects: &[Subject::field(IDENT)],
        condition: "must end within its 21 bytes, and have printable characters before",
        reason: "it is a string that bhyve made or was given",
        bhyve: "restores it and gives it to the guest",
        source: "usr.sbin/bhyve/pci_virtio_block.c pci_vtblk_init",
        judge: Judge::Relation(ident),
        ..rule("blk-ident", BLK)
    },
];

fn ident(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let Some(field) = known.fields.find(IDENT, None, 0) else { continue };
        let end = field.bytes().iter().position(|byte| *byte == 0);
        let text = field.bytes().get(..end.unwrap_or_default()).unwrap_or_default();
        if end.is_none() || text.iter().any(u8::is_ascii_control) {
            check.breaks(known.record, &field, &[]);
        }
    }
}

static ARGUED: &[Argued] = &[Argued {
    records: BLK,
    subjects: &[Subject::field(CONFIG)],
    class: Class::Free,
    because: "it describes the disk behind, which is not known here; bhyve shows it to the guest \
              and does not go by it",
}];

static NOT_RULES: &[NotRule] = &[NotRule {
    about: "virtio-blk capacity",
    fact: "must be the size of the disk that the machine is restored with, or the guest loses data",
    because: "that disk is not known here",
}];
