//! The local APICs: `vlapic`.

use snapfmt::bhyve::Section;

use super::error::StateError;
use super::record::{Read, Record};
use crate::kvm::CpuState;

const SLOT: usize = 4169;

const TIMER_CURRENT: usize = 0x390;
const TIMER_DIVIDER: usize = 0x3e0;

/// Registers that KVM's local APIC has not as bhyve's has them, with what bhyve's hold after a
/// reset: the version, and the entry for corrected machine checks, which is masked. The guest
/// cannot change either.
const OTHERWISE: [(usize, u32); 2] = [(0x30, 0x0006_0010), (0x2f0, 0x0001_0000)];

/// One tick of the timer, undivided, in 2^-64 s: bhyve's runs at 128 MiHz.
const TICK: u64 = 1 << 37;

/// Where the entries of the local vector table are that `lvt_last` repeats.
const LVT: [usize; 7] = [0x350, 0x360, 0x320, 0x370, 0x340, 0x330, 0x2f0];

pub(super) fn write(cpus: &[CpuState], ncpus: u32) -> Result<Record, StateError> {
    let mut record = Record::new(Section::Kern, "vlapic", cpus.len() * SLOT, ncpus)?;
    for (vcpu, cpu) in (0..).zip(cpus) {
        let one = (Some(vcpu), 0);
        let mut page = cpu.clone();
        for (register, value) in OTHERWISE {
            page.set_apic(register, value);
        }
        record.copy("lapic", one, &page.lapic)?;
        let tick = TICK * divider(page.apic(TIMER_DIVIDER));
        record.set("vlapic->timer_freq_bt.frac", one, tick)?;
        let lvt: Vec<u8> = LVT.iter().flat_map(|at| page.apic(*at).to_le_bytes()).collect();
        record.copy("vlapic->lvt_last", one, &lvt)?;
        record.set("ccr", one, page.apic(TIMER_CURRENT).into())?;
    }
    Ok(record)
}

pub(super) fn read(record: &Read<'_>, vcpu: u32, cpu: &mut CpuState) -> Result<(), StateError> {
    let own = OTHERWISE.map(|(register, _)| (register, cpu.apic(register)));
    let page = record.bytes("lapic", (Some(vcpu), 0))?;
    for (byte, value) in cpu.lapic.iter_mut().zip(page) {
        *byte = *value;
    }
    for (register, value) in own {
        cpu.set_apic(register, value);
    }
    Ok(())
}

/// What a value of the divide configuration register divides by.
const fn divider(value: u32) -> u64 {
    let code = value & 3 | (value >> 1 & 4);
    1 << ((code + 1) & 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timer_is_divided_as_the_manual_says() {
        let pairs = [(0, 2), (1, 4), (2, 8), (3, 16), (8, 32), (9, 64), (10, 128), (11, 1)];
        for (value, by) in pairs {
            assert_eq!(divider(value), by, "{value:#x}");
        }
    }
}
