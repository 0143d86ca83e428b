//! The clock chip of a PC, of which the guest uses the memory.

/// Registers and memory.
const LEN: usize = 128;

/// The chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cmos {
    /// The register that is selected.
    pub selected: u8,
    /// All registers; of those of the clock itself, only the ones of control.
    pub bytes: [u8; LEN],
}

/// Control registers: divider on, 24 hours, no interrupt, memory valid.
const CONTROL: [(usize, u8); 4] = [(0x0a, 0x20), (0x0b, 0x02), (0x0c, 0), (0x0d, 0x80)];

impl Default for Cmos {
    fn default() -> Self {
        let mut bytes = [0; LEN];
        for (register, value) in CONTROL {
            if let Some(byte) = bytes.get_mut(register) {
                *byte = value;
            }
        }
        Self { selected: 0, bytes }
    }
}

impl Cmos {
    /// Selects a register; the highest bit masks an interrupt that nothing sends.
    pub const fn select(&mut self, register: u8) {
        self.selected = register & 0x7f;
    }

    /// The value of the register that is selected.
    #[must_use]
    pub fn read(&self) -> u8 {
        self.bytes.get(usize::from(self.selected)).copied().unwrap_or_default()
    }

    /// Sets it, unless it belongs to the clock.
    pub fn write(&mut self, value: u8) {
        let selected = usize::from(self.selected);
        if selected >= 0x0e
            && let Some(byte) = self.bytes.get_mut(selected)
        {
            *byte = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_keeps_what_it_is_given_and_the_clock_is_not_memory() {
        let mut cmos = Cmos::default();
        for register in 0..=0x7f {
            cmos.select(register | 0x80);
            cmos.write(0x5a);
        }
        cmos.select(0x7f);
        assert_eq!(cmos.read(), 0x5a);
        cmos.select(0x0d);
        assert_eq!(cmos.read(), 0x80);
    }
}
