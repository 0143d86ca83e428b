//! What we depend on: from crates.io only, under licences we can live with, in one version each.
//!
//! This does the work of cargo-deny's checks of licences, sources and bans in no time and without
//! installing anything. Advisories need a database of their own and are not looked at.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// All are permissive: they ask for a notice at most.
const ALLOWED: [&str; 5] = ["Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "Unicode-3.0"];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Two versions at once, and why: the test machine's KVM bindings are the only ones that want an
/// older `bitflags`, and no program that is installed has them.
const TWICE: [&str; 1] = ["bitflags"];

/// Where the program runs, and so what is linked into it.
const TARGETS: [&str; 2] = ["x86_64-unknown-freebsd", "x86_64-unknown-linux-gnu"];

fn packages(target: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", target])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn name(package: &Value) -> String {
    format!("{} {}", package["name"].as_str().unwrap(), package["version"].as_str().unwrap())
}

/// Whether an SPDX expression can be met with the licences in `ALLOWED`.
///
/// `A OR B` needs one, `A AND B` both; `/` is an old way to write `OR`. `AND` binds tighter.
fn permits(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    any(&mut words) == Some(true) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

/// `None` from here on means that the expression makes no sense.
fn any(words: &mut Words<'_>) -> Option<bool> {
    let mut answer = all(words)?;
    while words.next_if_eq(&"OR").is_some() {
        answer |= all(words)?;
    }
    Some(answer)
}

fn all(words: &mut Words<'_>) -> Option<bool> {
    let mut answer = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        answer &= one(words)?;
    }
    Some(answer)
}

fn one(words: &mut Words<'_>) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let answer = any(words)?;
        return (words.next() == Some(")")).then_some(answer);
    }
    if words.next_if_eq(&"WITH").is_some() {
        // An exception permits more than the licence alone.
        words.next()?;
    }
    Some(ALLOWED.contains(&word))
}

#[test]
fn licence_expressions_are_understood() {
    for yes in [
        "MIT",
        "MIT OR GPL-3.0",
        "MIT/Apache-2.0",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR MIT",
        "GPL-2.0 AND MIT OR MIT",
    ] {
        assert!(permits(yes), "{yes}");
    }
    for no in ["", "GPL-3.0", "MIT AND GPL-3.0", "MIT OR", "(MIT", "MIT) OR MIT", "MIT MIT", "mit"]
    {
        assert!(!permits(no), "{no}");
    }
}

#[test]
fn every_dependency_has_a_permissive_licence() {
    let mut bad = BTreeSet::new();
    for package in TARGETS.iter().flat_map(|target| packages(target)) {
        let licence = package["license"].as_str().unwrap_or("no licence");
        if !permits(licence) {
            bad.insert(format!("{}: {licence}", name(&package)));
        }
    }
    assert!(bad.is_empty(), "not on the list of allowed licences: {bad:#?}");
}

#[test]
fn everything_that_is_not_ours_comes_from_crates_io_with_a_checksum() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"));
    let lock = lock.unwrap();
    let ours = ["migrate", "snapfmt", "snaptool", "tests", "tests-libnv", "testvm"];
    let mut found = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let start = format!("{name} = \"");
            package.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix('"'))
        };
        let name = field("name").unwrap();
        match field("source") {
            None => found.push(name),
            Some(source) => {
                assert_eq!(source, CRATES_IO, "{name}");
                assert_eq!(field("checksum").map(str::len), Some(64), "{name}");
            }
        }
    }
    assert_eq!(found, ours);
}

#[test]
fn what_is_linked_is_there_in_one_version() {
    for target in TARGETS {
        let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for package in packages(target) {
            let name = package["name"].as_str().unwrap().to_owned();
            versions.entry(name).or_default().insert(package["version"].to_string());
        }
        versions.retain(|name, found| found.len() > 1 && !TWICE.contains(&name.as_str()));
        assert!(versions.is_empty(), "several versions on {target}: {versions:#?}");
    }
}
