//! The devices on the PCI bus that bhyve's records of this machine have, and the keyboard
//! controller, which is on none.

use snapfmt::bhyve::Section;

use super::error::StateError;
use super::record::{ONLY, Read, Record};
use crate::device::Uart;

/// The bridge between processor and bus, which this machine has not.
pub(super) const HOSTBRIDGE: &str = "hostbridge@pci.0.0.0";
/// The bridge to the serial ports.
pub(super) const LPC: &str = "lpc@pci.0.31.0";
/// The keyboard controller, which this machine has not.
pub(super) const ATKBDC: &str = "atkbdc";

/// What every PCI device has, of one without MSI-X.
const PREFIX: usize = 452;
const UART: usize = 42;

/// Vendor, device, command and status, revision, class, as bhyve has them.
const HOSTBRIDGE_CONFIG: [(usize, u16); 5] =
    [(0, 0x1275), (2, 0x1275), (4, 0), (0x0a, 0x0600), (0x0e, 0)];
const LPC_CONFIG: [(usize, u16); 5] = [(0, 0x8086), (2, 0x7000), (4, 0), (0x0a, 0x0601), (0x0e, 0)];

type Byte = fn(&mut Uart) -> &mut u8;

const REGISTERS: [(&str, Byte); 7] = [
    ("sc->ier", |uart| &mut uart.ier),
    ("sc->lcr", |uart| &mut uart.lcr),
    ("sc->mcr", |uart| &mut uart.mcr),
    ("sc->fcr", |uart| &mut uart.fcr),
    ("sc->scr", |uart| &mut uart.scr),
    ("sc->dll", |uart| &mut uart.dll),
    ("sc->dlh", |uart| &mut uart.dlh),
];

/// Transmitter empty, and ready for the next character.
const LSR: u64 = 0x60;

fn device(name: &str, len: usize, config: [(usize, u16); 5]) -> Result<Record, StateError> {
    // The layouts of devices are told by their bytes, and those of a device without a vendor by
    // nothing: so the record is made of the device as it is.
    let mut record = Record::new(Section::Device, name, len, 1)?;
    let space = record.field("pi->pi_cfgdata", ONLY)?;
    for (at, value) in config {
        for (byte, value) in space.iter_mut().skip(at).zip(value.to_le_bytes()) {
            *byte = value;
        }
    }
    Ok(record)
}

pub(super) fn write_hostbridge() -> Result<Record, StateError> {
    device(HOSTBRIDGE, PREFIX, HOSTBRIDGE_CONFIG)
}

pub(super) fn write_lpc(uarts: &[Uart; 4]) -> Result<Record, StateError> {
    let mut record = device(LPC, PREFIX + uarts.len() * UART, LPC_CONFIG)?;
    for (port, uart) in (0..).zip(uarts) {
        let one = (None, port);
        let mut uart = *uart;
        for (key, register) in REGISTERS {
            record.set(key, one, u64::from(*register(&mut uart)))?;
        }
        record.set("sc->lsr", one, LSR)?;
        record.set("sc->rxfifo.size", one, 1)?;
    }
    Ok(record)
}

pub(super) fn read_lpc(record: &Read<'_>) -> Result<[Uart; 4], StateError> {
    let mut uarts = [Uart::default(); 4];
    for (port, uart) in (0..).zip(&mut uarts) {
        for (key, register) in REGISTERS {
            *register(uart) = u8::try_from(record.get(key, (None, port))?).unwrap_or_default();
        }
    }
    Ok(uarts)
}

pub(super) fn write_atkbdc() -> Result<Record, StateError> {
    let mut record = Record::new(Section::Device, ATKBDC, 141, 1)?;
    // The structure, and what follows it once more.
    let kbd = record.field("atkbdc_sc->kbd", ONLY)?;
    if let Some(irq) = kbd.get_mut(4) {
        *irq = 1;
    }
    record.set("atkbdc_sc->kbd.irq", ONLY, 1)?;
    record.set("atkbdc_sc->aux.irq", ONLY, 12)?;
    Ok(record)
}
