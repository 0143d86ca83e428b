//! PATH: which of the facts were asked for.

use super::facts::{Facts, Record};
use crate::exit::Trouble;
use crate::text;

/// The names that are no records.
const NAMES: [(&str, Narrow); 9] = [
    ("header", Narrow::Header),
    ("vm", Narrow::Vm),
    ("memory", Narrow::Memory),
    ("config", Narrow::Config),
    ("meta", Narrow::Meta),
    ("layout", Narrow::Layout),
    ("damage", Narrow::Damage),
    ("findings", Narrow::Findings),
    ("devices", Narrow::Devices),
];

/// Records named in a hint.
const HINTED: usize = 64;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Narrow {
    All,
    Header,
    Vm,
    Memory,
    Config,
    Meta,
    Layout,
    Damage,
    Findings,
    Devices,
    /// The records of a section.
    Section(String),
    /// Records by name, in one section or in any; perhaps with `/raw`, which is part of no name
    /// that bhyve gives.
    Record(Option<String>, String),
}

impl Narrow {
    pub(super) fn parse(path: Option<&str>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::All) };
        let path = path.strip_suffix('/').unwrap_or(path);
        if let Some((_, narrow)) = NAMES.iter().find(|(name, _)| *name == path) {
            return Ok(narrow.clone());
        }
        Ok(match path.split_once('/') {
            Some(("devices", name)) => Self::Record(None, name.to_owned()),
            Some((section @ ("kern_structs" | "structs"), name)) => {
                Self::Record(Some(section.to_owned()), name.to_owned())
            }
            None if ["kern_structs", "structs"].contains(&path) => Self::Section(path.to_owned()),
            _ => {
                let what = format!("{} names nothing in a snapshot", text::escape(path));
                return Err(Trouble::new(what).hint(Self::known()).into());
            }
        })
    }

    fn known() -> String {
        let names = NAMES.map(|(name, _)| name).join(", ");
        format!("there are {names}, devices/NAME and devices/NAME/raw")
    }

    /// Whether a record is one of those that were named.
    pub(super) fn names(&self, section: &str, name: &str) -> bool {
        self.matches(section, name, false) || self.is_raw_of(section, name)
    }

    /// Whether the bytes of a record were asked for.
    pub(super) fn is_raw_of(&self, section: &str, name: &str) -> bool {
        self.matches(section, name, true)
    }

    fn matches(&self, section: &str, name: &str, raw: bool) -> bool {
        match self {
            Self::Section(wanted) => !raw && wanted == section,
            Self::Devices => !raw,
            Self::Record(of, wanted) => {
                let wanted = if raw { wanted.strip_suffix("/raw") } else { Some(wanted.as_str()) };
                of.as_ref().is_none_or(|of| of == section) && wanted == Some(name)
            }
            _ => false,
        }
    }

    /// The records that were asked for.
    ///
    /// # Errors
    /// If there are none, and records are what was asked for.
    pub(super) fn records<'a>(&self, facts: &'a Facts) -> anyhow::Result<Vec<&'a Record>> {
        let named = |record: &&Record| self.names(&record.section, &record.name);
        let found: Vec<_> = facts.records.iter().filter(named).collect();
        if let (Self::Record(_, name), true) = (self, found.is_empty()) {
            return Err(absent(name, facts));
        }
        Ok(found)
    }

    /// The error of something that this snapshot does not have, or not intact.
    pub(super) fn missing(&self, facts: &Facts) -> anyhow::Error {
        let name = NAMES.iter().find(|(_, narrow)| narrow == self).map_or("this", |(name, _)| name);
        let why = if facts.intact { "is not there" } else { "is not there, or damaged" };
        let trouble = Trouble::new(format!("{name} of {} {why}", facts.input));
        let hint = "without a PATH, everything is shown that is there";
        trouble.hint(hint).into()
    }
}

fn absent(name: &str, facts: &Facts) -> anyhow::Error {
    let damaged = if facts.intact { "" } else { ", or it is damaged" };
    let what = format!("there is no record {} in {}{damaged}", text::escape(name), facts.input);
    let mut names: Vec<_> = facts
        .records
        .iter()
        .take(HINTED)
        .map(|record| format!("{}/{}", record.section, text::escape(&record.name)))
        .collect();
    if facts.records.len() > HINTED {
        names.push("...".to_owned());
    }
    if names.is_empty() {
        names.push("none".to_owned());
    }
    Trouble::new(what).hint(format!("the records are {}", names.join(", "))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_name_or_a_record() {
        let parse = |path| Narrow::parse(Some(path)).unwrap();
        assert_eq!(parse("header"), Narrow::Header);
        assert_eq!(parse("devices/"), Narrow::Devices);
        assert_eq!(parse("structs"), Narrow::Section("structs".into()));
        assert!(Narrow::parse(Some("elsewhere/x")).is_err());
        assert!(Narrow::parse(Some("")).is_err());
        assert_eq!(Narrow::parse(None).unwrap(), Narrow::All);
    }

    #[test]
    fn a_record_is_named_in_any_section_or_in_one() {
        let parse = |path| Narrow::parse(Some(path)).unwrap();
        assert!(parse("devices/vm").names("kern_structs", "vm"));
        assert!(parse("kern_structs/vm").names("kern_structs", "vm"));
        assert!(!parse("kern_structs/vm").names("devices", "vm"));
        assert!(!parse("devices/vm").is_raw_of("devices", "vm"));
        assert!(parse("devices/vm/raw").is_raw_of("devices", "vm"));
        assert!(parse("devices/vm/raw").names("devices", "vm"));
        assert!(parse("devices/a/raw").names("devices", "a/raw"));
    }
}
