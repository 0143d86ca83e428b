//! The Intel network card.

use super::{NONE, OUTSIDE};
use crate::cases::{Case, INTEL_4, OLD_AMD, case};
use crate::fixture::set;

const E1000: &str = "e1000";

pub(crate) fn cases() -> Vec<Case> {
    let one = |rule, fixture, key, value| case(rule, fixture, &[set(E1000, key, value)]);
    let index = |key, value| one("e1000-ring-index", OLD_AMD, key, value);
    let bits = |value| set(E1000, "bitmap_value", value);
    vec![
        one("e1000-reserved", OLD_AMD, "sc->esc_RADV", 1 << 16),
        one("e1000-reserved", INTEL_4, "sc->esc_TDLEN", 0x1001),
        one("e1000-flags", OLD_AMD, "sc->esc_rx_active", 2),
        one("e1000-flags", INTEL_4, "sc->esc_tx_enabled", 2),
        case("e1000-address-select", INTEL_4, &[set(E1000, "sc->esc_uni[i].eu_addrsel", 4).nth(3)]),
        case("e1000-nvm-bits", OLD_AMD, &[bits(8).nth(1)]),
        case("e1000-nvm-bits", INTEL_4, &[bits(17), bits(17).nth(1)]),
        case("e1000-eeprom", OLD_AMD, &[set(E1000, "sc->eeprom_data", 0xffff).bytes(0, 2)]),
        index("sc->esc_RDT", 0x100),
        index("sc->esc_RDH", 0x100),
        index("sc->esc_RDLEN", 0),
        index("sc->esc_TDT", 0x100),
        one("e1000-ring-in-memory", OLD_AMD, "sc->esc_txdesc", NONE),
        one("e1000-ring-in-memory", INTEL_4, "sc->esc_rxdesc", NONE),
        case(
            "e1000-ring-in-memory",
            OLD_AMD,
            &[
                set(E1000, "sc->esc_rxdesc", OUTSIDE),
                set(E1000, "sc->esc_rdba", OUTSIDE),
                set(E1000, "sc->esc_RDBAL", OUTSIDE & 0xffff_ffff),
                set(E1000, "sc->esc_RDBAH", OUTSIDE >> 32),
            ],
        ),
        one("e1000-ring-base", OLD_AMD, "sc->esc_tdba", 0),
        one("e1000-ring-base", OLD_AMD, "sc->esc_rxdesc", 0x60_0000),
        one("e1000-ring-enabled", INTEL_4, "sc->esc_rx_enabled", 0),
        one("e1000-ring-enabled", OLD_AMD, "sc->esc_TCTL", 0),
    ]
}
