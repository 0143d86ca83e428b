//! The devices of the machine, and the bus that they are on.
//!
//! What a PC has is where bhyve has it, and its state goes into bhyve's records: serial ports, the
//! ACPI timer, the clock chip. The local APICs and the I/O APIC are the kernel's. The port that
//! hands out work and the clock of the host have no state that a snapshot would have to keep.

mod cmos;
mod serial;
mod timer;

use std::io;
use std::path::Path;

pub use cmos::Cmos;
pub use serial::{Sink, Uart};
pub use timer::Timer;

use crate::guest::layout::{PORT_TIMER, PORTS_CMOS, PORTS_COM};

/// Registers of a serial port.
const COM_LEN: u16 = 8;

/// All devices with state.
#[derive(Debug)]
pub struct Devices {
    /// The serial ports.
    pub uarts: [Uart; PORTS_COM.len()],
    /// Where the characters of each go.
    sinks: [Sink; PORTS_COM.len()],
    /// The clock chip.
    pub cmos: Cmos,
    /// The ACPI timer.
    pub timer: Timer,
}

impl Devices {
    /// Devices as a reset leaves them. Serial ports append to `com1` to `com4` in that folder.
    ///
    /// # Errors
    /// Files that cannot be opened.
    pub fn new(serial: Option<&Path>) -> io::Result<Self> {
        let sinks = ["com1", "com2", "com3", "com4"].map(|name| serial.map(|dir| dir.join(name)));
        let [one, two, three, four] = sinks.map(|path| Sink::open(path.as_deref()));
        Ok(Self {
            uarts: Default::default(),
            sinks: [one?, two?, three?, four?],
            cmos: Cmos::default(),
            timer: Timer::new(0),
        })
    }

    /// The guest writes to a port. What nobody listens to is lost, as on a PC.
    ///
    /// # Errors
    /// A serial port whose file cannot be written.
    pub fn write(&mut self, port: u16, value: u8) -> io::Result<()> {
        match (port, PORTS_CMOS) {
            (port, [select, _]) if port == select => self.cmos.select(value),
            (port, [_, data]) if port == data => self.cmos.write(value),
            _ => {
                let ports = PORTS_COM.into_iter().zip(&mut self.uarts).zip(&mut self.sinks);
                for ((base, uart), sink) in ports {
                    if let Some(register) = register(port, base)
                        && let Some(character) = uart.write(register, value)
                    {
                        sink.put(character)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The guest reads from a port. Where nobody answers, all bits are set, as on a PC.
    pub fn read(&mut self, port: u16, bytes: &mut [u8]) {
        bytes.fill(0xff);
        if port == PORT_TIMER {
            for (byte, value) in bytes.iter_mut().zip(self.timer.value().to_le_bytes()) {
                *byte = value;
            }
        }
        let Some(first) = bytes.first_mut() else { return };
        let [_, data] = PORTS_CMOS;
        if port == data {
            *first = self.cmos.read();
        }
        for (base, uart) in PORTS_COM.into_iter().zip(&self.uarts) {
            if let Some(register) = register(port, base) {
                *first = uart.read(register);
            }
        }
    }
}

impl Devices {
    /// Writes the characters that wait for the end of their line.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.sinks.iter_mut().try_for_each(Sink::flush)
    }
}

/// The register of a serial port that a port is.
fn register(port: u16, base: u16) -> Option<u8> {
    let register = port.checked_sub(base).filter(|register| *register < COM_LEN)?;
    u8::try_from(register).ok()
}
