//! Rules of the registers of the Intel network card.

use super::super::class::{Argued, Class};
use super::super::finding::Spot;
use super::super::rule::{ANOTHER, Judge, Rule, Severity, Subject, rule};
use super::super::{Chapter, Check};
use super::{E1000, flag};

pub(super) static CHAPTER: Chapter = Chapter {
    title: "`e1000`: registers of the network card",
    rules: RULES,
    argued: ARGUED,
    not_rules: &[],
};

const BITS: &str = "bitmap_value";
const EEPROM: &str = "sc->eeprom_data";
/// What the words of the EEPROM add up to.
const CHECKSUM: u64 = 0xbaba;

/// Registers, and the bits of each that bhyve clears when the guest writes it. Those whose value
/// after a reset has such bits are not here.
const RESERVED: &[(&str, u64)] = &[
    ("sc->esc_FCAH", 0xffff_0000),
    ("sc->esc_FCT", 0xffff_0000),
    ("sc->esc_VET", 0xffff_0000),
    ("sc->esc_FCTTV", 0xffff_0000),
    ("sc->esc_TXCW", 0x3fff_0000),
    ("sc->esc_TIDV", 0xffff_0000),
    ("sc->esc_TXDCTL", 0x00c0_c0c0),
    ("sc->esc_TADV", 0xffff_0000),
    ("sc->esc_TCTL", 0xfe80_0005),
    ("sc->esc_TDBAL", 0xf),
    ("sc->esc_TDLEN", 0xfff0_007f),
    ("sc->esc_RCTL", 0xf920_4c01),
    ("sc->esc_FCRTL", 0xffff_0007),
    ("sc->esc_FCRTH", 0xffff_0007),
    ("sc->esc_RDBAL", 0xf),
    ("sc->esc_RDLEN", 0xfff0_007f),
    ("sc->esc_RDTR", 0xffff_0000),
    ("sc->esc_RXDCTL", 0xfec0_c0c0),
    ("sc->esc_RADV", 0xffff_0000),
    ("sc->esc_RSRPD", 0xffff_f000),
    ("sc->esc_RXCSUM", 0xffff_f800),
];

static RULES: &[Rule] = &[
    Rule {
        subjects: &[
            Subject::bits("sc->esc_FCAH", 0xffff_0000),
            Subject::bits("sc->esc_FCT", 0xffff_0000),
            Subject::bits("sc->esc_VET", 0xffff_0000),
            Subject::bits("sc->esc_FCTTV", 0xffff_0000),
            Subject::bits("sc->esc_TXCW", 0x3fff_0000),
            Subject::bits("sc->esc_TIDV", 0xffff_0000),
            Subject::bits("sc->esc_TXDCTL", 0x00c0_c0c0),
            Subject::bits("sc->esc_TADV", 0xffff_0000),
            Subject::bits("sc->esc_TCTL", 0xfe80_0005),
            Subject::bits("sc->esc_TDBAL", 0xf),
            Subject::bits("sc->esc_TDLEN", 0xfff0_007f),
            Subject::bits("sc->esc_RCTL", 0xf920_4c01),
            Subject::bits("sc->esc_FCRTL", 0xffff_0007),
            Subject::bits("sc->esc_FCRTH", 0xffff_0007),
            Subject::bits("sc->esc_RDBAL", 0xf),
            Subject::bits("sc->esc_RDLEN", 0xfff0_007f),
            Subject::bits("sc->esc_RDTR", 0xffff_0000),
            Subject::bits("sc->esc_RXDCTL", 0xfec0_c0c0),
            Subject::bits("sc->esc_RADV", 0xffff_0000),
            Subject::bits("sc->esc_RSRPD", 0xffff_f000),
            Subject::bits("sc->esc_RXCSUM", 0xffff_f800),
        ],
        condition: "must have the reserved bits clear",
        reason: "bhyve clears them when the guest writes the register",
        bhyve: "restores it; lengths of rings that are no multiple of 128 bytes are used as they \
                are",
        source: "usr.sbin/bhyve/pci_e82545.c e82545_write_register",
        judge: Judge::Relation(reserved),
        ..rule("e1000-reserved", E1000)
    },
    Rule {
        subjects: &[
            Subject::field("sc->esc_irq_asserted"),
            Subject::field("sc->esc_tx_enabled"),
            Subject::field("sc->esc_tx_active"),
            Subject::field("sc->esc_rx_enabled"),
            Subject::field("sc->esc_rx_active"),
            Subject::field("sc->esc_rx_loopback"),
            Subject::field("sc->esc_uni[i].eu_valid"),
        ],
        condition: "must be 0 or 1",
        reason: "it says yes or no",
        bhyve: "restores it and takes any value but 0 for yes",
        source: "usr.sbin/bhyve/pci_e82545.c",
        judge: Judge::Number(flag),
        ..rule("e1000-flags", E1000)
    },
    Rule {
        subjects: &[Subject::field("sc->esc_uni[i].eu_addrsel")],
        condition: "must be 0 to 3",
        reason: "it is two bits of a register",
        bhyve: "restores it; the guest reads other bits of the register wrongly",
        source: "usr.sbin/bhyve/pci_e82545.c e82545_write_ra",
        judge: Judge::Number(|select| select <= 3),
        ..rule("e1000-address-select", E1000)
    },
    Rule {
        subjects: &[Subject::field(BITS)],
        condition: "must be 0 to 16, and the same both times",
        reason: "bhyve writes the number of bits that are still to be shifted, twice",
        bhyve: "restores the second; the guest reads nonsense from the EEPROM until it is reset",
        source: "usr.sbin/bhyve/pci_e82545.c e82545_snapshot, e82545_eecd_strobe",
        judge: Judge::Relation(bits),
        ..rule("e1000-nvm-bits", E1000)
    },
    Rule {
        severity: Severity::Guest,
        subjects: &[Subject::field(EEPROM)],
        condition: "must add up to 0xbaba, as words",
        reason: "bhyve makes it so; drivers refuse the card otherwise, and may write there",
        bhyve: "restores it; the driver may not find the card the next time it starts",
        advice: ANOTHER,
        source: "usr.sbin/bhyve/pci_e82545.c e82545_init_eeprom",
        judge: Judge::Relation(checksum),
        ..rule("e1000-eeprom", E1000)
    },
];

fn reserved(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for (key, mask) in RESERVED {
            if let Some(field) = known.fields.find(key, None, 0)
                && field.u64().is_some_and(|value| value & mask != 0)
            {
                check.breaks(known.record, &field, &[("reserved", *mask)]);
            }
        }
    }
}

fn bits(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let both: Vec<_> = known.fields.root().all(BITS).collect();
        let [first, second] = both.as_slice() else { continue };
        let (Some(one), Some(other)) = (first.u64(), second.u64()) else { continue };
        if one != other || other > 16 {
            check.breaks(known.record, second, &[("the first time", one)]);
        }
    }
}

fn checksum(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let Some(field) = known.fields.find(EEPROM, None, 0) else { continue };
        let sum = field.numbers().sum::<u64>() & 0xffff;
        if sum != CHECKSUM {
            check.breaks_at(known.record, &field, Spot::bytes(126, 2), &[("the sum is", sum)]);
        }
    }
}

static ARGUED: &[Argued] = &[
    Argued {
        records: E1000,
        subjects: &[
            Subject::field("sc->esc_mac"),
            Subject::field("sc->esc_CTRL"),
            Subject::field("sc->esc_FCAL"),
            Subject::field("sc->esc_LEDCTL"),
            Subject::field("sc->esc_PBA"),
            Subject::field("sc->esc_ICR"),
            Subject::field("sc->esc_ITR"),
            Subject::field("sc->esc_ICS"),
            Subject::field("sc->esc_IMS"),
            Subject::field("sc->esc_IMC"),
            Subject::field("sc->esc_FCAH"),
            Subject::field("sc->esc_FCT"),
            Subject::field("sc->esc_VET"),
            Subject::field("sc->esc_FCTTV"),
            Subject::field("sc->esc_TXCW"),
            Subject::field("sc->esc_TCTL"),
            Subject::field("sc->esc_TIPG"),
            Subject::field("sc->esc_AIT"),
            Subject::field("sc->esc_TIDV"),
            Subject::field("sc->esc_TXDCTL"),
            Subject::field("sc->esc_TADV"),
            Subject::field("sc->esc_uni[i].eu_eth"),
            Subject::field("sc->esc_fmcast"),
            Subject::field("sc->esc_fvlan"),
            Subject::field("sc->esc_RCTL"),
            Subject::field("sc->esc_FCRTL"),
            Subject::field("sc->esc_FCRTH"),
            Subject::field("sc->esc_RDTR"),
            Subject::field("sc->esc_RXDCTL"),
            Subject::field("sc->esc_RADV"),
            Subject::field("sc->esc_RSRPD"),
            Subject::field("sc->esc_RXCSUM"),
            Subject::field("sc->io_addr"),
            Subject::field("sc->mdi_control"),
            Subject::field("sc->eeprom_control"),
            Subject::field("sc->nvm_data"),
            Subject::field("sc->nvm_opaddr"),
        ],
        class: Class::Free,
        because: "registers that the guest writes, or what it left in them",
    },
    Argued {
        records: E1000,
        subjects: &[
            Subject::field("sc->esc_txctx.lower_setup.ip_config"),
            Subject::field("sc->esc_txctx.upper_setup.tcp_config"),
            Subject::field("sc->esc_txctx.cmd_and_length"),
            Subject::field("sc->esc_txctx.tcp_seg_setup.data"),
        ],
        class: Class::Free,
        because: "the last context descriptor of the guest; the device checks it when it uses it",
    },
    Argued {
        records: E1000,
        subjects: &[
            Subject::field("sc->missed_pkt_count"),
            Subject::field("sc->pkt_rx_by_size"),
            Subject::field("sc->pkt_tx_by_size"),
            Subject::field("sc->good_pkt_rx_count"),
            Subject::field("sc->bcast_pkt_rx_count"),
            Subject::field("sc->mcast_pkt_rx_count"),
            Subject::field("sc->good_pkt_tx_count"),
            Subject::field("sc->bcast_pkt_tx_count"),
            Subject::field("sc->mcast_pkt_tx_count"),
            Subject::field("sc->oversize_rx_count"),
            Subject::field("sc->tso_tx_count"),
            Subject::field("sc->good_octets_rx"),
            Subject::field("sc->good_octets_tx"),
            Subject::field("sc->missed_octets"),
        ],
        class: Class::Free,
        because: "statistics",
    },
];
