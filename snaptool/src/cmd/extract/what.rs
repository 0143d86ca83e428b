//! PART: what is to be extracted.

use std::fmt;
use std::str::FromStr;

/// A part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// The header block.
    Header,
    /// `.meta`.
    Meta,
    /// The configuration.
    Config,
    /// A record: its section, unless any will do, and its name.
    Record(Option<String>, String),
    /// Guest memory: its guest-physical address and its length.
    Memory(u64, u64),
}

impl What {
    /// Whether a record is meant.
    pub(super) fn names(&self, section: &str, name: &str) -> bool {
        match self {
            Self::Record(of, wanted) => {
                of.as_ref().is_none_or(|of| of == section) && wanted == name
            }
            _ => false,
        }
    }
}

impl FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.split_once('/')) {
            ("header", _) => Ok(Self::Header),
            ("meta", _) => Ok(Self::Meta),
            ("config", _) => Ok(Self::Config),
            (_, Some(("devices", name))) if !name.is_empty() => {
                Ok(Self::Record(None, name.to_owned()))
            }
            (_, Some((section @ ("kern_structs" | "structs"), name))) if !name.is_empty() => {
                Ok(Self::Record(Some(section.to_owned()), name.to_owned()))
            }
            (_, Some(("memory", range))) => memory(range),
            _ => Err("there are header, meta, config, devices/NAME, kern_structs/NAME, \
                      structs/NAME and memory/GPA+LENGTH"
                .to_owned()),
        }
    }
}

fn memory(range: &str) -> Result<What, String> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let range = range.split_once('+');
    let range = range.and_then(|(gpa, len)| Some((number(gpa)?, number(len)?)));
    match range {
        Some((gpa, len)) if len > 0 && gpa.checked_add(len).is_some() => Ok(What::Memory(gpa, len)),
        _ => {
            Err("a range of memory is an address and a length, as in memory/0x1000+4096".to_owned())
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("header"),
            Self::Meta => f.write_str("meta"),
            Self::Config => f.write_str("config"),
            Self::Record(section, name) => {
                let section = section.as_deref().unwrap_or("devices");
                write!(f, "{section}/{}", name.escape_debug())
            }
            Self::Memory(gpa, len) => write!(f, "memory/{gpa:#x}+{len:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_name_a_record_or_a_range() {
        assert_eq!("header".parse(), Ok(What::Header));
        let record = What::Record(Some("kern_structs".to_owned()), "vm".to_owned());
        assert_eq!("kern_structs/vm".parse(), Ok(record));
        let any: What = "devices/a/b".parse().unwrap();
        assert!(any.names("structs", "a/b") && !any.names("devices", "a"));
        assert_eq!("memory/0x1000+16".parse(), Ok(What::Memory(0x1000, 16)));
        for wrong in ["", "devices/", "memory/1", "memory/1+0", "memory/-1+2", "vm", "memory/1+x"] {
            assert!(wrong.parse::<What>().is_err(), "{wrong}");
        }
        let wraps = format!("memory/{}+2", u64::MAX);
        assert!(wraps.parse::<What>().is_err());
    }

    #[test]
    fn a_part_is_shown_as_it_is_named() {
        for name in ["header", "meta", "config", "devices/a", "structs/vm", "memory/0x1000+0x10"] {
            assert_eq!(name.parse::<What>().unwrap().to_string(), name);
        }
    }
}
