//! The VM part: the machine (§5.1).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Fault, quoted};
use crate::layout::header::vm_name;
use crate::layout::kind::Kind;
use crate::limits;
use crate::memory::map::{MemoryMap, Segment};
use crate::part::pairs;
use crate::part::{Encoded, Intact};

/// The architecture that this library knows.
pub const AMD64: &str = "amd64";

/// The machine that a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    /// Its architecture, as `hw.machine` says: [`AMD64`], or one that this library does not know.
    pub arch: String,
    /// Its name, as given to bhyve: up to 255 bytes; empty where `.meta` has none.
    pub name: String,
    /// Its number of virtual CPUs: 1 to 1024.
    pub ncpus: u64,
    /// `memflags`, as in `.meta`.
    pub memflags: u64,
    /// Where its RAM lies. The size of all segments is bhyve's `memsize`.
    pub memory: MemoryMap,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pairs {
    arch: String,
    name: String,
    ncpus: u64,
    memsize: u64,
    memflags: u64,
    gpa: Vec<u64>,
    len: Vec<u64>,
}

impl Vm {
    /// The part for this machine.
    ///
    /// # Errors
    /// A breach of §5.1.
    pub fn encode(&self) -> Result<Encoded<'static>, Fault> {
        self.bounds()?;
        let segments = self.memory.segments();
        let pairs = Pairs {
            arch: self.arch.clone(),
            name: self.name.clone(),
            ncpus: self.ncpus,
            memsize: self.memory.size(),
            memflags: self.memflags,
            gpa: segments.iter().map(|s| s.gpa).collect(),
            len: segments.iter().map(|s| s.len).collect(),
        };
        Encoded::new(Kind::Vm, &pairs, Vec::new())
    }

    /// Reads the part.
    ///
    /// # Errors
    /// A breach of §5.1.
    pub fn open(part: &Intact) -> Result<Self, Error> {
        Self::from_nvlist(part.nvlist()).map_err(|fault| part.wrong(fault))
    }

    pub(crate) fn from_nvlist(list: &[u8]) -> Result<Self, Fault> {
        let Pairs { arch, name, ncpus, memsize, memflags, gpa, len } = pairs::read(list)?;
        if gpa.len() != len.len() {
            let found = format!("{} and {} elements", gpa.len(), len.len());
            let must = "`gpa` and `len` are equally long";
            return Err(Fault::Value { what: "the memory map", found, must, rule: "§5.1.5" });
        }
        let segments = gpa.into_iter().zip(len).map(|(gpa, len)| Segment { gpa, len }).collect();
        let vm = Self { arch, name, ncpus, memflags, memory: MemoryMap::new(segments)? };
        vm.bounds()?;
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

    fn bounds(&self) -> Result<(), Fault> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !(1..=limits::ARCH).contains(&self.arch.len()) || !self.arch.bytes().all(legal) {
            let (what, found) = ("the architecture", quoted(&self.arch));
            let must = "it is 1 to 31 characters of a to z, 0 to 9 and _";
            return Err(Fault::Value { what, found, must, rule: "§5.1.6" });
        }
        vm_name(&self.name)?;
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
