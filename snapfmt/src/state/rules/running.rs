//! Which virtual CPUs a host enters with the registers that are in the snapshot.
//!
//! A virtual CPU that waits for its first SIPI has the registers with which it was created, and
//! those are not such that a CPU could be entered with them: RFLAGS is 0. bhyve sets them all when
//! the SIPI comes.

use super::machine::Machine;
use crate::state::Scope;

const STARTUP: &str = "vm_->startup_cpus";
const BOOT_STATE: &str = "vlapic->boot_state";

/// The boot state of a virtual CPU that has been started.
const RUNNING: u64 = 2;

/// Set in the EFER of every guest on AMD, also before it runs.
const SVME: u64 = 1 << 12;

impl Machine<'_> {
    /// Whether the machine has that virtual CPU, and it goes on where its registers say.
    ///
    /// The first always does. Another does not if the snapshot says that it waits, or if it has
    /// never run, by its registers.
    #[must_use]
    pub fn runs(&self, vcpu: u32) -> bool {
        vcpu < self.ncpus && (vcpu == 0 || !self.waits(vcpu) && !self.untouched(vcpu))
    }

    fn waits(&self, vcpu: u32) -> bool {
        let set = self.family("vm").find_map(|known| known.fields.find(STARTUP, None, 0));
        let byte = set.and_then(|set| set.bytes().get(vcpu as usize / 8).copied());
        let state = self.slot("vlapic", vcpu).and_then(|slot| slot.u64(BOOT_STATE));
        byte.is_some_and(|byte| byte >> (vcpu % 8) & 1 == 1)
            || state.is_some_and(|state| state < RUNNING)
    }

    /// Whether a virtual CPU has the registers with which it was made.
    pub(super) fn untouched(&self, vcpu: u32) -> bool {
        let fresh = |slot: Scope<'_, '_>| {
            slot.u64("RFLAGS") == Some(0)
                && slot.u64("CR0") == Some(0)
                && slot.u64("EFER").is_some_and(|efer| efer & !SVME == 0)
        };
        self.slot("vmcx", vcpu).is_some_and(fresh)
    }
}
