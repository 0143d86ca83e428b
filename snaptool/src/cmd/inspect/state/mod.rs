//! Device records in the words of the manuals: what each family of records holds.
//!
//! ```text
//! machine (records, layouts) ─┬─> render: cpu, lapic, ioapic, ... ─> page
//!                             ├─> table, json: every field there is
//!                             └─> summary
//! ```
//! Renderers find fields by their keys. Of a record that is only claimed, some are absent, so its
//! fields are shown one by one. Nothing here judges; that is for the rules.

mod ahci;
mod bits;
mod caps;
mod controls;
mod cpu;
mod e1000;
mod generic;
mod hpet;
mod ioapic;
pub(super) mod json;
mod lapic;
mod lpc;
pub(in crate::cmd) mod machine;
mod page;
mod path;
mod pci;
mod pic;
mod pit;
mod ps2;
mod rtc;
mod segments;
mod show;
pub(super) mod summary;
mod virtio;
mod vm;
mod words;
mod xhci;

use std::io::{self, Write};

use snapfmt::state::Scope;

use self::machine::{Machine, Rec, State};
use self::page::Page;
pub(in crate::cmd) use self::page::WIDTH;
pub(in crate::cmd) use self::path::{Place, places};
pub(in crate::cmd) use self::show::{change, shown};
pub(in crate::cmd) use self::words::part as part_words;

/// What is asked of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    /// One virtual CPU only.
    pub(super) vcpu: Option<u32>,
    /// Every field.
    pub(super) fields: bool,
    /// What they say.
    pub(super) words: bool,
    /// Columns of the screen.
    pub(super) width: usize,
}

/// A record in the making: what there is to show it by.
struct View<'m, 'a> {
    machine: &'m Machine<'a>,
    record: &'m Rec<'a>,
    root: Scope<'m, 'a>,
    vcpu: Option<u32>,
}

impl<'m, 'a> View<'m, 'a> {
    /// The slots of virtual CPUs that are to be shown.
    fn slots(&self) -> impl Iterator<Item = (u32, Scope<'m, 'a>)> {
        let (vcpu, ncpus) = (self.vcpu, self.machine.ncpus);
        let slots = (0_u32..).zip(self.root.groups("vcpus"));
        slots.filter(move |(number, _)| match vcpu {
            Some(vcpu) => *number == vcpu,
            None => ncpus.is_none_or(|ncpus| *number < ncpus),
        })
    }

    /// Notes slots of virtual CPUs that the machine has not.
    fn unused(&self, page: &mut Page) {
        let slots = self.root.record().slots();
        let ncpus = self.machine.ncpus.filter(|ncpus| *ncpus < slots && self.vcpu.is_none());
        if let Some(ncpus) = ncpus {
            page.head(&format!("slots {ncpus} to {}", slots.saturating_sub(1)));
            page.line("of virtual CPUs that the machine does not have");
        }
    }
}

/// Shows what is in a record; all lines are marked if its layout does not fit.
pub(super) fn render(
    machine: &Machine<'_>,
    record: &Rec<'_>,
    ask: Ask,
    out: &mut dyn Write,
) -> io::Result<()> {
    let fields = match &record.state {
        State::Known(fields) => {
            let layout = fields.layout();
            let guess = if machine.described { "" } else { ", told without .meta" };
            let count = words::count(fields.len() as u64, "field");
            writeln!(out, "layout {}, {count}{guess}", layout.id)?;
            fields
        }
        State::Claimed(fields, misfit) => {
            let layout = fields.layout().id;
            writeln!(out, "it has not the layout {layout}: {misfit}")?;
            if fields.is_empty() {
                return Ok(());
            }
            writeln!(out, "what that makes of the bytes before is claimed:")?;
            fields
        }
        State::Unknown(unknown) => {
            writeln!(out, "its fields are not known: {unknown}")?;
            return Ok(());
        }
    };
    let mark = if record.known().is_some() { "" } else { "claimed: " };
    if ask.words {
        words_of(machine, record, ask, fields.root(), mark, out)?;
    }
    if ask.fields {
        writeln!(out)?;
        generic::table(fields, ask.vcpu, mark, out)?;
    }
    Ok(())
}

fn words_of(
    machine: &Machine<'_>,
    record: &Rec<'_>,
    ask: Ask,
    root: Scope<'_, '_>,
    mark: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    let view = View { machine, record, root, vcpu: ask.vcpu };
    let mut page = Page::new(ask.width.saturating_sub(mark.len()));
    family(&view, &mut page);
    writeln!(out)?;
    page.print(mark, out)
}

fn family(view: &View<'_, '_>, page: &mut Page) {
    if view.root.get("pi->pi_cfgdata").is_some() {
        pci::render(view, page);
    }
    if view.record.known().is_none() {
        // Words for a family would take what is not there for zeros.
        return generic::render(view, page);
    }
    match view.record.base() {
        "vm" => vm::render(view, page),
        "vmcx" | "vmx" => cpu::render(view, page),
        "vlapic" => lapic::render(view, page),
        "vioapic" => ioapic::render(view, page),
        "vhpet" => hpet::render(view, page),
        "vatpit" => pit::render(view, page),
        "vatpic" => pic::render(view, page),
        "vrtc" => rtc::render(view, page),
        "virtio-blk" | "virtio-net" | "virtio-rnd" => virtio::render(view, page),
        "ahci" | "ahci-hd" | "ahci-cd" => ahci::render(view, page),
        "e1000" => e1000::render(view, page),
        "xhci" => xhci::render(view, page),
        "lpc" => lpc::render(view, page),
        "atkbdc" => ps2::render(view, page),
        _ => generic::render(view, page),
    }
}
