//! `spec/handover.md` and the code name the same things.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use migrate::handover::Body;
use migrate::journal::Kind;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn spec() -> String {
    fs::read_to_string(root().join("spec/handover.md")).unwrap()
}

/// Numbers at the beginning of a line, a table's rule, or a heading: `2.3`, `5.2.6`, `6`.
fn rules(spec: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in spec.lines() {
        let starts = line.trim_start_matches(['#', ' ']).split(" | ");
        for start in starts {
            let number: String =
                start.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            found.insert(number.trim_end_matches('.').to_owned());
        }
    }
    found
}

fn cited(text: &str) -> Vec<String> {
    let numbers = text.split('§').skip(1).map(|after| {
        let number: String =
            after.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        number.trim_end_matches('.').to_owned()
    });
    numbers.filter(|number| !number.is_empty()).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_rule_that_the_code_cites_is_there() {
    let rules = rules(&spec());
    assert!(rules.len() > 50, "{rules:?}");
    let mut missing = Vec::new();
    let mut count = 0;
    // Other modules mean other documents; `tidy` knows which.
    let own = ["handover", "journal"].map(|folder| root().join("migrate/src").join(folder));
    for path in own.iter().flat_map(|folder| sources(folder)) {
        let text = fs::read_to_string(&path).unwrap();
        // Another specification's numbers.
        let text = text.replace("`spec/snapshot.md` §", "");
        for number in cited(&text) {
            count += 1;
            if !rules.contains(&number) {
                missing.push(format!("{}: §{number}", path.display()));
            }
        }
    }
    assert!(count > 20 && missing.is_empty(), "{count} cited; missing: {missing:#?}");
}

#[test]
fn every_rule_that_the_specification_cites_is_there() {
    let spec = spec();
    let rules = rules(&spec);
    let own = spec.replace("`snapshot.md` §", "");
    let missing: Vec<_> = cited(&own).into_iter().filter(|n| !rules.contains(n)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_kind_of_record_has_its_number_there() {
    let spec = spec();
    for kind in Kind::ALL {
        let cell = format!("| {} | {} |", kind as u16, kind.name());
        assert!(spec.contains(&cell), "{cell}");
    }
}

#[test]
fn every_message_is_explained_there() {
    let spec = spec();
    for body in [
        Body::Offer,
        Body::Ready,
        Body::Commit,
        Body::Owner,
        Body::Running,
        Body::Kept,
        Body::Done,
        Body::Release,
        Body::Released,
        Body::NoRecord,
        Body::Claimed(2),
        Body::Superseded,
    ] {
        assert!(spec.contains(&format!("\n| {} ", body.name())), "{body:?}");
    }
}
