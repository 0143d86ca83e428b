//! Which records have rules, so far as the tests go: what is not listed here is not held to them.

use snapfmt::bhyve::Section;
use snapfmt::state::{Layout, layouts};

/// Records of the kernel that are ruled whole.
pub(crate) const RULED: [&str; 10] =
    ["vhpet", "vm", "vmx", "vioapic", "vlapic", "vmcx", "vatpit", "vatpic", "vpmtmr", "vrtc"];

/// Their layouts.
pub(crate) fn ruled_layouts() -> impl Iterator<Item = &'static Layout> {
    layouts::all().filter(|layout| {
        layout.section == Section::Kern && RULED.iter().any(|name| layout.names.contains(name))
    })
}

/// Records of devices, which are ruled whole.
pub(crate) fn device_layouts() -> impl Iterator<Item = &'static Layout> {
    layouts::all().filter(|layout| layout.section == Section::Device)
}

/// Whether the rules are held to a record.
pub(crate) fn ruled(section: Section, name: &str) -> bool {
    section == Section::Device || RULED.contains(&name)
}
