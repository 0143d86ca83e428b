//! PATH: which of the facts were asked for.

use super::facts::{Facts, Record};
use crate::exit::Trouble;
use crate::text;

/// The names that are no records.
const NAMES: [(&str, What); 9] = [
    ("header", What::Header),
    ("vm", What::Vm),
    ("memory", What::Memory),
    ("config", What::Config),
    ("meta", What::Meta),
    ("layout", What::Layout),
    ("damage", What::Damage),
    ("findings", What::Findings),
    ("devices", What::Devices),
];

/// Records named in a hint.
const HINTED: usize = 64;

/// What was asked for, and of records how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Narrow {
    pub(super) what: What,
    /// Every field of the records, too.
    pub(super) fields: bool,
    /// The state of all records in few words.
    pub(super) summary: bool,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
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
    /// Records by name, in one section or in any; perhaps with `/raw` or the number of a virtual
    /// CPU, which are part of no name that bhyve gives.
    Record(Option<String>, String),
}

/// What a name of a record stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Whole,
    /// Its bytes.
    Raw,
    /// What it has for one virtual CPU.
    Vcpu(u32),
}

impl Narrow {
    pub(super) fn parse(path: Option<&str>) -> anyhow::Result<Self> {
        let what = match path {
            None => What::All,
            Some(path) => Self::what(path.strip_suffix('/').unwrap_or(path))?,
        };
        Ok(Self { what, fields: false, summary: false })
    }

    fn what(path: &str) -> anyhow::Result<What> {
        if let Some((_, what)) = NAMES.iter().find(|(name, _)| *name == path) {
            return Ok(what.clone());
        }
        Ok(match path.split_once('/') {
            Some(("devices", name)) => What::Record(None, name.to_owned()),
            Some((section @ ("kern_structs" | "structs"), name)) => {
                What::Record(Some(section.to_owned()), name.to_owned())
            }
            None if ["kern_structs", "structs"].contains(&path) => What::Section(path.to_owned()),
            _ => {
                let what = format!("{} names nothing in a snapshot", text::escape(path));
                return Err(Trouble::new(what).hint(Self::known()).into());
            }
        })
    }

    fn known() -> String {
        let names = NAMES.map(|(name, _)| name).join(", ");
        format!("there are {names}, devices/NAME, devices/NAME/VCPU and devices/NAME/raw")
    }

    /// Whether a record is one of those that were named.
    pub(super) fn names(&self, section: &str, name: &str) -> bool {
        self.named(section, name).is_some()
    }

    /// Whether the bytes of a record were asked for.
    pub(super) fn is_raw_of(&self, section: &str, name: &str) -> bool {
        self.named(section, name) == Some(Named::Raw)
    }

    /// Whether the fields of a record are needed: of those that are shown, and of the kernel's,
    /// which tell of each other.
    pub(super) fn decodes(&self, section: &str, name: &str) -> bool {
        let shown = match self.named(section, name) {
            Some(Named::Whole) => self.fields || matches!(self.what, What::Record(..)),
            Some(Named::Vcpu(_)) => true,
            Some(Named::Raw) => return false,
            None => self.fields && self.what == What::All,
        };
        let asked = self.fields || matches!(self.what, What::Record(..));
        self.summary || shown || asked && section != "devices"
    }

    /// What was asked of a record.
    pub(super) fn named(&self, section: &str, name: &str) -> Option<Named> {
        match &self.what {
            What::Section(wanted) => (wanted == section).then_some(Named::Whole),
            What::Devices => Some(Named::Whole),
            What::Record(of, wanted) => {
                let named = of.as_ref().is_none_or(|of| of == section);
                named.then(|| record(wanted, section, name))?
            }
            _ => None,
        }
    }

    /// The records that were asked for.
    ///
    /// # Errors
    /// If there are none, and records are what was asked for.
    pub(super) fn records<'a>(&self, facts: &'a Facts) -> anyhow::Result<Vec<&'a Record>> {
        let named = |record: &&Record| self.names(&record.section, &record.name);
        let found: Vec<_> = facts.records.iter().filter(named).collect();
        if let (What::Record(_, name), true) = (&self.what, found.is_empty()) {
            return Err(absent(name, facts));
        }
        Ok(found)
    }

    /// The error of something that this snapshot does not have, or not intact.
    pub(super) fn missing(&self, facts: &Facts) -> anyhow::Error {
        let name =
            NAMES.iter().find(|(_, what)| *what == self.what).map_or("this", |(name, _)| name);
        let why = if facts.intact { "is not there" } else { "is not there, or damaged" };
        let trouble = Trouble::new(format!("{name} of {} {why}", facts.input));
        let hint = "without a PATH, everything is shown that is there";
        trouble.hint(hint).into()
    }
}

/// What the last part of a path asks of a record. A record that is called so itself comes first.
fn record(wanted: &str, section: &str, name: &str) -> Option<Named> {
    // The first devices of a kind may be named without their places on the bus.
    let same = |wanted: &str| {
        wanted == name
            || section == "devices" && name.split_once('@').is_some_and(|(n, _)| n == wanted)
    };
    if same(wanted) {
        return Some(Named::Whole);
    }
    let (start, end) = wanted.rsplit_once('/')?;
    if !same(start) {
        return None;
    }
    if end == "raw" { Some(Named::Raw) } else { Some(Named::Vcpu(end.parse().ok()?)) }
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

    fn parse(path: &str) -> Narrow {
        Narrow::parse(Some(path)).unwrap()
    }

    #[test]
    fn a_path_is_a_name_or_a_record() {
        assert_eq!(parse("header").what, What::Header);
        assert_eq!(parse("devices/").what, What::Devices);
        assert_eq!(parse("structs").what, What::Section("structs".into()));
        assert!(Narrow::parse(Some("elsewhere/x")).is_err());
        assert!(Narrow::parse(Some("")).is_err());
        assert_eq!(Narrow::parse(None).unwrap().what, What::All);
    }

    #[test]
    fn a_record_is_named_in_any_section_or_in_one() {
        assert!(parse("devices/vm").names("kern_structs", "vm"));
        assert!(parse("kern_structs/vm").names("kern_structs", "vm"));
        assert!(!parse("kern_structs/vm").names("devices", "vm"));
        assert!(!parse("devices/vm").is_raw_of("devices", "vm"));
        assert!(parse("devices/vm/raw").is_raw_of("devices", "vm"));
        assert!(parse("devices/vm/raw").names("devices", "vm"));
        assert!(parse("devices/a/raw").names("devices", "a/raw"));
    }

    #[test]
    fn a_number_behind_a_record_is_a_virtual_cpu() {
        let named = |path: &str, name| parse(path).named("kern_structs", name);
        assert_eq!(named("devices/vmcx/0", "vmcx"), Some(Named::Vcpu(0)));
        assert_eq!(named("kern_structs/vmcx/15", "vmcx"), Some(Named::Vcpu(15)));
        assert_eq!(named("devices/vmcx/0", "vmcx/0"), Some(Named::Whole));
        for path in ["devices/vmcx/", "devices/vmcx"] {
            assert_eq!(named(path, "vmcx"), Some(Named::Whole));
        }
        for path in ["devices/vmcx/x", "devices/vmcx/-1", "devices/vmcx/99999999999", "vm"] {
            assert_eq!(named(path, "vmcx"), None);
        }
    }

    #[test]
    fn a_device_may_be_named_without_its_place() {
        let narrow = parse("devices/virtio-blk");
        assert!(narrow.names("devices", "virtio-blk@pci.0.3.0"));
        assert!(!narrow.names("devices", "virtio-block@pci.0.3.0"));
        assert!(!narrow.names("kern_structs", "virtio-blk@pci.0.3.0"));
    }

    #[test]
    fn only_records_that_are_needed_are_decoded() {
        let plain = |path: Option<&str>| Narrow::parse(path).unwrap();
        assert!(!plain(None).decodes("kern_structs", "vm"));
        assert!(!plain(Some("devices")).decodes("devices", "fbuf"));
        assert!(!plain(Some("devices/vm/raw")).decodes("kern_structs", "vm"));
        let one = plain(Some("devices/lpc"));
        assert!(one.decodes("kern_structs", "vm") && one.decodes("devices", "lpc@pci.0.31.0"));
        assert!(!one.decodes("devices", "fbuf@pci.0.29.0"));
        for narrow in [
            Narrow { fields: true, ..plain(None) },
            Narrow { fields: true, ..plain(Some("devices")) },
            Narrow { summary: true, ..plain(None) },
        ] {
            assert!(narrow.decodes("devices", "fbuf@pci.0.29.0"));
        }
    }
}
