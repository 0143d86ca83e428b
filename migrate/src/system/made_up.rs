//! A system that a test makes up.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{Node, System};

/// What there is; everything else is not.
#[derive(Default)]
pub(crate) struct MadeUp {
    pub(crate) name: &'static str,
    /// By program and arguments with blanks between.
    pub(crate) says: BTreeMap<&'static str, &'static str>,
    pub(crate) files: BTreeMap<&'static str, &'static str>,
    pub(crate) devices: BTreeMap<&'static str, (u32, u32)>,
    pub(crate) others: Vec<&'static str>,
    pub(crate) links: BTreeMap<&'static str, &'static str>,
    pub(crate) room: u64,
}

fn none<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotFound.into())
}

impl System for MadeUp {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn ask(&self, program: &str, args: &[&str]) -> Result<String, String> {
        let words = [&[program], args].concat().join(" ");
        let said = self.says.get(words.as_str()).map(|&said| said.to_owned());
        said.ok_or_else(|| format!("{program}: not found"))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let Some(path) = path.to_str() else { return none() };
        self.files.get(path).map_or_else(none, |text| Ok(text.as_bytes().to_vec()))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let all = self.files.keys().chain(self.links.keys()).chain(&self.others);
        let below = all.filter_map(|file| Path::new(file).strip_prefix(path).ok());
        let mut names: Vec<_> = below
            .filter_map(|path| Some(path.components().next()?.as_os_str().to_str()?.to_owned()))
            .collect();
        names.sort();
        names.dedup();
        if names.is_empty() { none() } else { Ok(names) }
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        let path = self.real(path)?;
        let Some(path) = path.to_str() else { return none() };
        if let Some((major, minor)) = self.devices.get(path) {
            return Ok(Node::Device(*major, *minor));
        }
        self.files.get(path).map_or(Ok(Node::Other), |text| Ok(Node::File(text.len() as u64)))
    }

    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        let Some(text) = path.to_str() else { return none() };
        if let Some(link) = self.links.get(text) {
            return Ok(PathBuf::from(link));
        }
        let there = self.devices.contains_key(text)
            || self.files.contains_key(text)
            || self.others.contains(&text)
            || self.files.keys().any(|file| Path::new(file).starts_with(path));
        if there { Ok(path.to_owned()) } else { none() }
    }

    fn room(&self, path: &Path) -> io::Result<u64> {
        self.node(path).map(|_| self.room)
    }
}
