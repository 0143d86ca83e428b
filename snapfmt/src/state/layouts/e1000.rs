//! The Intel 82545 network card: `e1000`.

use super::super::dsl::*;
use super::super::schema::{Item, Layout, Repeat, Width};
use super::pci::pci;

const COMMON: &[Item] = &[
    mac("sc->esc_mac"),
    u32("sc->esc_CTRL").bits(),
    u32("sc->esc_FCAL").bits(),
    u32("sc->esc_FCAH").bits(),
    u32("sc->esc_FCT").bits(),
    u32("sc->esc_VET").bits(),
    u32("sc->esc_FCTTV").bits(),
    u32("sc->esc_LEDCTL").bits(),
    u32("sc->esc_PBA").bits(),
    i32("sc->esc_irq_asserted").flag(),
    u32("sc->esc_ICR").bits().means("interrupts pending"),
    u32("sc->esc_ITR").bits(),
    u32("sc->esc_ICS").bits(),
    u32("sc->esc_IMS").bits().means("interrupts enabled"),
    u32("sc->esc_IMC").bits(),
];

const TRANSMIT: &[Item] = &[
    u32("sc->esc_txctx.lower_setup.ip_config").bits(),
    u32("sc->esc_txctx.upper_setup.tcp_config").bits(),
    u32("sc->esc_txctx.cmd_and_length").bits(),
    u32("sc->esc_txctx.tcp_seg_setup.data").bits(),
    i32("sc->esc_tx_enabled").flag(),
    i32("sc->esc_tx_active").flag(),
    u32("sc->esc_TXCW").bits(),
    u32("sc->esc_TCTL").bits(),
    u32("sc->esc_TIPG").bits(),
    u16("sc->esc_AIT").bits(),
    u64("sc->esc_tdba").bits().means("address of the transmit ring"),
    u32("sc->esc_TDBAL").bits(),
    u32("sc->esc_TDBAH").bits(),
    u32("sc->esc_TDLEN").means("bytes of the transmit ring, 16 a descriptor"),
    u16("sc->esc_TDH").means("head of the transmit ring"),
    u16("sc->esc_TDHr").means("head of the transmit ring, as the guest sees it"),
    u16("sc->esc_TDT").means("tail of the transmit ring"),
    u32("sc->esc_TIDV").bits(),
    u32("sc->esc_TXDCTL").bits(),
    u32("sc->esc_TADV").bits(),
    gpa("sc->esc_txdesc").means("transmit ring"),
];

const FILTER: &[Item] = &[
    group(
        "unicast",
        Repeat::Times(16),
        &[
            i32("sc->esc_uni[i].eu_valid").flag(),
            i32("sc->esc_uni[i].eu_addrsel"),
            mac("sc->esc_uni[i].eu_eth"),
        ],
    ),
    ints("sc->esc_fmcast", Width::Four, 128).bits().means("multicast filter"),
    ints("sc->esc_fvlan", Width::Four, 128).bits().means("VLAN filter"),
];

const RECEIVE: &[Item] = &[
    i32("sc->esc_rx_enabled").flag(),
    i32("sc->esc_rx_active").flag(),
    i32("sc->esc_rx_loopback").flag(),
    u32("sc->esc_RCTL").bits(),
    u32("sc->esc_FCRTL").bits(),
    u32("sc->esc_FCRTH").bits(),
    u64("sc->esc_rdba").bits().means("address of the receive ring"),
    u32("sc->esc_RDBAL").bits(),
    u32("sc->esc_RDBAH").bits(),
    u32("sc->esc_RDLEN").means("bytes of the receive ring, 16 a descriptor"),
    u16("sc->esc_RDH").means("head of the receive ring"),
    u16("sc->esc_RDT").means("tail of the receive ring"),
    u32("sc->esc_RDTR").bits(),
    u32("sc->esc_RXDCTL").bits(),
    u32("sc->esc_RADV").bits(),
    u32("sc->esc_RSRPD").bits(),
    u32("sc->esc_RXCSUM").bits(),
    gpa("sc->esc_rxdesc").means("receive ring"),
];

const REST: &[Item] = &[
    u32("sc->io_addr").bits().means("register selected through the I/O BAR"),
    u32("sc->mdi_control").bits(),
    u32("sc->eeprom_control").bits(),
    u16("sc->nvm_data").bits(),
    u16("sc->nvm_opaddr").bits(),
    u32("sc->missed_pkt_count"),
    ints("sc->pkt_rx_by_size", Width::Four, 6),
    ints("sc->pkt_tx_by_size", Width::Four, 6),
    u32("sc->good_pkt_rx_count"),
    u32("sc->bcast_pkt_rx_count"),
    u32("sc->mcast_pkt_rx_count"),
    u32("sc->good_pkt_tx_count"),
    u32("sc->bcast_pkt_tx_count"),
    u32("sc->mcast_pkt_tx_count"),
    u32("sc->oversize_rx_count"),
    u32("sc->tso_tx_count"),
    u64("sc->good_octets_rx"),
    u64("sc->good_octets_tx"),
    u64("sc->missed_octets"),
    u64("bitmap_value").means("`nvm_bits`: bits of a word still to be shifted"),
    u64("bitmap_value").pair("bitmap_value.again").means("`nvm_bits` once more, for `nvm_mode`"),
    ints("sc->eeprom_data", Width::Two, 64).bits(),
];

const SHARED: [&[Item]; 2] = [
    &[Item::Shared(COMMON), Item::Shared(TRANSMIT), Item::Shared(FILTER)],
    &[Item::Shared(RECEIVE), Item::Shared(REST)],
];

pub(super) static LAYOUTS: [Layout; 4] = pci!("e1000", &["e1000"], SHARED);
