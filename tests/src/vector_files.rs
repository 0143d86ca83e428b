//! Files of vectors: what `spec/vectors/snapshot` and `spec/vectors/stream` have in common, which
//! their READMEs say.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::forge::tree::sum;

/// Time does not matter here.
const LEVEL: i32 = 19;

/// Bytes and what a reader has to say about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vector {
    /// The lines before the bytes, in order: key and value.
    pub header: Vec<(String, String)>,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Where the vectors of that name are.
#[must_use]
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors").join(name)
}

impl Vector {
    /// A vector with this header, and size and digest behind it.
    #[must_use]
    pub fn new(header: &[(&str, &str)], bytes: Vec<u8>) -> Self {
        let mut header: Vec<_> =
            header.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        header.push(("size".to_owned(), bytes.len().to_string()));
        header.push(("sha256".to_owned(), hex::encode(sum(&[&bytes]))));
        Self { header, bytes }
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
#[must_use]
pub fn slug(what: &str) -> String {
    let words = what.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// Writes the vectors, one file for each rule, in place of those that are there.
pub fn write(folder: &Path, vectors: &[Vector]) {
    let mut files: BTreeMap<String, (String, Vec<u8>)> = BTreeMap::new();
    for vector in vectors {
        let (text, bytes) = files.entry(vector.file()).or_default();
        *text += &vector.text();
        text.push('\n');
        bytes.extend(&vector.bytes);
    }
    fs::create_dir_all(folder).unwrap();
    for name in names(folder) {
        fs::remove_file(folder.join(name)).unwrap();
    }
    for (name, (text, bytes)) in files {
        let stored = [text.as_bytes(), b"\n", &compressed(&bytes)].concat();
        fs::write(folder.join(name), stored).unwrap();
    }
}

/// The names of the files of vectors, in order.
#[must_use]
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
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
pub fn load(folder: &Path, name: &str) -> Vec<Vector> {
    let file = fs::read(folder.join(name)).unwrap();
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
