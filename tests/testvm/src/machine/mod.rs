//! The machine: memory, virtual CPUs with a thread each, devices; running, paused or ended.

mod gate;
mod run;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::boot;
use crate::device::Devices;
use crate::guest::layout::{self, PAGE};
use crate::guest::{self, Status};
use crate::kvm::{CpuState, Kick, Ram, Vcpu, Vm};
use crate::pace::Pace;

pub use gate::End;
use gate::Gate;

/// What a machine consists of.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Virtual CPUs.
    pub ncpus: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// The file that its memory is in; without one, a file without a name.
    pub ram: Option<PathBuf>,
    /// The folder of the files that its serial ports append to.
    pub serial: Option<PathBuf>,
    /// Bytes a second that the guest dirties; without it, as many as it can.
    pub rate: Option<u64>,
}

/// One virtual CPU, and what its thread and others share about it.
#[derive(Debug)]
struct Slot {
    vcpu: Mutex<Vcpu>,
    kick: Kick,
    pace: Mutex<Pace>,
}

/// What the threads share.
#[derive(Debug)]
struct Shared {
    // Before `vm`, so that it is dropped before it.
    slots: Vec<Slot>,
    vm: Vm,
    devices: Mutex<Devices>,
    gate: Gate,
}

/// A machine. It begins paused.
#[derive(Debug)]
pub struct Machine {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Machine {
    /// A machine with empty memory, all as after a reset.
    ///
    /// # Errors
    /// A machine that cannot be: no or too many virtual CPUs, too little or too much memory, or not
    /// whole pages; and what the kernel says.
    pub fn new(config: &Config) -> io::Result<Self> {
        let Config { ncpus, memory, rate, .. } = *config;
        let wrong = |what: String| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        if ncpus == 0 || ncpus > layout::MAX_VCPUS {
            return wrong(format!("{ncpus} virtual CPUs, not 1 to {}", layout::MAX_VCPUS));
        }
        let least = guest::least_memory(ncpus);
        if memory < least || memory > layout::MOST_MEMORY || !memory.is_multiple_of(PAGE) {
            return wrong(format!(
                "{memory} bytes of memory, not whole pages from {least} to {}",
                layout::MOST_MEMORY
            ));
        }
        let devices = Mutex::new(Devices::new(config.serial.as_deref())?);
        let vm = Vm::new(Ram::new(config.ram.as_deref(), memory)?)?;
        let share = |rate: u64| rate / u64::from(ncpus);
        let slot = |index| {
            let vcpu = vm.add_vcpu(index)?;
            let pace = Mutex::new(Pace::new(rate.map(share), Instant::now()));
            Ok(Slot { kick: vcpu.kick(), vcpu: Mutex::new(vcpu), pace })
        };
        let slots = (0..ncpus).map(slot).collect::<io::Result<Vec<_>>>()?;
        let gate = Gate::default();
        let shared = Arc::new(Shared { slots, vm, devices, gate });
        let mut machine = Self { shared, threads: Vec::new() };
        for index in 0..slots_of(&machine) {
            let shared = Arc::clone(&machine.shared);
            machine.threads.push(thread::spawn(move || run::run(&shared, index)));
        }
        machine.shared.gate.wait_parked(slots_of(&machine));
        Ok(machine)
    }

    /// Puts the guest into memory, and the virtual CPUs at its beginning.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn boot(&self) -> io::Result<()> {
        let ram = self.shared.vm.ram();
        ram.write(0, &guest::image(self.ncpus(), ram.len()))?;
        for vcpu in 0..self.ncpus() {
            let mut state = self.cpu(vcpu)?;
            boot::prepare(&mut state, vcpu);
            self.set_cpu(vcpu, &state)?;
        }
        Ok(())
    }

    /// How many virtual CPUs it has.
    #[must_use]
    pub fn ncpus(&self) -> u32 {
        u32::try_from(self.shared.slots.len()).unwrap_or(u32::MAX)
    }

    /// Its memory.
    #[must_use]
    pub fn ram(&self) -> &Ram {
        self.shared.vm.ram()
    }

    /// What the kernel keeps of it.
    #[must_use]
    pub fn vm(&self) -> &Vm {
        &self.shared.vm
    }

    /// Its devices.
    pub fn devices(&self) -> MutexGuard<'_, Devices> {
        lock(&self.shared.devices)
    }

    /// How the guest fares, as a virtual CPU says in its control page.
    ///
    /// # Errors
    /// Trouble with the file of its memory.
    pub fn status(&self, vcpu: u32) -> io::Result<Status> {
        let mut page = [0; PAGE as usize];
        self.ram().read(layout::control(vcpu), &mut page)?;
        Ok(Status::of(&page))
    }

    /// Changes how fast the guest dirties its memory.
    pub fn set_rate(&self, rate: Option<u64>) {
        let share = rate.map(|rate| rate / u64::from(self.ncpus().max(1)));
        for slot in &self.shared.slots {
            lock(&slot.pace).set(share, Instant::now());
        }
    }

    /// Lets the guest run.
    pub fn resume(&self) {
        self.shared.gate.resume();
    }

    /// Stops all virtual CPUs between two instructions. When it returns, the guest does not run.
    pub fn pause(&self) {
        self.shared.gate.pause(|| self.kick());
        self.shared.gate.wait_parked(self.shared.slots.len());
    }

    fn kick(&self) {
        for slot in &self.shared.slots {
            slot.kick.stop();
        }
    }

    /// The state of a virtual CPU. Waits for it to stop.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn cpu(&self, vcpu: u32) -> io::Result<CpuState> {
        lock(&self.slot(vcpu)?.vcpu).state()
    }

    /// Gives a virtual CPU a state. Waits for it to stop.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_cpu(&self, vcpu: u32, state: &CpuState) -> io::Result<()> {
        lock(&self.slot(vcpu)?.vcpu).set_state(state)
    }

    fn slot(&self, vcpu: u32) -> io::Result<&Slot> {
        let slot = usize::try_from(vcpu).ok().and_then(|index| self.shared.slots.get(index));
        slot.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no such virtual CPU"))
    }

    /// Why it ended; nothing while it can go on.
    #[must_use]
    pub fn ended(&self) -> Option<End> {
        self.shared.gate.ended()
    }

    /// Waits until it ends.
    #[must_use]
    pub fn wait(&self) -> End {
        self.shared.gate.wait_ended()
    }

    /// Ends it.
    pub fn end(&self, end: End) {
        self.shared.gate.end(end, || self.kick());
    }
}

fn slots_of(machine: &Machine) -> usize {
    machine.shared.slots.len()
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end(End::Stopped);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}
