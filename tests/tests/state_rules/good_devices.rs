//! Good states of devices pass: never set up, half way through, as other versions write them.

use proptest::prelude::*;
use snapfmt::state::rules::Machine;

use crate::cases::{AMD, INTEL, INTEL_4, OLD_AMD, OLD_INTEL};
use crate::fixture::{Edit, Fixture, Memory, set, write};
use crate::good::passes;

const NONE: u64 = u64::MAX;
const CONFIG: &str = "pi->pi_cfgdata";

/// A fixture in which the first record of a family has other bytes, maybe more or fewer.
fn rewritten(fixture: &Fixture, family: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Fixture {
    let machine = Machine::from_kern(&fixture.meta, &fixture.kern);
    let first = machine.records.iter().position(|record| record.family == family).unwrap();
    let mut change = Some(change);
    let (mut meta, mut kern) = (fixture.meta.clone(), Vec::new());
    meta.records.clear();
    for (number, record) in machine.records.iter().enumerate() {
        let mut entry = record.entry.clone();
        entry.offset = kern.len() as u64;
        if number == first {
            kern.extend(change.take().unwrap()(record.bytes.to_vec()));
        } else {
            kern.extend(record.bytes);
        }
        entry.size = kern.len() as u64 - entry.offset;
        meta.records.push(entry);
    }
    Fixture { meta, kern }
}

/// The bytes of a record without those from one field up to another.
fn without(fixture: &Fixture, family: &str, from: (&str, u32), to: (&str, u32)) -> Fixture {
    without_in(fixture, fixture, family, from, to)
}

/// As [`without`], from one machine, at the places where the fields are in another.
fn without_in(
    places: &Fixture,
    fixture: &Fixture,
    family: &str,
    from: (&str, u32),
    to: (&str, u32),
) -> Fixture {
    let machine = Machine::from_kern(&places.meta, &places.kern);
    let known = machine.family(family).next().unwrap();
    let at = |(key, nth)| known.fields.find(key, None, nth).unwrap().offset() as usize;
    let range = at(from)..at(to);
    rewritten(fixture, family, |mut bytes| {
        bytes.drain(range);
        bytes
    })
}

fn layout(fixture: &Fixture, family: &str) -> &'static str {
    let machine = Machine::from_kern(&fixture.meta, &fixture.kern);
    machine.family(family).next().unwrap().fields.layout().id
}

#[test]
fn a_disk_whose_driver_was_never_loaded_passes() {
    for name in [INTEL, OLD_INTEL, INTEL_4] {
        let disk = |key, value| set("virtio-blk", key, value);
        let reset = [
            disk("vs->vs_negotiated_caps", 0),
            disk("vs->vs_status", 0),
            disk("vs->vs_msix_cfg_idx", 0xffff),
            disk("vq->vq_flags", 0),
            disk("vq->vq_last_avail", 0),
            disk("vq->vq_next_used", 0),
            disk("vq->vq_save_used", 0),
            disk("vq->vq_msix_idx", 0xffff),
            disk("vq->vq_pfn", 0),
        ];
        // Its place is found in the fixture: when the flags are 0, there are no rings.
        let cut = without_in(
            Fixture::of(name),
            &Fixture::of(name).with(&reset),
            "virtio-blk",
            ("vq->vq_desc", 0),
            ("sc->vbsc_cfg", 0),
        );
        passes(name, &cut, &[]);
    }
}

#[test]
fn what_a_guest_can_do_to_virtio_passes() {
    let net = |key, value| set("virtio-net", key, value);
    let disk = |key, value| set("virtio-blk", key, value);
    let unnegotiated = [
        net("vs->vs_negotiated_caps", 0),
        net("vs->vs_status", 0),
        net("sc->vsc_features", 0),
        net("sc->rx_merge", 0),
        net("sc->vhdrlen", 10),
    ];
    let newer = [&unnegotiated[..], &[net("sc->features_negotiated", 0)]].concat();
    passes("no features", &Fixture::of(OLD_INTEL).with(&unnegotiated), &[]);
    passes("no features", &Fixture::of(INTEL).with(&newer), &[]);
    let detached = [
        disk("vq->vq_pfn", 0),
        disk("vq->vq_desc", 0),
        disk("vq->vq_avail", 0x800),
        disk("vq->vq_used", 0x1000),
    ];
    for name in [INTEL, OLD_INTEL] {
        passes("no queue selected", &Fixture::of(name).with(&[net("vs->vs_curq", 0xffff)]), &[]);
        passes("rings at page 0", &Fixture::of(name).with(&detached), &[]);
        let interrupts = [net("vs->vs_isr", 3), disk("vs->vs_isr", 1)];
        passes("interrupts", &Fixture::of(name).with(&interrupts), &[]);
    }
}

#[test]
fn a_network_card_that_was_reset_passes() {
    let card = |key, value| set("e1000", key, value);
    let reset = [
        card("sc->esc_tx_enabled", 0),
        card("sc->esc_rx_enabled", 0),
        card("sc->esc_TCTL", 0),
        card("sc->esc_RCTL", 0),
        card("sc->esc_TDLEN", 0),
        card("sc->esc_RDLEN", 0),
        card("sc->esc_TDT", 0),
        card("sc->esc_RDT", 0),
        card("sc->esc_tdba", 0),
        card("sc->esc_txdesc", NONE),
        card("sc->esc_rxdesc", NONE),
        card("sc->esc_TXDCTL", 0),
        card("sc->esc_RXCSUM", 0),
    ];
    // Registers that the driver is about to set up.
    let half = [card("sc->esc_RDT", 0xffff), card("sc->esc_TDH", 7), card("sc->esc_TDBAL", 0x1230)];
    for name in [INTEL_4, OLD_AMD] {
        passes(name, &Fixture::of(name).with(&reset), &[]);
        passes(name, &Fixture::of(name).with(&[&reset[..], &half].concat()), &[]);
    }
}

/// MSI of the USB controller and MSI-X of the disk, and a BAR whose size the guest asks.
#[test]
fn interrupts_that_are_off_or_masked_and_bars_that_are_sized_pass() {
    let xhci = |key, value| set("xhci", key, value);
    let off = [
        xhci("pi->pi_msi.enabled", 0),
        xhci("pi->pi_msi.maxmsgnum", 0),
        xhci(CONFIG, 0x80).bytes(0x42, 2),
    ];
    let sized = [xhci("pi->pi_bar[i].addr", 0xffff_f000), xhci(CONFIG, 0xffff_f000).bytes(0x10, 4)];
    for name in [AMD, INTEL_4, OLD_AMD] {
        passes("MSI off", &Fixture::of(name).with(&off), &[]);
        passes("sized", &Fixture::of(name).with(&sized), &[]);
    }
    let masked = [
        set("virtio-blk", "pi->pi_msix.function_mask", 0x4000),
        set("virtio-blk", CONFIG, 0xc001).bytes(0x42, 2),
    ];
    for name in [INTEL, OLD_INTEL] {
        passes("masked", &Fixture::of(name).with(&masked), &[]);
    }
}

#[test]
fn buffers_that_wrap_pass() {
    let uart = |key, value| set("lpc", key, value);
    let serial = [
        uart("sc->rxfifo.rindex", 14),
        uart("sc->rxfifo.num", 5),
        uart("sc->rxfifo.windex", 3),
        uart("sc->lsr", 0x63),
    ];
    let full = [uart("sc->rxfifo.num", 1).nth(1), uart("sc->lsr", 0x61).nth(1)];
    let both = |part, key, value| {
        [set("atkbdc", key, value), set("atkbdc", "atkbdc_sc->kbd", value).part(part)]
    };
    let keyboard = [
        both("brd", "atkbdc_sc->kbd.brd", 13),
        both("bcnt", "atkbdc_sc->kbd.bcnt", 4),
        both("bwr", "atkbdc_sc->kbd.bwr", 2),
    ]
    .concat();
    for name in [INTEL, OLD_AMD] {
        passes("serial port", &Fixture::of(name).with(&serial), &[]);
        passes("no FIFO", &Fixture::of(name).with(&full), &[]);
        passes("keyboard", &Fixture::of(name).with(&keyboard), &[]);
    }
}

#[test]
fn a_controller_with_32_ports_passes() {
    let ahci = |key, value| set("ahci", key, value);
    let ports = [
        ahci("sc->ports", 32),
        ahci("sc->cap", 0xff30_ff3f),
        ahci("pi->pi_bar[i].size", 0x2000).nth(5),
        // Stopped, with a list that it will use when it is started.
        ahci("port->cmd", 0x0006),
        ahci("port->clb", 0x12_3401),
    ];
    passes("32 ports", &Fixture::of(AMD).with(&ports), &[]);
}

/// What later sources of bhyve write: no number of devices, 64-bit addresses.
fn later_xhci(name: &str) -> Fixture {
    let fixture =
        without(Fixture::of(name), "xhci", ("sc->ndevices", 0), ("sc->usb2_port_start", 0));
    fixture.with(&[set("xhci", "sc->hccparams1", 0x0340_1281)])
}

#[test]
fn usb_controllers_of_later_bhyve_pass() {
    for (name, id) in [(AMD, "xhci-pci452-one"), (OLD_AMD, "xhci-pci436-one")] {
        let fixture = later_xhci(name);
        assert_eq!(layout(&fixture, "xhci"), id);
        passes(name, &fixture, &[]);
        let registers = 36 + 52 + 72;
        let none = rewritten(&fixture, "xhci", |bytes| {
            let prefix = if name == AMD { 452 } else { 436 };
            let head = &bytes[..prefix + registers];
            let slots = 8_u32.to_le_bytes().repeat(64);
            [head, &slots, &bytes[bytes.len() - 8..]].concat()
        });
        assert_eq!(layout(&none, "xhci"), id.replace("one", "none"));
        passes(name, &none, &[]);
    }
}

/// A tablet that the guest has not addressed has no device context, and no endpoints then.
#[test]
fn a_usb_device_that_was_never_addressed_passes() {
    for name in [AMD, OLD_AMD] {
        for source in [Fixture::of(name), &later_xhci(name)] {
            let cut = without(source, "xhci", ("xfer", 0), ("dev->dev_slotstate", 0));
            let at = {
                let machine = Machine::from_kern(&source.meta, &source.kern);
                let known = machine.family("xhci").next().unwrap();
                known.fields.find("dev->dev_ctx", None, 0).unwrap().offset() as usize
            };
            let fixture = rewritten(&cut, "xhci", |mut bytes| {
                bytes[at..at + 8].copy_from_slice(&NONE.to_le_bytes());
                bytes
            });
            let fixture = fixture.with(&[
                set("xhci", "dev->dev_slotstate", 0),
                set("xhci", "dev->hci.hci_address", 0),
            ]);
            passes(name, &fixture, &[]);
        }
    }
}

#[test]
fn a_host_bridge_of_another_maker_passes() {
    let edits: [Edit; 1] = [write("hostbridge", CONFIG, &[0x22, 0x10, 0x32, 0x74])];
    passes("AMD host bridge", &Fixture::of(INTEL).with(&edits), &[]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn rules_that_read_memory_never_panic(
        name in prop::sample::select(vec![INTEL, AMD]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<[u8; 8]>()), 1..40),
    ) {
        let mut fixture = Fixture::of(name).with(&[]);
        let kernel: u64 = fixture.meta.section(snapfmt::bhyve::Section::Kern).map(|r| r.size).sum();
        let kernel = kernel as usize;
        let len = fixture.kern.len() - kernel;
        for (index, bytes) in changes {
            let at = kernel + index.index(len - bytes.len());
            fixture.kern[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        let memory = Memory::of(name);
        let report = fixture.check(Some(&memory), None);
        prop_assert!(report.findings.iter().all(|f| !f.to_string().contains('\n')));
    }
}
