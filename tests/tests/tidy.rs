//! House rules that neither rustfmt nor clippy knows, for every text file of the repository.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/references.rs"]
mod references;

use std::fs;
use std::path::{Path, PathBuf};

/// Longer files want to be split.
const MAX_LINES: usize = 600;

/// As in `rustfmt.toml`, which does not touch comments and strings.
const MAX_COLUMNS: usize = 100;

/// What these say is not ours to style.
const DATA: [&str; 13] = [
    "bin", "blob", "ckp", "gz", "jsonl", "kern", "lock", "meta", "png", "raw", "snap", "svg", "zst",
];

/// Folders with other people's bytes, or with none of our text.
const SKIPPED: [&str; 7] =
    [".git", "corpus", "fixtures", "proptest-regressions", "snapshots", "target", "vectors"];

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.extension().is_some_and(|ending| ending == "rs")
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Every text file, found by walking, so that it works without git and before a commit.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                folders.push(entry.path());
            } else if kind.is_file() && !DATA.iter().any(|e| name.ends_with(&format!(".{e}"))) {
                // A worktree has a file where a clone has the folder `.git`.
                if let Ok(text) = fs::read_to_string(entry.path())
                    && name != ".git"
                {
                    let path = entry.path().strip_prefix(root()).unwrap().to_owned();
                    found.push(Source { path, text });
                }
            }
        }
    }
    assert!(found.iter().any(|source| source.path.ends_with("tests/tests/tidy.rs")));
    found
}

/// Gives every line of the sources to a rule and shows those that it does not like.
fn check_lines(rule: &str, rust_only: bool, dislikes: impl Fn(&str) -> bool) {
    let mut bad = Vec::new();
    for source in sources().iter().filter(|source| source.is_rust() || !rust_only) {
        for (number, line) in source.text.lines().enumerate().filter(|(_, line)| dislikes(line)) {
            bad.push(format!("{}:{}: {}", source.path.display(), number + 1, line.trim()));
        }
    }
    assert!(bad.is_empty(), "{rule}:\n{}", bad.join("\n"));
}

fn check_files(rule: &str, rust_only: bool, dislikes: impl Fn(&str) -> bool) {
    let all = sources();
    let bad = all.iter().filter(|source| source.is_rust() || !rust_only);
    let bad: Vec<_> = bad.filter(|source| dislikes(&source.text)).map(|s| &s.path).collect();
    assert!(bad.is_empty(), "{rule}: {bad:#?}");
}

#[test]
fn files_are_short() {
    check_files("more than 600 lines", true, |text| text.lines().count() > MAX_LINES);
}

#[test]
fn files_end_in_exactly_one_newline() {
    check_files("must end in one newline", false, |text| {
        !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n"))
    });
}

#[test]
fn rust_files_say_first_what_they_are_for() {
    check_files("must begin with a `//!` line", true, |text| !text.starts_with("//! "));
}

#[test]
fn rust_lines_fit() {
    check_lines("over 100 columns", true, |line| line.chars().count() > MAX_COLUMNS);
}

#[test]
fn rust_has_no_tabs() {
    check_lines("a tab", true, |line| line.contains('\t'));
}

#[test]
fn no_line_ends_in_white_space() {
    // Two blanks at the end mean something in Markdown; we do not use them either.
    check_lines("white space at the end", false, |line| line.ends_with(char::is_whitespace));
}

/// Where unsafe code may be: it maps memory, calls the kernel, or calls C.
const UNSAFE: [&str; 9] = [
    "migrate/src/bhyve/vmm/device.rs",
    "migrate/src/bhyve/vmm/mapping.rs",
    "tests/libnv/src/lib.rs",
    "tests/tests/tidy.rs",
    "tests/testvm/src/guest/program.rs",
    "tests/testvm/src/kvm/kick.rs",
    "tests/testvm/src/kvm/ram.rs",
    "tests/testvm/src/kvm/vcpu.rs",
    "tests/testvm/src/kvm/vm.rs",
];

#[test]
fn unsafe_code_is_where_it_may_be() {
    let begins = |line: &str| {
        let line = line.trim_start();
        !line.starts_with("//") && has_word(line, "unsafe")
    };
    let mut found: Vec<_> = sources().into_iter().filter(Source::is_rust).collect();
    found.retain(|source| source.text.lines().any(begins));
    let mut found: Vec<_> = found.iter().map(|source| source.path.to_str().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, UNSAFE);
}

/// The lines of a table of a manifest, without the name of the table.
fn table(manifest: &str, name: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let rest = text.lines().skip_while(|line| *line != format!("[{name}]")).skip(1);
    rest.take_while(|line| line.contains(" = ")).map(str::to_owned).collect()
}

#[test]
fn migrate_has_all_lints_of_the_workspace_but_the_one_that_forbids_unsafe_code() {
    for kind in ["rust", "clippy"] {
        let all = table("Cargo.toml", &format!("workspace.lints.{kind}"));
        let own = table("migrate/Cargo.toml", &format!("lints.{kind}"));
        assert!(all.len() > 3);
        let missing: Vec<_> = all.iter().filter(|lint| !own.contains(lint)).collect();
        let wanted: &[&str] = if kind == "rust" { &["unsafe_code = \"forbid\""] } else { &[] };
        assert_eq!(missing, wanted);
    }
    assert!(
        table("migrate/Cargo.toml", "lints.rust").contains(&"unsafe_code = \"deny\"".to_owned())
    );
}

#[test]
fn nothing_is_left_to_be_done() {
    // Taken apart, so that this file does not name them.
    let words = [["TO", "DO"], ["FIX", "ME"], ["X", "XX"]].map(|parts| parts.concat());
    let calls = ["todo", "dbg", "unimplemented"].map(|name| format!("{name}!("));
    check_lines("a reminder", false, |line| words.iter().any(|word| has_word(line, word)));
    check_lines("a stopgap", true, |line| calls.iter().any(|call| line.contains(call.as_str())));
}

#[test]
fn no_path_of_some_machine_is_named() {
    let places = ["/ro|ot/", "/wo|rk/", "/ho|me/", "/tmp/ba|sh", "/Us|ers/"];
    let places = places.map(|place| place.replace('|', ""));
    check_lines("a path of some machine", false, |line| {
        places.iter().any(|place| line.contains(place.as_str()))
    });
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|part| part == word)
}
