//! Whether a record is stored as fields, and if not, why.

use std::fmt;

use crate::bhyve::{self, Generation, Meta};
use crate::nvlist;
use crate::part::vm::AMD64;
use crate::state::{Evidence, Fields, FormError, Layout, Unknown};

/// How a record was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// As fields of a layout of this name and version (§5.4.8).
    Fields {
        /// The name of the layout.
        layout: String,
        /// Its version.
        version: u32,
    },
    /// As its bytes, and why.
    Whole(Whole),
}

/// Why a record is not stored as fields. That is no fault of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Whole {
    /// Its layout is not known.
    Unknown(Unknown),
    /// Layouts are known of amd64 alone.
    Architecture,
    /// There is no form of it as a list.
    Form(FormError),
    /// The list of its part would be above a limit (§10).
    OverLimit {
        /// What is counted.
        what: &'static str,
        /// How much there would be.
        found: u64,
        /// The most there may be.
        limit: u64,
    },
    /// Its list does not give the same bytes again: the layout is wrong.
    Differs,
    /// Nothing is against fields, but whoever wrote it left it whole.
    Asked,
}

impl Whole {
    /// Whether there is nothing in the record that could be a field.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Unknown(Unknown::Absent))
    }
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) => why.fmt(f),
            Self::Architecture => f.write_str("layouts are known of amd64 alone"),
            Self::Form(why) => why.fmt(f),
            Self::OverLimit { what, found, limit } => {
                write!(f, "{what} would be {found}, above the limit of {limit}")
            }
            Self::Differs => f.write_str("its fields would not give the same bytes again"),
            Self::Asked => f.write_str("its layout is known, but whoever wrote it left it whole"),
        }
    }
}

impl From<FormError> for Whole {
    fn from(why: FormError) -> Self {
        Self::Form(why)
    }
}

impl From<nvlist::Error> for Whole {
    fn from(why: nvlist::Error) -> Self {
        Self::Form(FormError::List(why))
    }
}

/// What tells the layouts of the records of one file.
#[derive(Debug, Clone)]
pub struct Chooser {
    /// Nothing of an architecture whose layouts are not known.
    evidence: Option<Evidence>,
    records: Vec<bhyve::Record>,
}

impl Chooser {
    /// By the machine's architecture and number of virtual CPUs, and by `.meta` where there is one.
    #[must_use]
    pub fn new(arch: &str, ncpus: u64, meta: Option<&Meta>) -> Self {
        let evidence = match meta {
            Some(meta) => Evidence::of(meta),
            // A state that never was three files is of the current form (§5.2.7).
            None => Evidence {
                generation: Generation::B,
                slots: u32::try_from(ncpus).into_iter().collect(),
                vendor: None,
            },
        };
        let records = meta.map(|meta| meta.records.clone()).unwrap_or_default();
        Self { evidence: (arch == AMD64).then_some(evidence), records }
    }

    /// The fields of a record.
    ///
    /// # Errors
    /// Why they are not known.
    pub fn fields<'a>(
        &self,
        section: &str,
        name: &str,
        bytes: &'a [u8],
    ) -> Result<Fields<'a>, Whole> {
        let evidence = self.evidence.as_ref().ok_or(Whole::Architecture)?;
        let section = match section {
            "devices" => bhyve::Section::Device,
            _ => bhyve::Section::Kern,
        };
        let mut records = self.records.iter();
        let record = records.find(|record| record.section == section && record.name == name);
        let chosen = match record {
            Some(record) => evidence.choose_record(record, bytes),
            None => evidence.choose(section, name, bytes),
        };
        chosen.map_err(Whole::Unknown)
    }

    /// Why this record is not stored as fields; the layout that it has if nothing is against it.
    ///
    /// # Errors
    /// Why not.
    pub fn layout(
        &self,
        section: &str,
        name: &str,
        bytes: &[u8],
    ) -> Result<&'static Layout, Whole> {
        let fields = self.fields(section, name, bytes)?;
        super::fields::stored(&super::RecordId::of(section, name, bytes), &fields)?;
        Ok(fields.layout())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_record_without_bytes_has_nothing_that_could_be_a_field() {
        assert!(Whole::Unknown(Unknown::Absent).is_absent());
        assert!(!Whole::Asked.is_absent());
        assert!(!Whole::Differs.is_absent());
    }

    #[test]
    fn a_record_is_named_by_its_section_and_name_without_control_characters() {
        let id = super::super::RecordId::of("devices", "virtio\n-blk", b"");
        assert_eq!(id.to_string(), "devices/virtio\\n-blk");
    }

    #[test]
    fn every_reason_to_keep_a_record_whole_has_its_sentence() {
        let over = Whole::OverLimit { what: "the list of its fields", found: 9, limit: 8 };
        assert_eq!(over.to_string(), "the list of its fields would be 9, above the limit of 8");
        assert_eq!(Whole::Architecture.to_string(), "layouts are known of amd64 alone");
        let absent = Whole::Unknown(Unknown::Absent);
        assert_eq!(absent.to_string(), Unknown::Absent.to_string());
        assert!(Whole::Differs.to_string().contains("same bytes"));
        assert!(Whole::Asked.to_string().contains("left it whole"));
    }
}
