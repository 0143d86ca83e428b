//! Opens the parts that the index lists one by one: VM, META, optional parts, DEVICE. Both readers
//! come through here.

use crate::agreement;
use crate::error::{Error, Fault};
use crate::layout::header::Header;
use crate::layout::kind::Kind;
use crate::ledger::Ledger;
use crate::part::Intact;
use crate::part::config::ConfigText;
use crate::part::device::Record;
use crate::part::extent::{DeltaExtent, Extent};
use crate::part::index::{Index, PartRef};
use crate::part::map::MapTable;
use crate::part::meta::MetaText;
use crate::part::other;
use crate::part::vm::Vm;

/// A structure of the file that has matched its digests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The header block.
    Header(Header),
    /// The machine.
    Vm(Vm),
    /// `.meta`, where the state came as three files; it agrees with the machine.
    Meta(MetaText),
    /// The VM's configuration.
    Config(ConfigText),
    /// An optional part that this library only carries.
    Other(Intact),
    /// One device record.
    Record(Record),
    /// One block of memory of a full file.
    Extent(Extent),
    /// One block of what changed, in a delta.
    Delta(DeltaExtent),
    /// A table of extents; it agrees with them.
    Map(MapTable),
    /// The top index; it agrees with everything before it.
    Index(Index),
}

/// Opens a part that is neither EXTENT, MAP nor INDEX, and takes note of it. `vm_name` is the name
/// in the header block.
pub(super) fn open_listed(ledger: &mut Ledger, vm_name: &str, part: Intact) -> Result<Part, Error> {
    let nvlist = part.frame().nvlist_size;
    let listed = PartRef {
        kind: part.kind(),
        offset: part.offset(),
        length: part.length(),
        digest: part.digest(),
        record: None,
    };
    match part.kind() {
        Kind::Vm => {
            let vm = Vm::open(&part)?;
            agreement::with_header(vm_name, &vm).map_err(|fault| part.wrong(fault))?;
            ledger.part(listed, nvlist).map_err(|fault| part.wrong(fault))?;
            ledger.machine(vm.clone());
            Ok(Part::Vm(vm))
        }
        Kind::Meta => {
            let text = MetaText::open(&part)?;
            ledger.part(listed, nvlist).map_err(|fault| part.wrong(fault))?;
            ledger.meta(&text).map_err(|fault| part.wrong_payload(fault))?;
            Ok(Part::Meta(text))
        }
        Kind::Config => {
            let config = ConfigText::open(&part)?;
            ledger.part(listed, nvlist).map_err(|fault| part.wrong(fault))?;
            Ok(Part::Config(config))
        }
        Kind::Device => {
            let at = part.spans().nvlist_at;
            let record = Record::open(part)?;
            let listed = PartRef { record: Some(record.id().clone()), ..listed };
            ledger
                .part(listed, nvlist)
                .map_err(|fault| fault.at(at).within(record.id().place()))?;
            Ok(Part::Record(record))
        }
        Kind::Other(_) => {
            other::check(&part)?;
            ledger.part(listed, nvlist).map_err(|fault| part.wrong(fault))?;
            Ok(Part::Other(part))
        }
        kind @ (Kind::Extent | Kind::Map | Kind::Index) => {
            Err(part
                .wrong(Fault::Order { found: kind, why: "the index does not list it by itself" }))
        }
    }
}
