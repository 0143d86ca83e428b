//! A set of three files that can be changed, and inspected.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;
use snaptool::cmd::inspect::{Args, inspect};
use snaptool::exit::{Answer, line};
use snaptool::progress::Options;
use snaptool::signal::Stop;
use tempfile::{TempDir, tempdir};
use tests::{fixtures, image};

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    fields: bool,
    summary: bool,
}

impl Ask {
    pub(crate) const PLAIN: Self = Self { fields: false, summary: false };
    pub(crate) const FIELDS: Self = Self { fields: true, summary: false };
    pub(crate) const SUMMARY: Self = Self { fields: false, summary: true };
}

/// A snapshot in a folder of its own.
pub(crate) struct Set {
    /// Removed with the set.
    _own: Option<TempDir>,
    dir: PathBuf,
    input: PathBuf,
    pub(crate) kern: Vec<u8>,
    pub(crate) meta: Value,
}

impl Set {
    /// A fixture, its memory all zeros.
    pub(crate) fn new(name: &str) -> Self {
        let dir = tempdir().unwrap();
        let input = fixtures::unpack_without_memory(name, dir.path()).unwrap();
        let read = |ending: &str| fs::read(dir.path().join(format!("vm.ckp.{ending}"))).unwrap();
        let meta = serde_json::from_slice(&read("meta")).unwrap();
        let kern = read("kern");
        Self { dir: dir.path().to_owned(), _own: Some(dir), input, kern, meta }
    }

    /// What lies in a folder, whatever it is.
    pub(crate) fn at(dir: &Path) -> Self {
        let input = dir.join("vm.ckp");
        Self { _own: None, dir: dir.to_owned(), input, kern: Vec::new(), meta: Value::Null }
    }

    /// 16 virtual CPUs and 30 disks.
    pub(crate) fn large() -> Self {
        let mut set = Self::new("intel-1cpu-fbsd");
        let old = std::mem::take(&mut set.kern);
        let mut at = 0_usize;
        for section in ["kern_structs", "devices"] {
            let mut entries = Vec::new();
            for entry in set.meta[section].as_array().unwrap() {
                let number = |key: &str| usize::try_from(entry[key].as_u64().unwrap()).unwrap();
                let (from, size) = (number("file_offset"), number("size"));
                let bytes = &old[from..from + size];
                let name = entry["device"].as_str().unwrap();
                let (names, bytes) = match name {
                    "vm" => {
                        (vec![name.to_owned()], [bytes[..184].repeat(16), vec![0; 128]].concat())
                    }
                    "vlapic" | "vmcx" => (vec![name.to_owned()], bytes.repeat(16)),
                    _ if name.starts_with("virtio-blk") => {
                        let names = (1..=30).map(|n| format!("virtio-blk@pci.0.{n}.0"));
                        (names.collect(), bytes.to_vec())
                    }
                    _ => (vec![name.to_owned()], bytes.to_vec()),
                };
                for name in names {
                    let size = bytes.len();
                    entries.push(serde_json::json!({
                        "device": name, "size": size, "file_offset": at
                    }));
                    at += size;
                    set.kern.extend_from_slice(&bytes);
                }
            }
            set.meta[section] = entries.into();
        }
        set.meta["basic metadata"]["ncpus"] = 16.into();
        set.write();
        set
    }

    /// The same as one file.
    pub(crate) fn packed(&self) -> Self {
        let read = |name: &str| fs::read(self.dir.join(name)).unwrap();
        let plain = image::Plain {
            meta: read("vm.ckp.meta"),
            kern: self.kern.clone(),
            ram: Vec::new(),
            config: None,
            compression: snapfmt::part::codec::Compression::Zstd(1),
        };
        let dir = tempdir().unwrap();
        let input = dir.path().join("vm.snap");
        fs::write(&input, image::pack(&plain).unwrap()).unwrap();
        let (kern, meta) = (plain.kern, self.meta.clone());
        Self { dir: dir.path().to_owned(), _own: Some(dir), input, kern, meta }
    }

    pub(crate) fn input(&self) -> &Path {
        &self.input
    }

    /// Where a record lies in `.kern`.
    pub(crate) fn record(&self, name: &str) -> Range<usize> {
        let lists = ["kern_structs", "structs", "devices"].map(|key| self.meta[key].as_array());
        let mut all = lists.into_iter().flatten().flatten();
        let named = |entry: &&Value| {
            ["device", "debug_name", "snapshot_req"].iter().any(|key| entry[key] == name)
        };
        let entry = all.find(named).unwrap();
        let number = |key: &str| usize::try_from(entry[key].as_u64().unwrap()).unwrap();
        number("file_offset")..number("file_offset") + number("size")
    }

    /// Writes `.kern` and `.meta` as they are now.
    pub(crate) fn write(&self) {
        fs::write(self.dir.join("vm.ckp.kern"), &self.kern).unwrap();
        let meta = serde_json::to_vec(&self.meta).unwrap();
        fs::write(self.dir.join("vm.ckp.meta"), meta).unwrap();
    }

    pub(crate) fn run(
        &self,
        path: &str,
        ask: Ask,
        json: bool,
    ) -> anyhow::Result<(Answer, Vec<u8>)> {
        let args = Args {
            input: self.input.clone(),
            path: (!path.is_empty()).then(|| path.to_owned()),
            fields: ask.fields,
            summary: ask.summary,
            json,
            full: false,
            chain: snaptool::links::Where::default(),
            progress: Options::default(),
        };
        let mut out = Vec::new();
        let answer = inspect(&args, &Stop::never(), true, &mut out)?;
        Ok((answer, out))
    }

    /// The text, with the name of the folder taken out.
    pub(crate) fn text(&self, path: &str, ask: Ask) -> String {
        let (_, out) = self.run(path, ask, false).unwrap();
        let dir = format!("{}/", self.dir.display());
        String::from_utf8(out).unwrap().replace(&dir, "")
    }

    pub(crate) fn facts(&self, path: &str, ask: Ask) -> Value {
        let (_, out) = self.run(path, ask, true).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    pub(crate) fn trouble(&self, path: &str) -> String {
        line(&self.run(path, Ask::PLAIN, false).unwrap_err())
    }
}

/// What a fixture has in `expected.json`.
pub(crate) fn expected(name: &str) -> Value {
    let path = fixtures::folder(name).join("expected.json.zst");
    let json = zstd::decode_all(fs::File::open(path).unwrap()).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// Where a field is in its record.
pub(crate) fn field(set: &Set, path: &str, name: &str, occurrence: u64) -> u64 {
    let facts = set.facts(path, Ask::FIELDS);
    let mut fields = facts[0]["fields"].as_array().unwrap().iter();
    let same = |field: &&Value| field["name"] == name && field["occurrence"] == occurrence;
    fields.find(same).unwrap()["offset"].as_u64().unwrap()
}
