//! The two 8259 interrupt controllers: `vatpic`.

use snapfmt::state::Scope;

use super::View;
use super::page::Page;
use super::words::{bits, ranges};

/// Shows both.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    let triggers = view.root.bytes("vatpic->elc").unwrap_or_default();
    let names = [("master, IRQ 0 to 7", 0), ("slave, IRQ 8 to 15", 8)];
    for (pic, (name, first)) in view.root.groups("pics").zip(names) {
        page.head(name);
        one(pic, first, page);
        let level = triggers.get(pic.index() as usize).copied().unwrap_or_default();
        page.pair("level", irqs(level.into(), first));
    }
}

fn one(pic: Scope<'_, '_>, first: u64, page: &mut Page) {
    let number = |key: &str| pic.u64(key).unwrap_or_default();
    let ready = match (number("atpic->ready"), number("atpic->icw_num")) {
        (0, 0) => "not initialised".to_owned(),
        (0, word) => format!("being initialised, ICW{word} is next"),
        _ => format!("vectors from {:#x}", number("atpic->irq_base")),
    };
    page.pair("state", ready);
    page.pair("requested", irqs(number("atpic->request"), first));
    page.pair("in service", irqs(number("atpic->service"), first));
    page.pair("masked", irqs(number("atpic->mask"), first));
    let modes = [
        ("automatic EOI", "atpic->aeoi"),
        ("poll", "atpic->poll"),
        ("rotating", "atpic->rotate"),
        ("special fully nested", "atpic->sfn"),
        ("special mask", "atpic->smm"),
        ("output asserted", "atpic->intr_raised"),
    ];
    let set = modes.iter().filter(|(_, key)| number(key) != 0).map(|(name, _)| *name);
    let set = set.collect::<Vec<_>>().join(", ");
    page.pair("modes", if set.is_empty() { "none" } else { &set });
    if let Some(counts) = pic.get("atpic->acnt") {
        let asserted = (first..).zip(counts.numbers()).filter(|(_, count)| *count != 0);
        let asserted = asserted.map(|(irq, count)| format!("IRQ {irq} by {count}"));
        let asserted = asserted.collect::<Vec<_>>().join(", ");
        page.pair("asserted", if asserted.is_empty() { "none" } else { &asserted });
    }
}

fn irqs(set: u64, first: u64) -> String {
    let all = ranges(bits(set).map(|bit| first + bit));
    if all.is_empty() { "none".to_owned() } else { format!("IRQ {all}") }
}
