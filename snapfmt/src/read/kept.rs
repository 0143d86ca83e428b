//! What a judgement of device state takes, kept while a file goes by: its records, and the few
//! pages of guest memory that rules look at.

use crate::bhyve::Meta;
use crate::memory::block::Block;
use crate::part::device::Record;
use crate::part::meta::MetaText;
use crate::read::listed::Part;
use crate::read::verified::Verified;
use crate::state::gate::Judged;
use crate::state::rules::{GuestRam, HostFacts, KeptRam, Machine};

/// Records and pages of a file that goes by once, as [`read_all`](crate::read::read_all) gives
/// them.
///
/// Records come before memory, so that it is known by then which pages the rules will look at. Kept
/// are at most all records ([`limits::RECORDS_TOTAL`](crate::limits::RECORDS_TOTAL)) and
/// [`limits::RULE_PAGES`](crate::limits::RULE_PAGES) pages.
#[derive(Debug)]
pub struct Kept<'h> {
    host: Option<&'h HostFacts>,
    meta: Option<MetaText>,
    records: Vec<Record>,
    ram: Option<KeptRam>,
    /// Whether all of memory goes by.
    full: bool,
}

impl<'h> Kept<'h> {
    /// Nothing yet. `host` is what will be asked then.
    #[must_use]
    pub fn new(host: Option<&'h HostFacts>) -> Self {
        Self { host, meta: None, records: Vec::new(), ram: None, full: true }
    }

    /// Looks at a part, and gives it back if it is no record.
    pub fn take(&mut self, part: Part) -> Option<Part> {
        match &part {
            Part::Meta(text) => self.meta = Some(text.clone()),
            Part::Extent(extent) => self.block(&extent.block),
            Part::Delta(_) => self.full = false,
            _ => {}
        }
        match part {
            Part::Record(record) => {
                self.records.push(record);
                None
            }
            part => Some(part),
        }
    }

    /// Looks at a block of the state, as [`Chain::check`](crate::read::Chain::check) gives it.
    pub fn block(&mut self, block: &Block) {
        let ram = self.ram();
        block.iter().for_each(|(gpa, page)| ram.page(gpa, page));
    }

    /// The records alone, for a judgement that has no memory to look at.
    #[must_use]
    pub fn into_records(self) -> Vec<Record> {
        self.records
    }

    fn ram(&mut self) -> &mut KeptRam {
        let Self { host, meta, records, .. } = &*self;
        if self.ram.is_none() {
            let ram = wanted(meta.as_ref(), records, *host);
            self.ram = Some(ram);
        }
        self.ram.get_or_insert_default()
    }

    /// Holds what was kept against the rules, once the file was checked to its end.
    ///
    /// # Errors
    /// The records, if the file is another one than that which went by.
    pub fn judge(mut self, verified: &Verified) -> Result<Judged, Vec<Record>> {
        let ram = (self.full && verified.unsettled().is_none()).then(|| self.ram().clone());
        let ram = ram.as_ref().map(|ram| -> &dyn GuestRam { ram });
        verified.judge(self.records, ram, self.host)
    }
}

fn wanted(meta: Option<&MetaText>, records: &[Record], host: Option<&HostFacts>) -> KeptRam {
    let Some(meta) = meta.and_then(|meta| Meta::parse(&meta.text).ok()) else {
        return KeptRam::default();
    };
    let machine = Machine::new(&meta, |entry| {
        let named = |record: &&Record| {
            record.id().section == meta.key(entry.section) && record.id().name == entry.name
        };
        records.iter().find(named).map(Record::bytes)
    });
    KeptRam::wanted(&machine, host)
}
