//! What is cited as § of a specification exists there, once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tests::spec_rules::WITHOUT_FILE;
use tests::vector_files::{folder, names};

use super::{Source, root};

/// The document that is meant where none is named.
const DEFAULT: &str = "snapshot.md";

/// Folders of the code of another document, which is looked at first. A folder stands before the
/// one that it is in.
const OTHERS: [(&str, &str); 6] = [
    ("spec/vectors/stream", "stream.md"),
    ("tests/src/stream_rules", "stream.md"),
    ("migrate/src/handover", "handover.md"),
    ("migrate/src/identity.rs", "handover.md"),
    ("migrate/src/journal", "handover.md"),
    ("migrate", "stream.md"),
];

/// The documents that a file may mean where it names none. A document means itself first.
fn meant(path: &Path) -> [&str; 2] {
    let folder = OTHERS.iter().find(|(folder, _)| path.starts_with(folder));
    let own = path.file_name().and_then(|name| name.to_str());
    let own = own.filter(|name| path.starts_with("spec") && name.ends_with(".md"));
    [folder.map(|(_, document)| *document).or(own).unwrap_or(DEFAULT), DEFAULT]
}

/// Numbers with points between them that `text` begins with.
fn number(text: &str) -> &str {
    let digits_and_points = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    text[..digits_and_points.unwrap_or(text.len())].trim_end_matches('.')
}

/// The numbers of the sections and rules of a document, in order: those of headings, and those
/// that a paragraph, an item, a sentence or a cell of a table begins with.
fn numbers(document: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut picture = false;
    for line in document.lines() {
        picture ^= line.starts_with("```");
        if picture {
            continue;
        }
        let heading = line.starts_with('#');
        let paragraph = line.trim_start_matches('#').trim_start();
        let paragraph = paragraph.strip_prefix("- ").unwrap_or(paragraph);
        let cells = line.split('|').skip(1).map(|cell| (cell.trim_start(), true));
        // `2.2 wants it otherwise` cites a rule and does not give it.
        for (text, small) in paragraph.split(". ").map(|text| (text, heading)).chain(cells) {
            let number = number(text);
            let rule = text[number.len()..]
                .strip_prefix(' ')
                .is_some_and(|rule| small || !rule.starts_with(|c: char| c.is_ascii_lowercase()));
            if rule && (number.contains('.') || heading && !number.is_empty()) {
                found.push(number);
            }
        }
    }
    found
}

/// What a text cites: the line, the document if it is named, and the number.
fn citations(text: &str) -> Vec<(usize, Option<&str>, &str)> {
    let mut found = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        for (at, sign) in text.match_indices('§') {
            let cited = number(&text[at + sign.len()..]);
            let before = text[..at].trim_end_matches([' ', '`', ',']);
            let before = before.rsplit([' ', '`', '(', '/']).next().unwrap_or_default();
            let document = before.ends_with(".md").then_some(before);
            if !cited.is_empty() {
                found.push((line, document, cited));
            }
        }
    }
    found
}

/// The citations in a file of what does not exist, as `line: document number`.
fn dangling(spec: &[(String, BTreeSet<String>)], path: &Path, text: &str) -> Vec<String> {
    let exists = |document: &str, number: &str| {
        spec.iter().any(|(name, numbers)| name == document && numbers.contains(number))
    };
    let mut bad = Vec::new();
    for (line, document, cited) in citations(text) {
        let documents = document.map_or_else(|| meant(path), |document| [document; 2]);
        if !documents.iter().any(|document| exists(document, cited)) {
            bad.push(format!("{line}: {} §{cited}", documents[0]));
        }
    }
    bad
}

/// The documents in `spec`, each with its numbers.
fn spec() -> Vec<(String, BTreeSet<String>)> {
    let mut spec = Vec::new();
    for entry in fs::read_dir(root().join("spec")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "md") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            spec.push((name, numbers(&text).into_iter().map(str::to_owned).collect()));
        }
    }
    spec
}

#[test]
fn what_is_cited_exists() {
    let spec = spec();
    let (mut bad, mut cited) = (Vec::new(), 0);
    for Source { path, text } in super::sources() {
        // This one cites what does not exist, to see that it is found.
        if !path.ends_with("tests/tests/tidy/references.rs") {
            cited += citations(&text).len();
            for citation in dangling(&spec, &path, &text) {
                bad.push(format!("{}:{citation}", path.display()));
            }
        }
    }
    assert!(bad.is_empty(), "cited, but not there:\n{}", bad.join("\n"));
    assert!(cited > 500, "only {cited} citations found");
}

#[test]
fn vectors_and_their_exceptions_name_rules_that_exist() {
    let spec = spec();
    let mut rules = 0;
    for of in ["snapshot", "stream"] {
        for name in names(&folder(of)) {
            let file = fs::read(folder(of).join(&name)).unwrap();
            // The text ends at two empty lines, and the rest is compressed.
            let end = file.windows(3).position(|three| three == b"\n\n\n").unwrap();
            let text = std::str::from_utf8(&file[..end]).unwrap();
            rules += text.lines().filter(|line| line.starts_with("rule: §")).count();
            let path = Path::new("spec/vectors").join(of).join(&name);
            assert_eq!(dangling(&spec, &path, text), [""; 0], "{of}/{name}");
        }
    }
    assert!(rules > 100, "only {rules} rules named");
    for (rule, _) in WITHOUT_FILE {
        assert_eq!(dangling(&spec, Path::new(""), &format!("§{rule}")), [""; 0]);
    }
}

#[test]
fn a_number_is_given_once() {
    for entry in fs::read_dir(root().join("spec")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "md") {
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(twice(&text), [""; 0], "{}", path.display());
        }
    }
    assert_eq!(twice("1.1 A rule\n- 1.1.1 A rule\n1.1 Another"), ["1.1"]);
}

fn twice(document: &str) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    numbers(document).into_iter().filter(|number| !seen.insert(*number)).collect()
}

#[test]
fn numbers_are_taken_from_where_rules_begin() {
    let document = "# Title\n## 2 Lists\n2.1 A rule, see 2.8.\n- 2.1.1 An item\n```\n2.7 no\n```\n\
        | 0 | x | 2.2 `magic` |\n| `a`, `b` | 2.3.1 words |\n| 17 | no |\n### 2.4 More\n\
        A word. 2.5 A rule.\n2.6, which is no rule\n\
        2.9 says more\n";
    assert_eq!(numbers(document), ["2", "2.1", "2.1.1", "2.2", "2.3.1", "2.4", "2.5"]);
}

#[test]
fn a_citation_of_what_does_not_exist_is_found_with_its_line() {
    let numbers = |document| numbers(document).into_iter().map(str::to_owned).collect();
    let spec = [
        ("snapshot.md".to_owned(), numbers("## 1 One\n1.2 Rule")),
        ("other.md".to_owned(), numbers("## 3 Three\n")),
    ];
    let text = "sound (§1, §1.2).\n//! `other.md` §3 and spec/other.md §3.\n§ alone\n\
        /// Rule §1.3.\nmust(\"§1.2.1\");\nother.md §1.2, none.md §1, §3\n";
    let code = Path::new("snapfmt/src/lib.rs");
    assert_eq!(
        dangling(&spec, code, text),
        [
            "4: snapshot.md §1.3",
            "5: snapshot.md §1.2.1",
            "6: other.md §1.2",
            "6: none.md §1",
            "6: snapshot.md §3",
        ]
    );
    // A document means itself before the first one, and code the document of its folder.
    assert_eq!(dangling(&spec, Path::new("spec/other.md"), "§3 §1 §2"), ["1: other.md §2"]);
    assert_eq!(dangling(&spec, Path::new("migrate/src/lib.rs"), "§1 §3"), ["1: stream.md §3"]);
}
