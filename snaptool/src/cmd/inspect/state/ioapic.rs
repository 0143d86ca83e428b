//! The I/O APIC: `vioapic`.

use snapfmt::state::Scope;

use super::View;
use super::page::Page;

/// Shows all pins; those that are the same are one line.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    page.some("IOREGSEL", view.root.u64("vioapic->ioregsel").map(|value| format!("{value:#x}")));
    let mut runs: Vec<(u32, u32, String)> = Vec::new();
    for pin in view.root.groups("pins") {
        let Some(words) = pin_words(pin) else { continue };
        match runs.last_mut() {
            Some((_, last, same)) if *same == words => *last = pin.index(),
            _ => runs.push((pin.index(), pin.index(), words)),
        }
    }
    for (first, last, words) in runs {
        let name =
            if first == last { format!("pin {first}") } else { format!("pins {first}-{last}") };
        page.pair(&name, words);
    }
}

fn pin_words(pin: Scope<'_, '_>) -> Option<String> {
    let entry = pin.u64("vioapic->rtbl[i].reg")?;
    let asserted = pin.i64("vioapic->rtbl[i].acnt").unwrap_or_default();
    let mut words = sentence(entry);
    if asserted != 0 {
        words.push_str(&format!(", asserted by {asserted}"));
    }
    Some(words)
}

/// How many pins are asserted and not masked, or wait for an EOI.
pub(super) fn busy(root: Scope<'_, '_>) -> Vec<u32> {
    let all = root.groups("pins").filter(|pin| {
        let entry = pin.u64("vioapic->rtbl[i].reg").unwrap_or_default();
        let asserted = pin.i64("vioapic->rtbl[i].acnt").unwrap_or_default() > 0;
        entry >> 14 & 1 == 1 || asserted && entry >> 16 & 1 == 0
    });
    all.map(Scope::index).collect()
}

/// An entry of the redirection table.
fn sentence(entry: u64) -> String {
    let bit = |number: u32| entry >> number & 1 == 1;
    let mode = match entry >> 8 & 7 {
        0 => "fixed",
        1 => "lowest priority",
        2 => "SMI",
        4 => "NMI",
        5 => "INIT",
        7 => "ExtINT",
        _ => "of no known mode",
    };
    let dest = entry >> 56;
    let dest =
        if bit(11) { format!("logical dest {dest:#x}") } else { format!("physical dest {dest}") };
    let trigger = if bit(15) { "level" } else { "edge" };
    let active = if bit(13) { "active low" } else { "active high" };
    let mut words = format!("vector {:#x}, {mode}, {dest}, {trigger}, {active}", entry & 0xff);
    for (number, word) in [(12, "pending"), (14, "remote IRR"), (16, "masked")] {
        if bit(number) {
            words.push_str(", ");
            words.push_str(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn an_entry_is_a_sentence() {
        assert_eq!(
            sentence(0x1_0034),
            "vector 0x34, fixed, physical dest 0, edge, active high, masked"
        );
        assert_eq!(
            sentence(0x0300_0000_0000_f931),
            "vector 0x31, lowest priority, logical dest 0x3, level, active low, pending, remote IRR"
        );
    }
}
