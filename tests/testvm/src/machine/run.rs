//! The thread of a virtual CPU: enters the guest, and answers what it asks of ports.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use super::gate::End;
use super::{Shared, Slot, lock};
use crate::guest::layout::{PORT_CLOCK, PORT_WORK};
use crate::kvm::Exit;
use crate::pace::Answer;

/// Runs a virtual CPU until the machine ends.
pub(super) fn run(shared: &Shared, index: usize) {
    let Some(slot) = shared.slots.get(index) else { return };
    slot.kick.enlist();
    while shared.gate.enter(|| slot.kick.clear()) {
        if let Err(end) = guest(shared, slot) {
            shared.gate.end(end, || shared.slots.iter().for_each(|slot| slot.kick.stop()));
        }
    }
    slot.kick.dismiss();
}

/// Runs the guest until the virtual CPU is kicked. What the guest asks of a port is answered before
/// it stops, and the instruction completed: the kick comes out of the next entry.
fn guest(shared: &Shared, slot: &Slot) -> Result<(), End> {
    let mut vcpu = lock(&slot.vcpu);
    loop {
        let exit = vcpu.run().map_err(|error| End::Failed(format!("KVM_RUN: {error}")))?;
        match exit {
            Exit::Interrupted => return Ok(()),
            Exit::In(port, bytes) => read(shared, slot, port, bytes),
            Exit::Out(port, bytes) => {
                let mut devices = lock(&shared.devices);
                for byte in bytes {
                    let written = devices.write(port, *byte);
                    written.map_err(|error| End::Failed(format!("serial port: {error}")))?;
                }
            }
            Exit::Shutdown => return Err(End::TripleFault),
            Exit::Other(exit) => return Err(End::Failed(format!("the guest left by {exit}"))),
        }
    }
}

fn read(shared: &Shared, slot: &Slot, port: u16, bytes: &mut [u8]) {
    let value = match port {
        PORT_WORK => work(shared, slot),
        PORT_CLOCK => clock(),
        _ => return lock(&shared.devices).read(port, bytes),
    };
    for (byte, value) in bytes.iter_mut().zip(value.to_le_bytes()) {
        *byte = value;
    }
}

/// How many pages to visit: none if there is no work for a while, or if the guest is to stop.
fn work(shared: &Shared, slot: &Slot) -> u32 {
    for _ in 0..2 {
        if !shared.gate.is_open() {
            return 0;
        }
        let answer = lock(&slot.pace).ask(Instant::now());
        match answer {
            Answer::Visit(pages) => return pages,
            Answer::Wait(time) => shared.gate.idle(time),
        }
    }
    0
}

/// The host's clock since it was started, in microseconds, modulo 2^32: the same in all processes.
fn clock() -> u32 {
    let now = clock_gettime(ClockId::Monotonic);
    let microseconds = now.tv_sec.wrapping_mul(1_000_000).wrapping_add(now.tv_nsec / 1000);
    microseconds.cast_unsigned() as u32
}
