//! `snaptool inspect`: what it shows of whole and of damaged snapshots, and what it must not show.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use serde_json::Value;
use snapfmt::part::codec::Compression;
use snaptool::cmd::inspect::{Args, inspect};
use snaptool::exit::{self, Answer};
use snaptool::signal::Stop;
use tempfile::{TempDir, tempdir};
use tests::image;

/// A folder with one file in it.
struct Given {
    dir: TempDir,
}

impl Given {
    fn new(bytes: &[u8]) -> Self {
        let given = Self { dir: tempdir().unwrap() };
        given.put(bytes);
        given
    }

    fn put(&self, bytes: &[u8]) {
        fs::write(self.dir.path().join("a.snap"), bytes).unwrap();
    }

    fn try_run(&self, path: &str, json: bool, full: bool) -> anyhow::Result<(Answer, Vec<u8>)> {
        run(&self.dir.path().join("a.snap"), path, json, full)
    }

    /// The text, with the name of the folder taken out.
    fn text(&self, path: &str) -> (Answer, String) {
        let (answer, out) = self.try_run(path, false, false).unwrap();
        let dir = format!("{}/", self.dir.path().display());
        (answer, String::from_utf8(out).unwrap().replace(&dir, ""))
    }

    fn json(&self, path: &str, full: bool) -> (Answer, Value) {
        let (answer, out) = self.try_run(path, true, full).unwrap();
        (answer, serde_json::from_slice(&out).unwrap())
    }
}

fn run(input: &Path, path: &str, json: bool, full: bool) -> anyhow::Result<(Answer, Vec<u8>)> {
    let path = (!path.is_empty()).then(|| path.to_owned());
    let args = Args { input: input.to_owned(), path, json, full };
    let mut out = Vec::new();
    let answer = inspect(&args, &Stop::never(), true, &mut out)?;
    Ok((answer, out))
}

fn small() -> Vec<u8> {
    image::pack(&image::small().unwrap()).unwrap()
}

fn flipped(bytes: &[u8], at: u64) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    copy[usize::try_from(at).unwrap()] ^= 4;
    copy
}

/// The offset of the part that holds a record.
fn part_of(given: &Given, name: &str) -> u64 {
    let (_, facts) = given.json("", false);
    let records = facts["records"].as_array().unwrap();
    let record = records.iter().find(|record| record["name"] == name).unwrap();
    record["part_offset"].as_u64().unwrap()
}

#[test]
fn a_whole_file() {
    let given = Given::new(&small());
    let (answer, text) = given.text("");
    println!("{text}");
    assert_eq!(answer, Answer::Yes);
    insta::assert_snapshot!("whole", text);
}
