//! The configuration of a machine, which a stock snapshot lacks: a file for `bhyve -k`, or the
//! saved command line.
//!
//! The text is kept as it is. What is read from it serves inspection and comparison only, so
//! whatever cannot be read is simply absent, and bhyve's defaults are not filled in.

mod shell;
mod variables;

use std::fmt;

use self::variables::Variables;
use super::finding::{Finding, Place, Rule};
use super::meta::Meta;
use super::{limits, rules};

/// What kind of text a configuration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigKind {
    /// Lines of `name=value`, see bhyve_config(5).
    File,
    /// A shell command that runs bhyve.
    CommandLine,
}

impl fmt::Display for ConfigKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "configuration file",
            Self::CommandLine => "command line",
        })
    }
}

/// A disk or a CD of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its PCI address, as `bus.slot.function`.
    pub slot: String,
    /// How the guest sees it: `virtio-blk`, `nvme`, `ahci-hd`, `ahci-cd`.
    pub device: String,
    /// Its backing store.
    pub path: String,
}

/// A text that says how a machine was started, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What kind of text it is.
    pub kind: ConfigKind,
    /// The text itself.
    pub text: String,
    /// The name of the machine.
    pub name: Option<String>,
    /// The number of virtual CPUs.
    pub ncpus: Option<u32>,
    /// The size of guest memory in bytes.
    pub memsize: Option<u64>,
    /// The machine's UUID.
    pub uuid: Option<String>,
    /// The file with the boot ROM.
    pub bootrom: Option<String>,
    /// The file with the boot ROM's variables.
    pub bootvars: Option<String>,
    /// Disks and CDs, in the order of their addresses as text.
    pub disks: Vec<Disk>,
}

/// A text that is no configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Longer than [`limits::TEXT`].
    #[error("{length} bytes of text, where {} is the limit", limits::TEXT)]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// Not text.
    #[error("not text, from byte {offset} on")]
    NotText {
        /// The first byte that is not.
        offset: usize,
    },
    /// Neither kind.
    #[error("neither lines of name=value nor a command that runs bhyve")]
    Unknown,
}

impl Config {
    /// Reads a configuration of either kind.
    ///
    /// # Errors
    ///
    /// If the text is too long, is not text, or is of neither kind.
    pub fn parse(text: &[u8]) -> Result<Self, ConfigError> {
        if text.len() > limits::TEXT {
            return Err(ConfigError::TooLong { length: text.len() });
        }
        let not_text = |offset| ConfigError::NotText { offset };
        let string = std::str::from_utf8(text).map_err(|utf8| not_text(utf8.valid_up_to()))?;
        if let Some(offset) = string.find('\0') {
            return Err(not_text(offset));
        }
        let (kind, variables) = recognise(string).ok_or(ConfigError::Unknown)?;
        Ok(Self {
            kind,
            text: string.to_owned(),
            name: variables.get("name"),
            ncpus: ncpus(&variables),
            memsize: variables.get("memory.size").and_then(|size| memsize(&size)),
            uuid: variables.get("uuid"),
            bootrom: variables.get("bootrom").or_else(|| variables.get("lpc.bootrom")),
            bootvars: variables.get("bootvars").or_else(|| variables.get("lpc.bootvars")),
            disks: disks(&variables),
        })
    }
}

/// Where a configuration contradicts a snapshot. The snapshot counts, so these are warnings.
#[must_use]
pub fn disagreements(config: &Config, meta: &Meta) -> Vec<Finding> {
    let finding = |rule: &'static Rule| Finding::new(rule, Place::Config);
    let mut findings = Vec::new();
    if let Some(ncpus) = config.ncpus.filter(|&ncpus| ncpus != meta.vm.ncpus) {
        let ncpus = finding(&rules::CONFIG_NCPUS).with("configuration", ncpus);
        findings.push(ncpus.with("snapshot", meta.vm.ncpus));
    }
    if let Some(memsize) = config.memsize.filter(|&memsize| memsize != meta.vm.memsize) {
        let memory = finding(&rules::CONFIG_MEMORY).with("configuration", memsize);
        findings.push(memory.with("snapshot", meta.vm.memsize));
    }
    let given = config.name.as_ref().filter(|_| !meta.vm.name.is_empty());
    if let Some(name) = given.filter(|&name| *name != meta.vm.name) {
        let name = finding(&rules::CONFIG_NAME).with("configuration", name.as_str());
        findings.push(name.with("snapshot", meta.vm.name.as_str()));
    }
    findings
}

/// The kind of a text and its variables.
fn recognise(text: &str) -> Option<(ConfigKind, Variables)> {
    // `PATH=/bin bhyve ...` is a command, and bhyve's variables are in lower case.
    let lower = |name: &str| name.chars().any(|c| c.is_ascii_lowercase());
    let file = Variables::of_file(text).filter(|variables| variables.names().any(lower));
    if let Some(variables) = file {
        return Some((ConfigKind::File, variables));
    }
    for command in shell::commands(text) {
        let program = |word: &String| word.rsplit('/').next() == Some("bhyve");
        if let Some(at) = command.iter().position(program) {
            let arguments = command.get(at + 1..).filter(|arguments| !arguments.is_empty())?;
            return Some((ConfigKind::CommandLine, Variables::of_arguments(arguments)));
        }
    }
    None
}

/// What is given, or what the topology comes to.
fn ncpus(variables: &Variables) -> Option<u32> {
    let number = |name| variables.get(name).map(|text| text.trim().parse::<u32>().ok());
    if let Some(ncpus) = number("cpus") {
        return ncpus;
    }
    let topology = [number("sockets"), number("cores"), number("threads")];
    if topology.iter().all(Option::is_none) {
        return None;
    }
    let mut product = 1_u32;
    for part in topology.into_iter().flatten() {
        product = product.checked_mul(part?)?;
    }
    Some(product)
}

/// A size as bhyve reads it: with a suffix, or in bytes, or below 2^20 in MiB.
fn memsize(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let shift = match suffix.to_ascii_lowercase().as_str() {
        "" if number < 1 << 20 => 20,
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        "t" | "tb" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn disks(variables: &Variables) -> Vec<Disk> {
    let slots = variables.under("pci.").filter_map(|name| {
        let slot = name.strip_prefix("pci.")?.strip_suffix(".device")?;
        (slot.split('.').count() == 3).then_some(slot)
    });
    slots.flat_map(|slot| disks_at(variables, slot)).collect()
}

fn disks_at(variables: &Variables, slot: &str) -> Vec<Disk> {
    let at = format!("pci.{slot}");
    let disk = |device: String, path: &str| {
        let path = variables.get(path)?;
        Some(Disk { slot: slot.to_owned(), device, path })
    };
    let device = variables.get(&format!("{at}.device")).unwrap_or_default();
    match device.as_str() {
        "virtio-blk" | "nvme" => disk(device, &format!("{at}.path")).into_iter().collect(),
        "ahci" | "ahci-hd" | "ahci-cd" => {
            let ports = format!("{at}.port.");
            let paths = variables.under(&ports).filter(|name| name.ends_with(".path"));
            let found = paths.filter_map(|path| {
                let port = path.strip_suffix(".path")?;
                let kind = variables.get(&format!("{port}.type")).unwrap_or_else(|| "hd".into());
                disk(format!("ahci-{kind}"), path)
            });
            found.collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
