//! Rules of the framebuffer.

use super::super::class::{Argued, Class};
use super::super::rule::{Judge, NotRule, Rule, Subject, rule};
use super::super::{Chapter, Check};

pub(super) static CHAPTER: Chapter = Chapter {
    title: "`fbuf`: the framebuffer",
    rules: RULES,
    argued: ARGUED,
    not_rules: NOT_RULES,
};

const FBUF: &[&str] = &["fbuf"];
const PIXELS: &str = "fbuf_sc->fb_base";
const SIZE: &str = "pi->pi_bar[i].size";

static RULES: &[Rule] = &[Rule {
    subjects: &[Subject::field(SIZE)],
    condition: "must be 128 for BAR 0, and for BAR 1 as many bytes as the record has of the screen",
    reason: "bhyve makes the BAR as large as the framebuffer, and saves all of it",
    bhyve: "restores as much as its own framebuffer takes, or refuses the snapshot",
    source: "usr.sbin/bhyve/pci_fbuf.c pci_fbuf_init, pci_fbuf_snapshot",
    judge: Judge::Relation(size),
    ..rule("fbuf-size", FBUF)
}];

fn size(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let root = known.fields.root();
        let Some(pixels) = root.get(PIXELS) else { continue };
        for (field, wanted) in root.all(SIZE).zip([128, pixels.len()]) {
            if field.u64() != Some(wanted) {
                check.breaks(known.record, &field, &[("bytes", wanted)]);
            }
        }
    }
}

static ARGUED: &[Argued] = &[Argued {
    records: FBUF,
    subjects: &[Subject::field(PIXELS)],
    class: Class::Free,
    because: "what the screen shows",
}];

static NOT_RULES: &[NotRule] = &[NotRule {
    about: "fbuf",
    fact: "width, height and mode of the screen are restored",
    because: "bhyve does not save them",
}];
