//! The records of a snapshot with their fields.
//!
//! ```text
//! .meta, or what records there are ── Evidence ──┐
//! bytes of records ──────────────────────────────┴─> Machine ─> renderers, JSON, diff
//! ```
//! Which layout a record has is for [`Evidence`] to say. Where `.meta` is lost, the records
//! themselves show the generation and the number of slots.

use snapfmt::bhyve::{self, Generation, Meta, Section, VmMetadata};
use snapfmt::limits;
use snapfmt::state::{Evidence, Fields, Misfit, Scope, Unknown, base};

/// A record that is to be decoded.
pub(in crate::cmd) struct Given<'a> {
    pub(in crate::cmd) section: &'a str,
    pub(in crate::cmd) name: &'a str,
    pub(in crate::cmd) bytes: &'a [u8],
}

/// What is known of a snapshot's records together.
pub(in crate::cmd) struct Machine<'a> {
    pub(super) records: Vec<Rec<'a>>,
    /// How many virtual CPUs there are, where that is known.
    pub(super) ncpus: Option<u32>,
    pub(super) evidence: Evidence,
    /// Whether `.meta` said what layouts there can be.
    pub(super) described: bool,
}

/// A record and what became of its bytes.
pub(in crate::cmd) struct Rec<'a> {
    pub(in crate::cmd) section: &'a str,
    pub(in crate::cmd) name: &'a str,
    pub(in crate::cmd) state: State<'a>,
}

/// The fields of a record, or why there are none.
pub(in crate::cmd) enum State<'a> {
    Known(Fields<'a>),
    /// The most likely layout does not fit: the fields before the place where that shows.
    Claimed(Fields<'a>, Misfit),
    Unknown(Unknown),
}

impl<'a> Rec<'a> {
    /// Its name without its place on the bus.
    pub(super) fn base(&self) -> &'a str {
        base(list(self.section), self.name)
    }

    /// Its fields, also if they are only claimed.
    pub(in crate::cmd) fn fields(&self) -> Option<&Fields<'a>> {
        match &self.state {
            State::Known(fields) | State::Claimed(fields, _) => Some(fields),
            State::Unknown(_) => None,
        }
    }

    /// Its fields, if its layout is known.
    pub(in crate::cmd) fn known(&self) -> Option<&Fields<'a>> {
        match &self.state {
            State::Known(fields) => Some(fields),
            _ => None,
        }
    }
}

impl<'a> Machine<'a> {
    /// Decodes all that is given. `ncpus` is what the VM part says.
    pub(in crate::cmd) fn new(
        meta: Option<&Meta>,
        ncpus: Option<u64>,
        records: impl IntoIterator<Item = Given<'a>>,
    ) -> Self {
        let records: Vec<_> = records.into_iter().collect();
        let ncpus = ncpus.and_then(|ncpus| u32::try_from(ncpus).ok());
        let ncpus = ncpus.or_else(|| meta.map(|meta| meta.vm.ncpus));
        let evidence = match meta {
            Some(meta) => Evidence::of(meta),
            None => told_by(&records, ncpus),
        };
        let mut decoded = Vec::with_capacity(records.len());
        for Given { section, name, bytes } in records {
            let listed = meta.and_then(|meta| {
                let mut all = meta.section(list(section));
                all.find(|record| record.name == name)
            });
            let chosen = match listed {
                Some(record) => evidence.choose_record(record, bytes),
                None => evidence.choose(list(section), name, bytes),
            };
            let state = match chosen {
                Ok(fields) => State::Known(fields),
                Err(unknown) => match unknown.nearest() {
                    Some((layout, misfit)) => State::Claimed(layout.decode_as_far(bytes).0, misfit),
                    None => State::Unknown(unknown),
                },
            };
            decoded.push(Rec { section, name, state });
        }
        let ncpus = ncpus.or_else(|| {
            let slots = evidence.slots.as_slice();
            slots.first().copied().filter(|_| slots.len() == 1)
        });
        Self { records: decoded, ncpus, evidence, described: meta.is_some() }
    }

    /// All records, in the order in which they were given.
    pub(in crate::cmd) fn records(&self) -> impl Iterator<Item = &Rec<'a>> {
        self.records.iter()
    }

    /// A record of the kernel with known fields.
    pub(super) fn kernel(&self, name: &str) -> Option<&Rec<'a>> {
        let mut all = self.records.iter().filter(|record| list(record.section) == Section::Kern);
        all.find(|record| record.name == name && record.known().is_some())
    }

    /// What a record of the kernel has for a virtual CPU.
    pub(super) fn slot(&self, name: &str, vcpu: u32) -> Option<Scope<'_, 'a>> {
        self.kernel(name)?.known()?.vcpu(vcpu)
    }

    /// Whether local APICs are in x2APIC mode.
    pub(super) fn x2apic(&self, vcpu: u32) -> Option<bool> {
        self.slot("vm", vcpu)?.u64("vcpu->x2apic_state").map(|state| state == 1)
    }

    /// Whether a virtual CPU waits for its SIPI.
    pub(super) fn waits(&self, vcpu: u32) -> bool {
        let bit = || {
            let set = self.kernel("vm")?.known()?.root().bytes("vm_->startup_cpus")?;
            let byte = set.get(usize::try_from(vcpu / 8).ok()?)?;
            Some(byte >> (vcpu % 8) & 1 == 1)
        };
        let state = || Some(self.slot("vlapic", vcpu)?.u64("vlapic->boot_state")? < 2);
        bit().or_else(state).unwrap_or(false)
    }
}

fn list(section: &str) -> Section {
    if section == "devices" { Section::Device } else { Section::Kern }
}

/// What the records show without `.meta`.
fn told_by(records: &[Given<'_>], ncpus: Option<u32>) -> Evidence {
    let old = records.iter().any(|record| record.section == Generation::A.kern_key());
    let generation = if old { Generation::A } else { Generation::B };
    let all = || (1..=u32::try_from(limits::NCPUS).unwrap_or(u32::MAX)).collect();
    let slots = ncpus.map_or_else(all, |ncpus| vec![ncpus]);
    let open = Evidence { generation, slots: all(), vendor: None };
    let kernel = || records.iter().filter(|record| list(record.section) == Section::Kern);
    // Sizes of these two leave one answer.
    let told = kernel().filter(|record| ["vm", "vlapic"].contains(&record.name));
    let mut told = told.filter_map(|record| {
        let fields = open.choose(Section::Kern, record.name, record.bytes).ok()?;
        Some(fields.slots())
    });
    let slots = told.next().map_or(slots, |slots| vec![slots]);
    let entry = |record: &Given<'_>| bhyve::Record {
        section: Section::Kern,
        name: record.name.to_owned(),
        snapshot_req: None,
        size: record.bytes.len() as u64,
        offset: 0,
    };
    let [only] = slots.as_slice() else { return Evidence { slots, ..open } };
    let vm = VmMetadata { name: String::new(), ncpus: *only, memsize: 0, memflags: 0 };
    let records = kernel().map(entry).collect();
    Evidence::of(&Meta { generation, vm, records, notes: Vec::new() })
}
