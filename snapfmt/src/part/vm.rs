//! The VM part: the machine (§5.1).

use crate::error::{Error, Fault};
use crate::layout::header::vm_name;
use crate::layout::kind::Kind;
use crate::limits;
use crate::memory::map::{MemoryMap, Segment};
use crate::nvlist::Nvlist;
use crate::part::pairs::Pairs;
use crate::part::{Encoded, Intact};

/// The machine that a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    /// Its name, as given to bhyve: 1 to 255 bytes.
    pub name: String,
    /// Its number of virtual CPUs: 1 to 1024.
    pub ncpus: u64,
    /// `memflags`, as in `.meta`.
    pub memflags: u64,
    /// Where its RAM lies. The size of all segments is bhyve's `memsize`.
    pub memory: MemoryMap,
}

impl Vm {
    /// The part for this machine.
    ///
    /// # Errors
    /// A breach of §5.1.
    pub fn encode(&self) -> Result<Encoded<'static>, Fault> {
        self.bounds()?;
        let segments = self.memory.segments();
        let list = Nvlist::builder()
            .string("name", &self.name)
            .number("ncpus", self.ncpus)
            .number("memsize", self.memory.size())
            .number("memflags", self.memflags)
            .number_array("gpa", segments.iter().map(|s| s.gpa))
            .number_array("len", segments.iter().map(|s| s.len))
            .build()?;
        Encoded::new(Kind::Vm, &list, Vec::new())
    }

    /// Reads the part.
    ///
    /// # Errors
    /// A breach of §5.1.
    pub fn open(part: &Intact) -> Result<Self, Error> {
        Self::from_nvlist(part.nvlist()).map_err(|fault| part.wrong(fault))
    }

    pub(crate) fn from_nvlist(list: &[u8]) -> Result<Self, Fault> {
        let names = ["name", "ncpus", "memsize", "memflags", "gpa", "len"];
        let pairs = Pairs::parse(list, &names)?;
        let (gpa, len) = (pairs.numbers("gpa")?, pairs.numbers("len")?);
        if gpa.len() != len.len() {
            let found = format!("{} and {} elements", gpa.len(), len.len());
            let must = "`gpa` and `len` are equally long";
            return Err(Fault::Value { what: "the memory map", found, must, rule: "§5.1.5" });
        }
        let segments = gpa.into_iter().zip(len).map(|(gpa, len)| Segment { gpa, len }).collect();
        let vm = Self {
            name: pairs.text("name")?,
            ncpus: pairs.number("ncpus")?,
            memflags: pairs.number("memflags")?,
            memory: MemoryMap::new(segments)?,
        };
        vm.bounds()?;
        let memsize = pairs.number("memsize")?;
        if memsize != vm.memory.size() {
            return Err(Fault::Disagree {
                what: "memsize",
                here: memsize.to_string(),
                there: vm.memory.size().to_string(),
                place: "in the sum of all segments",
                rule: "§5.1.3",
            });
        }
        Ok(vm)
    }

    /// Compares the name with that in the header block (§3).
    pub(crate) fn check_name(&self, header: &str) -> Result<(), Fault> {
        if self.name == header {
            return Ok(());
        }
        Err(Fault::Disagree {
            what: "the VM's name",
            here: self.name.escape_default().to_string(),
            there: header.escape_default().to_string(),
            place: "in the header block",
            rule: "§3",
        })
    }

    fn bounds(&self) -> Result<(), Fault> {
        vm_name(self.name.clone())?;
        if !(1..=limits::NCPUS).contains(&self.ncpus) {
            let (what, found) = ("ncpus", self.ncpus.to_string());
            return Err(Fault::Value { what, found, must: "it is 1 to 1024", rule: "§5.1.2" });
        }
        let (found, limit) = (self.memflags, limits::MEMFLAGS);
        if found > limit {
            return Err(Fault::OverLimit { what: "memflags", found, limit });
        }
        Ok(())
    }
}
