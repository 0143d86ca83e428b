//! The vectors of whole snapshot files: made from [`spec_rules`](crate::spec_rules), written to and
//! read from `spec/vectors/snapshot`, whose README says what a file of vectors looks like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use crate::forge::tree::sum;
use crate::spec_rules::{Sound, cases, sound_extensions, sound_plans};

/// Time does not matter here.
const LEVEL: i32 = 19;

/// A snapshot file and what a reader has to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vector {
    /// The lines before the bytes, in order: key and value.
    pub header: Vec<(String, String)>,
    /// The snapshot.
    pub bytes: Vec<u8>,
}

/// Where the vectors are.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/vectors/snapshot"))
}

/// The layer that a fault of this kind belongs to; `rule` is the one that a wrong value breaks.
///
/// # Panics
/// If no file alone can have such a fault.
#[must_use]
pub fn layer(id: &str, rule: &str) -> &'static str {
    match id {
        "not-a-snapshot" | "magic" => "magic",
        "limit" => "limit",
        "digest" => "digest",
        "truncated" | "version" | "missing-features" | "padding" | "unknown-part" | "order"
        | "trailing" => "layout",
        "nvlist" | "pair" => "nvlist",
        // The fields of a frame say where the rest of a part is.
        "value" if rule.starts_with("§4.") => "layout",
        "value" | "disagree" | "fields" | "layout" | "zstd" | "meta" => "consistency",
        _ => panic!("{id} belongs to no layer"),
    }
}

impl Vector {
    fn new(header: &[(&str, &str)], bytes: Vec<u8>) -> Self {
        let mut header: Vec<_> =
            header.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        header.push(("size".to_owned(), bytes.len().to_string()));
        header.push(("sha256".to_owned(), hex::encode(sum(&[&bytes]))));
        Self { header, bytes }
    }

    fn sound(what: &str, content: Option<String>, parent: Option<&str>, bytes: Vec<u8>) -> Self {
        let (name, parent) = (sound_name(what), parent.map(sound_name));
        // The trailer's last two fields are the root and its own digest (§7.3).
        let root = hex::encode(&bytes[bytes.len() - 64..bytes.len() - 32]);
        let mut header = vec![("name", &*name), ("expect", "ok"), ("what", what), ("root", &root)];
        header.extend(parent.as_deref().map(|parent| ("parent", parent)));
        header.extend(content.as_deref().map(|content| ("content", content)));
        Self::new(&header, bytes)
    }

    /// What the header says under this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.header.iter().find(|(other, _)| other == key).map(|(_, value)| &**value)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.get("name").unwrap()
    }

    /// The number of the rule that it breaks.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.get("rule").map(|rule| rule.trim_start_matches('§'))
    }

    /// The file of vectors that it belongs to.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}.vectors", self.rule().unwrap_or("ok"))
    }

    fn text(&self) -> String {
        self.header.iter().map(|(key, value)| format!("{key}: {value}\n")).collect()
    }
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, LEVEL).unwrap()
}

/// Lower-case words with hyphens between them.
fn slug(what: &str) -> String {
    let words = what.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// The name of a sound vector.
fn sound_name(what: &str) -> String {
    format!("ok-{}", slug(what))
}

/// The vectors as the tables give them, in the order of the files.
#[must_use]
pub fn fresh() -> Vec<Vector> {
    let (mut vectors, mut names) = (Vec::new(), BTreeSet::new());
    for Sound { what, plan, parent, .. } in sound_plans() {
        let content = Some(hex::encode(plan.content()));
        vectors.push(Vector::sound(what, content, parent, plan.forge()));
    }
    for (what, bytes) in sound_extensions() {
        vectors.push(Vector::sound(what, None, None, bytes));
    }
    for case in cases() {
        let stem = format!("{}-{}", case.rule, slug(&case.what));
        let numbered = (2..).map(|number| format!("{stem}-{number}"));
        let name = std::iter::once(stem.clone()).chain(numbered).find(|n| !names.contains(n));
        let name = name.unwrap();
        names.insert(name.clone());
        let rule = format!("§{}", case.rule);
        let said = if case.says.starts_with('§') { case.says } else { &rule };
        let parent = case.parent.map(sound_name);
        let mut header = vec![
            ("name", &*name),
            ("expect", layer(case.id, said)),
            ("rule", &rule),
            ("section", case.section),
            ("what", &case.what),
        ];
        header.extend(parent.as_deref().map(|parent| ("parent", parent)));
        vectors.push(Vector::new(&header, case.file));
    }
    vectors.sort_by_key(Vector::file);
    vectors
}

/// Writes the vectors, one file for each rule, in place of those that are there.
pub fn write(vectors: &[Vector]) {
    let mut files: BTreeMap<String, (String, Vec<u8>)> = BTreeMap::new();
    for vector in vectors {
        let (text, bytes) = files.entry(vector.file()).or_default();
        *text += &vector.text();
        text.push('\n');
        bytes.extend(&vector.bytes);
    }
    fs::create_dir_all(folder()).unwrap();
    for name in names() {
        fs::remove_file(folder().join(name)).unwrap();
    }
    for (name, (text, bytes)) in files {
        let stored = [text.as_bytes(), b"\n", &compressed(&bytes)].concat();
        fs::write(folder().join(name), stored).unwrap();
    }
}

/// The names of the files of vectors, in order.
#[must_use]
pub fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".vectors")).collect();
    names.sort();
    names
}

/// The vectors in a file of that name, each of the size and digest that its header says.
///
/// # Panics
/// If the file is not as the README says.
#[must_use]
pub fn load(name: &str) -> Vec<Vector> {
    let file = fs::read(folder().join(name)).unwrap();
    let end = file.windows(3).position(|three| three == b"\n\n\n").expect("two empty lines");
    let text = std::str::from_utf8(&file[..end]).expect("text");
    let all = zstd::decode_all(&file[end + 3..]).expect("zstd");
    let mut rest = &all[..];
    let mut vector = |header: &str| {
        let pair = |line: &str| {
            let (key, value) = line.split_once(": ").expect("a key and a value");
            (key.to_owned(), value.to_owned())
        };
        let mut vector = Vector { header: header.lines().map(pair).collect(), bytes: Vec::new() };
        let size = vector.get("size").and_then(|size| size.parse().ok()).expect("a size");
        let (bytes, after) = rest.split_at(size);
        (vector.bytes, rest) = (bytes.to_vec(), after);
        assert_eq!(vector.get("sha256"), Some(&*hex::encode(sum(&[bytes]))), "{header}");
        vector
    };
    let vectors = text.split("\n\n").map(&mut vector).collect();
    assert!(rest.is_empty(), "{name}: more bytes than its headers say");
    vectors
}
