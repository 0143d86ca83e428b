//! A serial port that sends: a 16550 with its registers, and nobody at the other end who types.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// Transmitter empty, and ready for the next character.
const LSR_READY: u8 = 0x60;
/// Of the line control register: the first two registers are the divisor.
const LCR_DIVISOR: u8 = 0x80;
/// Interrupt identification: none pending.
const IIR_NONE: u8 = 0x01;

/// The registers that the guest can set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uart {
    /// Interrupts enabled.
    pub ier: u8,
    /// Line control.
    pub lcr: u8,
    /// Modem control.
    pub mcr: u8,
    /// FIFO control.
    pub fcr: u8,
    /// Scratch.
    pub scr: u8,
    /// Divisor, low.
    pub dll: u8,
    /// Divisor, high.
    pub dlh: u8,
}

impl Uart {
    /// A write; perhaps of a character that is sent.
    pub fn write(&mut self, register: u8, value: u8) -> Option<u8> {
        let divisor = self.lcr & LCR_DIVISOR != 0;
        match register {
            0 if divisor => self.dll = value,
            0 => return Some(value),
            1 if divisor => self.dlh = value,
            1 => self.ier = value & 0x0f,
            2 => self.fcr = value & 0xc9,
            3 => self.lcr = value,
            4 => self.mcr = value & 0x1f,
            7 => self.scr = value,
            _ => {}
        }
        None
    }

    /// A read.
    #[must_use]
    pub const fn read(&self, register: u8) -> u8 {
        let divisor = self.lcr & LCR_DIVISOR != 0;
        match register {
            0 if divisor => self.dll,
            1 if divisor => self.dlh,
            1 => self.ier,
            2 => IIR_NONE,
            3 => self.lcr,
            4 => self.mcr,
            5 => LSR_READY,
            7 => self.scr,
            _ => 0,
        }
    }
}

/// Where the characters go.
#[derive(Debug, Default)]
pub struct Sink {
    file: Option<File>,
    line: Vec<u8>,
}

/// Longer lines are written in pieces.
const LINE: usize = 256;

impl Sink {
    /// Appends to a file, so that what a guest says before and after it moves is one text; or goes
    /// nowhere.
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        let open = |path| File::options().append(true).create(true).open(path);
        Ok(Self { file: path.map(open).transpose()?, line: Vec::new() })
    }

    /// Takes a character. Characters wait for the end of their line, which takes one call to write.
    pub(super) fn put(&mut self, character: u8) -> io::Result<()> {
        self.line.push(character);
        if character == b'\n' || self.line.len() == LINE { self.flush() } else { Ok(()) }
    }

    /// Writes what waits: the rest of the line may be said elsewhere.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(&self.line)?;
        }
        self.line.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_sent_unless_it_is_a_divisor() {
        let mut uart = Uart::default();
        assert_eq!(uart.write(0, b'a'), Some(b'a'));
        assert_eq!(uart.write(3, LCR_DIVISOR), None);
        assert_eq!(uart.write(0, 1), None);
        assert_eq!((uart.dll, uart.read(0)), (1, 1));
    }

    #[test]
    fn the_scratch_register_keeps_what_it_is_given() {
        let mut uart = Uart::default();
        uart.write(7, 0xa5);
        assert_eq!(uart.read(7), 0xa5);
    }
}
