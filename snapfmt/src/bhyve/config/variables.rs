//! bhyve's configuration variables, from a file or from a command line.
//!
//! bhyve itself turns its options into variables, see bhyve_config(5); the same is done here, so
//! that what is asked later is asked of variables only.

use std::collections::BTreeMap;

use crate::bhyve::limits;

/// Options of bhyve that take a value, of all releases.
const WITH_VALUE: &str = "BGKUcfgklmnoprs";

/// The variables, by name. A later value of a name replaces an earlier one.
#[derive(Debug, Default)]
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// The variables of a configuration file; none if a line is not `name=value`.
    pub(super) fn of_file(text: &str) -> Option<Self> {
        let mut variables = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let (name, value) = line.split_once('=')?;
            let named = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
            if name.is_empty() || !name.chars().all(named) {
                return None;
            }
            variables.set(name, value);
        }
        Some(variables)
    }

    /// The variables that the words after `bhyve` stand for.
    pub(super) fn of_arguments(arguments: &[String]) -> Self {
        let mut variables = Self::default();
        let mut words = arguments.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let flags = match word.strip_prefix('-') {
                Some("-") => words.next().map(|name| variables.set("name", name)).and(None),
                Some(flags) if !flags.is_empty() => Some(flags),
                _ => {
                    variables.set("name", word);
                    None
                }
            };
            let Some(flags) = flags else { break };
            let Some(at) = flags.find(|flag| WITH_VALUE.contains(flag)) else { continue };
            let (option, value) = flags.split_at(at).1.split_at(1);
            let value = if value.is_empty() { words.next() } else { Some(value) };
            variables.option(option, value.unwrap_or_default());
        }
        variables
    }

    /// The value of a variable with `%(name)` replaced; none if a shell would have to be asked.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let value = self.0.get(name)?;
        let mut out = String::new();
        let mut rest = value.as_str();
        while let Some((before, after)) = rest.split_once("%(") {
            let (inner, after) = after.split_once(')')?;
            let inner = self.0.get(inner)?;
            // Looked at first: a long one that is named a thousand times would be copied as often.
            if out.len() + before.len() + inner.len() > limits::EXPANDED {
                return None;
            }
            out.push_str(before);
            out.push_str(inner);
            rest = after;
        }
        out.push_str(rest);
        (!out.is_empty() && !out.contains(['$', '`'])).then_some(out)
    }

    /// The names that start with `prefix`.
    pub(super) fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let names = self.0.range(prefix.to_owned()..).map(|(name, _)| name.as_str());
        names.take_while(move |name| name.starts_with(prefix))
    }

    /// The names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.under("")
    }

    fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    fn option(&mut self, option: &str, value: &str) {
        match option {
            "c" => self.topology(value),
            "l" => self.lpc(value),
            "m" => self.set("memory.size", value),
            "o" => {
                if let Some((name, value)) = value.split_once('=') {
                    self.set(name, value);
                }
            }
            "s" => self.slot(value),
            "U" => self.set("uuid", value),
            _ => {}
        }
    }

    /// `2`, or `cpus=2,sockets=1`.
    fn topology(&mut self, value: &str) {
        for part in value.split(',') {
            match part.split_once('=') {
                Some((name @ ("cpus" | "sockets" | "cores" | "threads"), n)) => self.set(name, n),
                Some(_) => {}
                None => self.set("cpus", part),
            }
        }
    }

    /// `bootrom,FILE[,VARS]`; the other LPC devices have nothing of interest.
    fn lpc(&mut self, value: &str) {
        let mut parts = value.split(',');
        if parts.next() == Some("bootrom") {
            for (name, part) in ["bootrom", "bootvars"].into_iter().zip(parts) {
                self.set(name, part);
            }
        }
    }

    /// `[bus:]slot[:function],device[,path[,options]]`.
    fn slot(&mut self, value: &str) {
        let mut parts = value.splitn(3, ',');
        let (Some(slot), Some(device)) = (parts.next(), parts.next()) else { return };
        let numbers: Vec<&str> = slot.split(':').collect();
        let at = match numbers.as_slice() {
            [slot] => format!("pci.0.{slot}.0"),
            [slot, function] => format!("pci.0.{slot}.{function}"),
            [bus, slot, function] => format!("pci.{bus}.{slot}.{function}"),
            _ => return,
        };
        let rest = parts.next().unwrap_or_default();
        let path = rest.split(',').next().unwrap_or_default();
        match device {
            "ahci-hd" | "ahci-cd" => {
                self.set(&format!("{at}.device"), "ahci");
                self.set(&format!("{at}.port.0.type"), device.trim_start_matches("ahci-"));
                self.set(&format!("{at}.port.0.path"), path);
            }
            "ahci" => {
                self.set(&format!("{at}.device"), device);
                let disks = rest.split(',').filter_map(|part| part.split_once(':'));
                let disks = disks.filter(|(kind, _)| matches!(*kind, "hd" | "cd"));
                for (port, (kind, path)) in disks.enumerate() {
                    self.set(&format!("{at}.port.{port}.type"), kind);
                    self.set(&format!("{at}.port.{port}.path"), path);
                }
            }
            _ => {
                self.set(&format!("{at}.device"), device);
                if !path.contains('=') {
                    self.set(&format!("{at}.path"), path);
                }
            }
        }
    }
}
