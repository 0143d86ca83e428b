//! Two inputs, `a` and `b`, in a folder of their own.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::map::MapEntry;
use snapfmt::read::Seeker;
use snaptool::cmd::diff::ignore::Ignore;
use snaptool::cmd::diff::{Args, diff};
use snaptool::exit::{Answer, hints, line};
use snaptool::links::Where;
use snaptool::progress::Options;
use snaptool::signal::Stop;
use tempfile::{TempDir, tempdir};
use tests::image::Plain;
use tests::images::Plan;

pub(crate) struct Given {
    dir: TempDir,
    pub(crate) ignore: Vec<Ignore>,
}

impl Given {
    pub(crate) fn bytes(a: &[u8], b: &[u8]) -> Self {
        let given = Self { dir: tempdir().unwrap(), ignore: Vec::new() };
        fs::write(given.path("a"), a).unwrap();
        fs::write(given.path("b"), b).unwrap();
        given
    }

    pub(crate) fn files(a: &Plan, b: &Plan) -> Self {
        Self::bytes(&a.write().unwrap().0, &b.write().unwrap().0)
    }

    /// Makes an input of three files.
    pub(crate) fn set(&self, name: &str, plain: &Plain) {
        fs::write(self.path(name), &plain.ram).unwrap();
        fs::write(self.path(&format!("{name}.kern")), &plain.kern).unwrap();
        fs::write(self.path(&format!("{name}.meta")), &plain.meta).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, json: bool, all: bool) -> (anyhow::Result<Answer>, Vec<u8>) {
        let (a, b) = (self.path("a"), self.path("b"));
        let ignore = self.ignore.clone();
        compare(&Args {
            a,
            b,
            json,
            all,
            ignore,
            quiet: true,
            chain: Where::default(),
            progress: Options::default(),
        })
    }

    pub(crate) fn json(&self) -> (Answer, Value) {
        let (answer, out) = self.run(true, false);
        (answer.unwrap(), serde_json::from_slice(&out).unwrap())
    }

    pub(crate) fn text(&self, all: bool) -> (Answer, String) {
        let (answer, out) = self.run(false, all);
        (answer.unwrap(), String::from_utf8(out).unwrap())
    }

    /// The error with its hints, and what was printed nevertheless.
    pub(crate) fn trouble(&self) -> (String, Vec<u8>) {
        let (answer, out) = self.run(false, false);
        let error = answer.unwrap_err();
        let hints: String = hints(&error).iter().map(|hint| format!("\nhint: {hint}")).collect();
        (line(&error) + &hints, out)
    }
}

pub(crate) fn compare(args: &Args) -> (anyhow::Result<Answer>, Vec<u8>) {
    let mut out = Vec::new();
    let answer = diff(args, &Stop::never(), &mut out);
    (answer, out)
}

pub(crate) fn ranges(facts: &Value) -> Vec<(u64, u64, String)> {
    let number = |range: &Value, key: &str| range[key].as_u64().unwrap();
    let one = |range: &Value| {
        let change = range["change"].as_str().unwrap().to_owned();
        (number(range, "gpa"), number(range, "pages"), change)
    };
    facts["memory"]["ranges"].as_array().unwrap().iter().map(one).collect()
}

pub(crate) fn memory(segments: &[(u64, u64)]) -> MemoryMap {
    let segments = segments.iter().map(|&(gpa, len)| Segment { gpa, len });
    MemoryMap::new(segments.collect()).unwrap()
}

pub(crate) fn entries(bytes: &[u8]) -> Vec<MapEntry> {
    let seeker = Seeker::open(bytes).unwrap();
    let quick = seeker.quick(|_| ()).unwrap();
    seeker.tables(&quick).flat_map(|table| table.unwrap().entries).collect()
}
