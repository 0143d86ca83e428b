//! Modules may use those below them, never those above: the order and the arrows are one table.
//!
//! Looks at paths that begin with `crate::` or `super::`, in code outside of tests: a doc link or a
//! test may name what the code may not use.

use std::collections::BTreeMap;

use super::Source;

/// A module, and those that it may use. A module without a row belongs to the one around it. Rows
/// stand on those that they use, so that no arrows can go round.
type Row = (&'static str, &'static [&'static str]);

const SNAPFMT: &[Row] = &[
    ("limits", &[]),
    ("digest", &[]),
    ("nvlist", &["limits"]),
    ("bhyve", &["limits"]),
    // Faults name kinds of parts.
    ("layout::kind", &["limits"]),
    ("error", &["digest", "layout::kind", "nvlist"]),
    ("cursor", &["digest", "error"]),
    // The lists of the header block and of all parts alike.
    ("part::pairs", &["error", "limits", "nvlist"]),
    ("memory", &["digest", "error", "limits"]),
    ("delta", &["digest", "limits", "memory"]),
    ("layout", &["cursor", "digest", "error", "layout::kind", "limits", "memory", "part::pairs"]),
    ("state", &["bhyve", "cursor", "digest", "error", "limits", "nvlist"]),
    (
        "part",
        &[
            "bhyve",
            "cursor",
            "digest",
            "error",
            "layout",
            "layout::kind",
            "limits",
            "memory",
            "nvlist",
            "part::pairs",
            "state",
        ],
    ),
    ("content", &["digest", "part"]),
    ("agreement", &["bhyve", "error", "part"]),
    (
        "ledger",
        &[
            "agreement",
            "bhyve",
            "content",
            "digest",
            "error",
            "layout",
            "layout::kind",
            "limits",
            "memory",
            "part",
            "state",
        ],
    ),
    (
        "read",
        &[
            "agreement",
            "bhyve",
            "delta",
            "digest",
            "error",
            "layout",
            "layout::kind",
            "ledger",
            "limits",
            "memory",
            "part",
            "part::pairs",
            "state",
        ],
    ),
    (
        "write",
        &[
            "agreement",
            "digest",
            "error",
            "layout",
            "layout::kind",
            "ledger",
            "limits",
            "memory",
            "part",
        ],
    ),
];

const SNAPTOOL: &[Row] = &[
    ("text", &[]),
    ("signal", &[]),
    ("node", &[]),
    ("sparse", &[]),
    ("progress", &[]),
    ("mdoc", &[]),
    ("exit", &["signal", "text"]),
    ("input", &["exit", "node", "signal", "sparse", "text"]),
    ("output", &["exit", "node", "text"]),
    ("ram", &["input", "sparse"]),
    ("three", &["exit", "input", "node", "signal", "text"]),
    ("source", &["input", "signal", "three"]),
    ("host", &["exit", "input", "signal"]),
    ("gate", &["input", "source", "three"]),
    ("pipeline", &[]),
    ("front", &["pipeline"]),
    ("watch", &["input", "progress", "signal"]),
    ("links", &["exit", "input", "node", "progress", "signal", "source", "text", "watch"]),
    ("whole", &["exit", "links", "node", "signal", "source", "text", "three"]),
    ("opened", &["exit", "links", "progress", "ram", "signal", "text", "three", "watch", "whole"]),
    ("area", &["links", "opened", "ram", "watch"]),
    (
        "cmd",
        &[
            "area", "exit", "front", "gate", "host", "input", "links", "mdoc", "node", "opened",
            "output", "pipeline", "progress", "ram", "signal", "source", "sparse", "text", "three",
            "watch", "whole",
        ],
    ),
    ("cli", &["cmd", "exit", "signal", "text"]),
];

const MIGRATE: &[Row] = &[
    ("grid", &[]),
    ("identity", &[]),
    ("msgio", &[]),
    ("system", &[]),
    ("regular", &[]),
    ("journal", &["identity", "regular"]),
    ("handover", &["identity", "journal"]),
    ("vm", &["handover"]),
    ("bhyve", &["msgio"]),
    ("bhyve::vmm", &[]),
    ("bhyve::stock", &["bhyve", "handover", "vm"]),
    ("bhyve::primitives", &["bhyve", "msgio", "vm"]),
    ("note", &["identity", "regular"]),
    ("stream", &["handover", "identity"]),
    ("facts", &["stream"]),
    ("core", &["grid", "handover", "identity", "stream"]),
    ("probe", &["facts", "stream", "system"]),
    ("run", &["handover", "system"]),
    ("supervisor", &["run", "system"]),
    ("image", &["core", "grid", "identity", "note", "regular", "stream"]),
    ("origin", &["core", "grid", "stream"]),
    ("transport", &[]),
    ("link", &["core", "stream", "transport"]),
    (
        "driver",
        &[
            "core",
            "handover",
            "identity",
            "image",
            "journal",
            "link",
            "note",
            "origin",
            "stream",
            "transport",
        ],
    ),
    (
        "cmd",
        &[
            "core",
            "driver",
            "facts",
            "handover",
            "identity",
            "image",
            "journal",
            "link",
            "note",
            "origin",
            "probe",
            "regular",
            "run",
            "stream",
            "supervisor",
            "system",
            "transport",
        ],
    ),
    ("cli", &["cmd"]),
];

const TESTVM: &[Row] = &[
    ("kvm", &[]),
    ("guest", &[]),
    ("pace", &["guest"]),
    ("device", &["guest"]),
    ("boot", &["guest", "kvm"]),
    ("machine", &["boot", "device", "guest", "kvm", "pace"]),
    ("state", &["device", "kvm", "machine"]),
    ("control", &["guest", "machine", "state"]),
    ("cli", &["control", "machine", "state"]),
];

/// Crates, and those of ours that they may depend on.
const CRATES: &[Row] = &[
    ("snapfmt", &[]),
    ("snaptool", &["snapfmt"]),
    ("migrate", &["snapfmt", "snaptool"]),
    ("tests-libnv", &[]),
    ("testvm", &["snapfmt"]),
    ("tests", &["snapfmt", "snaptool", "migrate", "tests-libnv"]),
];

/// The row that a path belongs to: the one that says most of it.
fn row<'a>(table: &'a [Row], path: &[String]) -> Option<&'a Row> {
    let begins = |row: &&Row| {
        let name: Vec<&str> = row.0.split("::").collect();
        path.len() >= name.len() && path.iter().zip(&name).all(|(a, b)| a == b)
    };
    table.iter().filter(begins).max_by_key(|row| row.0.len())
}

/// The module that a file below `src` is; nothing for the root of a crate, which may use all.
fn module(file: &str) -> Option<Vec<String>> {
    let path = file.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let path: Vec<_> = path.split('/').map(str::to_owned).collect();
    let tests = path.last().is_some_and(|name| name == "tests");
    (!tests && path != ["lib"] && path != ["main"]).then_some(path)
}

/// The code before the tests, without comments, line by line.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" && lines.peek() == Some(&"mod tests {") {
            break;
        }
        code += line.split("//").next().unwrap_or_default();
        code.push('\n');
    }
    code
}

/// The end of the identifier that `text` begins with.
fn identifier(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// The paths of the use tree that `text` begins with, each behind `before`, and where it ends.
fn tree(text: &str, before: &[String], found: &mut Vec<Vec<String>>) -> usize {
    if !text.starts_with('{') {
        let end = identifier(text);
        let path = [before, &[text[..end].to_owned()]].concat();
        if let Some(rest) = text[end..].strip_prefix("::") {
            return text.len() - rest.len() + tree(rest, &path, found);
        }
        found.push(path);
        return end;
    }
    let mut at = 1;
    while let Some(start) = text[at..].find(|c: char| !c.is_whitespace() && c != ',') {
        at += start;
        if text[at..].starts_with('}') {
            return at + 1;
        }
        at += tree(&text[at..], before, found);
        // A name that it gets here does not matter.
        at += text[at..].find([',', '}']).unwrap_or(text.len() - at);
    }
    text.len()
}

/// The modules that a module's code names: the line, and the path from the crate's root.
fn named(module: &[String], text: &str) -> Vec<(usize, Vec<String>)> {
    let code = code(text);
    let mut named = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let word = identifier(&code[at..]);
        let rest = &code[at + word..];
        let base = match &code[at..at + word] {
            "crate" => Some(&[][..]),
            "super" => Some(&module[..module.len() - 1]),
            _ => None,
        };
        if let (Some(mut base), Some(mut rest)) = (base, rest.strip_prefix("::")) {
            while let Some(further) = rest.strip_prefix("super::") {
                (base, rest) = (&base[..base.len().saturating_sub(1)], further);
            }
            let line = 1 + code[..at].matches('\n').count();
            let mut paths = Vec::new();
            let end = tree(rest, base, &mut paths);
            named.extend(paths.into_iter().map(|path| (line, path)));
            at = code.len() - rest.len() + end;
        } else {
            at += word;
            at += code[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    named
}

/// The arrows of a file that the table does not have, as `line: from -> to`.
fn against(table: &[Row], file: &str, text: &str) -> Vec<String> {
    let Some(module) = module(file) else { return Vec::new() };
    let Some((from, may_use)) = row(table, &module) else {
        return vec![format!("{}: has no row", module.join("::"))];
    };
    let mut bad = Vec::new();
    for (line, path) in named(&module, text) {
        match row(table, &path) {
            Some((to, _)) if to == from || may_use.contains(to) => {}
            Some((to, _)) => bad.push(format!("{line}: {from} -> {to}")),
            None => bad.push(format!("{line}: {from} -> {}, which has no row", path.join("::"))),
        }
    }
    bad
}

/// The crates that a manifest depends on, those of its tests too.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut section = "";
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]")
            && let Some(end) = line.find(['.', ' ', '='])
        {
            found.push(&line[..end]);
        }
    }
    found
}

/// The rows that stand before one that they use.
fn round(table: &[Row]) -> Vec<String> {
    let place: BTreeMap<&str, usize> = table.iter().map(|row| row.0).zip(0..).collect();
    let mut bad = Vec::new();
    for (from, may_use) in table {
        for to in *may_use {
            if place.get(to).is_none_or(|at| *at >= place[from]) {
                bad.push(format!("{from} -> {to}"));
            }
        }
    }
    bad
}

#[test]
fn the_tables_have_no_arrows_that_go_round() {
    assert_eq!(round(SNAPFMT), [""; 0]);
    assert_eq!(round(SNAPTOOL), [""; 0]);
    assert_eq!(round(MIGRATE), [""; 0]);
    assert_eq!(round(TESTVM), [""; 0]);
    assert_eq!(round(&[("a", &["b"]), ("b", &["a", "b", "c"])]), ["a -> b", "b -> b", "b -> c"]);
}

#[test]
fn arrows_between_modules_point_one_way() {
    let sources = super::sources();
    let tables = [
        (SNAPFMT, "snapfmt/src"),
        (SNAPTOOL, "snaptool/src"),
        (MIGRATE, "migrate/src"),
        (TESTVM, "tests/testvm/src"),
    ];
    for (table, folder) in tables {
        let mut bad = Vec::new();
        let mut arrows = 0;
        for Source { path, text } in &sources {
            let Ok(file) = path.strip_prefix(folder) else { continue };
            let file = file.to_str().unwrap();
            for arrow in against(table, file, text) {
                bad.push(format!("{}:{arrow}", path.display()));
            }
            arrows += module(file).map_or(0, |module| named(&module, text).len());
        }
        assert!(bad.is_empty(), "arrows that the table does not have:\n{}", bad.join("\n"));
        assert!(arrows > 20, "{folder}: only {arrows} paths found");
    }
}

#[test]
fn arrows_between_crates_point_one_way() {
    let crates = CRATES.iter().map(|row| row.0);
    for (name, may_use) in CRATES {
        let folder = match *name {
            "testvm" => "tests/testvm".to_owned(),
            name => name.replace('-', "/"),
        };
        let manifest = super::root().join(folder).join("Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).unwrap();
        assert!(manifest.contains(&format!("\nname = \"{name}\"\n")), "{name}");
        for dependency in dependencies(&manifest) {
            let ours = crates.clone().any(|other| other == dependency);
            assert!(!ours || may_use.contains(&dependency), "{name} -> {dependency}");
        }
    }
}

#[test]
fn an_arrow_against_the_table_is_found_with_its_line() {
    let found = |file: &str, text: &str| against(SNAPFMT, file, text);
    let up = "//! A list.\nuse crate::read::Walk;\n";
    assert_eq!(found("nvlist/view.rs", up), ["2: nvlist -> read"]);
    assert_eq!(found("read/walk.rs", "fn f() { crate::write::x() }"), ["1: read -> write"]);
    assert_eq!(found("write.rs", "use crate::read;"), ["1: write -> read"]);
    assert_eq!(found("nvlist/mod.rs", "use super::part::vm::Vm;"), ["1: nvlist -> part"]);
    assert_eq!(found("nvlist/a/b.rs", "\nuse super::super::super::part;"), ["2: nvlist -> part"]);
    assert_eq!(
        found("error.rs", "\n\npub(crate) use crate::layout::{\n    frame,\n    kind::Kind,\n};"),
        ["3: error -> layout"]
    );
    assert_eq!(
        found("memory/map.rs", "use crate::{a::b as c, limits, part::{vm, map}};"),
        ["1: memory -> a::b, which has no row", "1: memory -> part", "1: memory -> part"]
    );
    assert_eq!(found("part/vm.rs", "#[serde(with = \"crate::ledger::x\")]"), ["1: part -> ledger"]);
    assert_eq!(
        found("part/pairs.rs", "use crate::layout::kind;"),
        ["1: part::pairs -> layout::kind"]
    );
    assert_eq!(found("new.rs", ""), ["new: has no row"]);
    assert_eq!(against(SNAPTOOL, "output/set.rs", "use crate::cmd::pack;"), ["1: output -> cmd"]);
    assert_eq!(
        dependencies("[dependencies]\nx.workspace = true\n[dev-dependencies]\ny = 1\n"),
        ["x", "y"]
    );
}

#[test]
fn arrows_down_and_those_of_docs_and_tests_are_allowed() {
    let text = "//! See [`x`](crate::read).\n\
        use crate::{limits, nvlist::{View, serde as s}};\n\
        use super::{codec, pairs::{self, view}};\n\
        fn f() { my_crate::read::x() } // crate::write\n\
        #[cfg(test)]\nmod tests {\n    use crate::read::Walk;\n}\n";
    assert_eq!(against(SNAPFMT, "part/vm.rs", text), [""; 0]);
    assert_eq!(against(SNAPFMT, "lib.rs", "use crate::read;"), [""; 0]);
    assert_eq!(against(SNAPFMT, "nvlist/tests.rs", "use crate::read;"), [""; 0]);
    assert_eq!(against(SNAPFMT, "read/survey/find.rs", "use super::{Bad, Surveyor};"), [""; 0]);
}
