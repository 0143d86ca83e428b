//! A snapshot on one screen of 24 lines and 80 columns.

use std::io::{self, Write};

use snapfmt::bhyve::Generation;
use snapfmt::bhyve::records::Vendor;
use snapfmt::state::{Scope, Unknown};

use super::super::facts::{Facts, Memory};
use super::super::text::verdict_words;
use super::cpu::Cpu;
use super::lapic::Lapic;
use super::machine::{Machine, Rec, State};
use super::page::cut;
use super::virtio::Standing;
use super::words::{bits, count, ranges, vectors};
use super::{ahci, e1000, hpet, ioapic, rtc};
use crate::text::{escape, size, time};

/// Virtual CPUs that have a line.
const CPUS: usize = 5;

/// Lines that devices may take.
const DEVICES: usize = 6;

/// Columns of the names on the left.
const NAMES: usize = 10;

/// Shows the summary.
pub(in crate::cmd::inspect) fn render(
    facts: &Facts,
    machine: &Machine<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut screen = Screen { out };
    screen.line(&format!("{}: {}", facts.input, verdict_words(facts)))?;
    header(facts, machine, &mut screen)?;
    cpus(machine, &mut screen)?;
    devices(machine, &mut screen)?;
    pending(machine, &mut screen)?;
    wrong(facts, &mut screen)
}

struct Screen<'a> {
    out: &'a mut dyn Write,
}

impl Screen<'_> {
    const WIDTH: usize = 80;

    fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{}", cut(line, Self::WIDTH).trim_end())
    }

    fn pair(&mut self, name: &str, value: &str) -> io::Result<()> {
        self.line(&format!("{name:<NAMES$}  {value}"))
    }
}

fn header(facts: &Facts, machine: &Machine<'_>, screen: &mut Screen<'_>) -> io::Result<()> {
    let vendor = match machine.evidence.vendor {
        Some(Vendor::Intel) => "Intel",
        Some(Vendor::Amd) => "AMD",
        None => "vendor unknown",
    };
    let generation = match machine.evidence.generation {
        Generation::A => "FreeBSD 13",
        Generation::B => "FreeBSD 14 or later",
    };
    if let Some(vm) = &facts.vm {
        let (name, cpus) = (escape(&vm.name), count(vm.ncpus, "vcpu"));
        let memory = size(vm.memsize);
        screen.pair("machine", &format!("{name}, {cpus}, {memory}; {vendor}, {generation}"))?;
    }
    let claim = facts.claims.header.as_ref().map(|header| ("claimed: ", header));
    if let Some((mark, header)) = facts.header.as_ref().map(|header| ("", header)).or(claim) {
        let created = i64::try_from(header.created).map_or_else(|_| "never".to_owned(), time);
        screen.pair("producer", &format!("{mark}{}, {created}", escape(&header.producer)))?;
    }
    let clock = machine.kernel("vrtc").and_then(Rec::known);
    if let Some(clock) = clock.and_then(|fields| rtc::guest_time(fields.root())) {
        screen.pair("guest time", &clock)?;
    }
    if let Some(content) = &facts.content {
        screen.pair("content", content)?;
    }
    match &facts.memory {
        Some(memory) => screen.pair("memory", &memory_words(memory)),
        None => Ok(()),
    }
}

fn memory_words(memory: &Memory) -> String {
    let segments = memory.segments.iter();
    let segments = segments.map(|s| format!("{} at {}", size(s.len), place(s.gpa)));
    let mut words = segments.collect::<Vec<_>>().join(", ");
    if let Some(pages) = memory.data_pages {
        words.push_str(&format!("; {} of data", size(pages.saturating_mul(4096))));
    }
    if let Some(stored) = memory.stored_bytes {
        words.push_str(&format!(" in {}", size(stored)));
    }
    words
}

fn place(gpa: u64) -> String {
    if gpa == 0 { "0".to_owned() } else { size(gpa) }
}

fn cpus(machine: &Machine<'_>, screen: &mut Screen<'_>) -> io::Result<()> {
    let known = ["vmcx", "vmx", "vm"].iter().any(|name| machine.kernel(name).is_some());
    let Some(ncpus) = machine.ncpus.filter(|_| known) else {
        return screen.line("\ncpus are not known: no record of theirs has a layout that is known");
    };
    screen.line("")?;
    screen.line("cpu  mode                  cpl  rip                 local APIC")?;
    for vcpu in (0..ncpus).take(CPUS) {
        let cpu = Cpu::of(machine, vcpu);
        let mode = cpu.mode().unwrap_or_else(|| "?".to_owned());
        let cpl = cpu.cpl().map_or_else(|| "?".to_owned(), |cpl| cpl.to_string());
        let rip = cpu.rip().map_or_else(|| "?".to_owned(), |rip| format!("{rip:#x}"));
        let apic = apic(machine, vcpu);
        screen.line(&format!("{vcpu:>3}  {mode:<20}  {cpl:>3}  {rip:<18}  {apic}"))?;
    }
    let left = usize::try_from(ncpus).unwrap_or(usize::MAX).saturating_sub(CPUS);
    if left > 0 { screen.line(&format!("     and {left} more")) } else { Ok(()) }
}

/// What the local APIC of a virtual CPU has to do.
fn apic(machine: &Machine<'_>, vcpu: u32) -> String {
    if machine.waits(vcpu) {
        return "waits for its SIPI".to_owned();
    }
    let Some(lapic) = machine.slot("vlapic", vcpu).and_then(Lapic::of) else {
        return "?".to_owned();
    };
    let mut words = Vec::new();
    for (name, prefix) in [("pending", "irr"), ("in service", "isr")] {
        let all = lapic.vectors(prefix);
        if !all.is_empty() {
            words.push(format!("{name} {}", vectors(&all)));
        }
    }
    words.extend(lapic.timer().and_then(|timer| {
        let mode = timer.split(',').next()?;
        Some(format!("timer {mode}"))
    }));
    if !lapic.enabled() {
        words.push("disabled".to_owned());
    }
    if words.is_empty() { "idle".to_owned() } else { words.join(", ") }
}

fn devices(machine: &Machine<'_>, screen: &mut Screen<'_>) -> io::Result<()> {
    let all = machine.records.iter().filter(|record| record.section == "devices");
    let there = all.filter(|record| !matches!(record.state, State::Unknown(Unknown::Absent)));
    let words: Vec<_> =
        there.map(|record| format!("{} {}", escape(record.name), device(record))).collect();
    screen.line("\ndevices")?;
    let mut lines: Vec<(String, usize)> = Vec::new();
    for word in &words {
        match lines.last_mut() {
            Some((line, count))
                if line.chars().count() + 2 + word.chars().count() <= Screen::WIDTH =>
            {
                *line = format!("{line}; {word}");
                *count += 1;
            }
            _ => lines.push((format!("  {word}"), 1)),
        }
    }
    let shown: usize = lines.iter().take(DEVICES).map(|(_, count)| count).sum();
    for (line, _) in lines.iter().take(DEVICES) {
        screen.line(line)?;
    }
    let left = words.len().saturating_sub(shown);
    if left > 0 { screen.line(&format!("  and {left} more")) } else { Ok(()) }
}

/// The state of a device in a word or two.
fn device(record: &Rec<'_>) -> String {
    let fields = match &record.state {
        State::Known(fields) => fields,
        State::Claimed(..) => return "DOES NOT FIT its layout".to_owned(),
        State::Unknown(_) => return "unknown".to_owned(),
    };
    let root = fields.root();
    let or = |busy: bool, yes: &str, no: &str| (if busy { yes } else { no }).to_owned();
    match record.base() {
        "virtio-blk" | "virtio-net" | "virtio-rnd" => virtio(record.base(), root),
        "ahci" | "ahci-hd" | "ahci-cd" => or(ahci::busy(root), "busy", "idle"),
        "e1000" => or(e1000::unsent(root), "sending", "idle"),
        "xhci" => {
            let running = root.u64("sc->opregs.usbcmd").is_some_and(|command| command & 1 == 1);
            or(running, "running", "stopped")
        }
        "lpc" => {
            let unread = root.all("sc->rxfifo.num").filter_map(|field| field.u64()).sum::<u64>();
            if unread == 0 { "idle".to_owned() } else { count(unread, "character") + " unread" }
        }
        "atkbdc" => {
            let unread = root.u64("atkbdc_sc->kbd.bcnt").unwrap_or_default();
            if unread == 0 { "idle".to_owned() } else { count(unread, "character") + " unread" }
        }
        "hostbridge" | "amd_hostbridge" | "fbuf" => "there".to_owned(),
        _ => count(fields.len() as u64, "field"),
    }
}

/// Buffers that wait in the receive queue of a network card are not work.
fn virtio(base: &str, root: Scope<'_, '_>) -> String {
    let status = root.u64("vs->vs_status").unwrap_or_default();
    if status >> 2 & 1 == 0 {
        return "not driven".to_owned();
    }
    let queues = root.groups("queues").filter(|queue| base != "virtio-net" || queue.index() > 0);
    let standing = queues.filter_map(Standing::of).filter(Standing::busy);
    let flight: u64 =
        standing.map(|one| u64::from(one.waiting).saturating_add(one.taken.into())).sum();
    if flight == 0 { "idle".to_owned() } else { format!("{flight} in flight") }
}

/// Timers that run, and interrupts that are under way outside of local APICs.
fn pending(machine: &Machine<'_>, screen: &mut Screen<'_>) -> io::Result<()> {
    let root = |name: &str| Some(machine.kernel(name)?.known()?.root());
    let mut words = Vec::new();
    if let Some(root) = root("vioapic") {
        let pins = ranges(ioapic::busy(root).into_iter().map(u64::from));
        if !pins.is_empty() {
            words.push(format!("IOAPIC pins {pins}"));
        }
    }
    if let Some(root) = root("vatpic") {
        for (pic, first) in root.groups("pics").zip([0, 8]) {
            let number = |key: &str| pic.u64(key).unwrap_or_default();
            let asked = number("atpic->request") & !number("atpic->mask");
            let irqs = ranges(bits(asked).map(|bit| bit + first));
            if !irqs.is_empty() {
                words.push(format!("PIC IRQ {irqs}"));
            }
        }
    }
    let hpet = root("vhpet").filter(|root| root.u64("vhpet->config").is_some_and(|c| c & 1 == 1));
    if let Some(root) = hpet {
        words.push(format!("HPET counts, {} armed", count(hpet::armed(root) as u64, "timer")));
    }
    let words = if words.is_empty() {
        "nothing outside of local APICs".to_owned()
    } else {
        words.join("; ")
    };
    screen.line("")?;
    screen.pair("pending", &words)
}

fn wrong(facts: &Facts, screen: &mut Screen<'_>) -> io::Result<()> {
    if !facts.damage.is_empty() {
        screen.pair("damage", &format!("in {}", count(facts.damage.len() as u64, "place")))?;
    }
    match facts.findings.len() as u64 {
        0 => Ok(()),
        findings => screen.pair("rules", &count(findings, "finding")),
    }
}
