//! The rule that a device's record has a layout.

use super::super::Chapter;
use super::super::rule::{Judge, NotRule, Rule, Severity, Subject, rule};
use super::WITHOUT;

pub(super) static CHAPTER: Chapter = Chapter {
    title: "Records of devices as a whole",
    rules: RULES,
    argued: &[],
    not_rules: NOT_RULES,
};

/// All devices that have a record.
const DEVICES: &[&str] = &[
    "virtio-blk",
    "virtio-net",
    "virtio-rnd",
    "e1000",
    "ahci",
    "ahci-hd",
    "ahci-cd",
    "xhci",
    "fbuf",
    "lpc",
    "hostbridge",
    "amd_hostbridge",
    "atkbdc",
];

static RULES: &[Rule] = &[Rule {
    severity: Severity::Ucrash,
    subjects: &[
        Subject::field("pi->pi_msix.table_count"),
        Subject::field("vc->vc_nvq"),
        Subject::field("bctx"),
        Subject::field("port->ioqsz"),
        Subject::field("br->br_iovcnt"),
        Subject::field("sc->ndevices"),
        Subject::field("xfer"),
        Subject::field("xfer->ureq").nth(0),
    ],
    condition: "must be such that all bytes of the record make fields of one known layout",
    reason: "bhyve reads fields one after another, with counts from the record itself: after a \
             count, a pointer or a size that is wrong it takes one field for another, and a table \
             that is too long overruns the heap",
    bhyve: "refuses a record that is too short; else restores what it takes for the fields, and \
            may crash or hand its memory to what the file says",
    advice: WITHOUT,
    source: "usr.sbin/bhyve/pci_emul.c pci_snapshot_pci_dev; pe_snapshot of the device",
    judge: Judge::Layout,
    ..rule("device-layout", DEVICES)
}];

static NOT_RULES: &[NotRule] = &[
    NotRule {
        about: "devices",
        fact: "the records are those of the devices that the command line of the restoring bhyve \
               names, at the same places",
        because: "that command line is not known here",
    },
    NotRule {
        about: "devices",
        fact: "there is a record for a device that nothing here knows",
        because: "whether its fields are good cannot be told: it is listed as not checked",
    },
];
