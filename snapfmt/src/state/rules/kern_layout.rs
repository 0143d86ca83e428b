//! The rule that a record of the kernel has a layout.

use super::Chapter;
use super::rule::{Judge, NotRule, Rule, rule};

pub(super) static CHAPTER: Chapter = Chapter {
    title: "Records of the kernel as a whole",
    rules: RULES,
    argued: &[],
    not_rules: NOT_RULES,
};

const KERN: &[&str] =
    &["vhpet", "vm", "vmx", "vioapic", "vlapic", "vmcx", "vatpit", "vatpic", "vpmtmr", "vrtc"];

static RULES: &[Rule] = &[Rule {
    condition: "must be such that all bytes of the record make fields of one known layout",
    reason: "the kernel reads fields one after another and checks hardly any: of a record that no \
             known release writes, nobody can say which of its bytes are which field",
    bhyve: "a release that writes another size refuses the record or reads fields out of place; \
            one that reads less of it restores what is at the beginning, whatever it is",
    advice: "if a newer FreeBSD wrote it, use a newer snaptool, which knows the layout; else \
             restore the file from a copy",
    source: "sys/amd64/vmm/vmm_snapshot.c; usr.sbin/bhyve/snapshot.c vm_snapshot_buf, \
             vm_restore_kern_structs",
    judge: Judge::Layout,
    ..rule("kern-layout", KERN)
}];

static NOT_RULES: &[NotRule] = &[NotRule {
    about: "records of the kernel",
    fact: "there is a record that nothing here knows",
    because: "bhyve looks for those that it knows, and restores no other: it is listed as not \
              checked",
}];
