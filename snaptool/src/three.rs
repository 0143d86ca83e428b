//! bhyve's three files on disk: opened, listed, and judged by the structure rules.

use std::path::{Path, PathBuf};

use snapfmt::Fault;
use snapfmt::bhyve::limits;
use snapfmt::bhyve::set::{Files, RamLayout};
use snapfmt::bhyve::{Finding, Generation, Meta, Record, Severity, check};
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::{AMD64, Vm};

use crate::exit::{Hint as _, Trouble, note, report};
use crate::input::{FileInput, Input};
use crate::node::Identity;
use crate::signal::Stop;
use crate::text;

/// A set of three files. Its findings are known; whether they matter is for the command to say.
#[derive(Debug)]
pub struct ThreeFiles {
    /// The name of the RAM file.
    pub base: PathBuf,
    /// Guest RAM.
    pub ram: FileInput,
    /// `.kern`.
    pub kern: FileInput,
    /// `.meta`.
    pub meta_file: FileInput,
    /// The text of `.meta`.
    pub text: Vec<u8>,
    /// What it says, if it can be parsed.
    pub meta: Option<Meta>,
    /// What the structure rules say, or why the text cannot be parsed.
    pub findings: Vec<Finding>,
}

impl ThreeFiles {
    /// Whether `.kern` or `.meta` lies beside `base`.
    #[must_use]
    pub fn beside(base: &Path) -> bool {
        let files = Files::of(base);
        files.kern.exists() || files.meta.exists()
    }

    /// Opens the set that `base` names, and checks its structure.
    ///
    /// # Errors
    /// A file that is missing or cannot be read.
    pub fn open(base: &Path, stop: &Stop) -> anyhow::Result<Self> {
        let files = Files::of(base);
        let whole = part_of_a_set(base).unwrap_or_else(|| {
            "a snapshot of bhyve is three files: NAME, NAME.kern and NAME.meta".to_owned()
        });
        let file = |path: &Path| -> anyhow::Result<FileInput> {
            let input = Input::open(path, stop);
            let input = if path.exists() { input? } else { input.hint(whole.as_str())? };
            input.into_file()
        };
        let (ram, kern, meta_file) = (file(&files.ram)?, file(&files.kern)?, file(&files.meta)?);
        let text = read_text(&meta_file)?;
        let (meta, findings) = match Meta::parse(&text) {
            Ok(meta) => {
                let findings = check(&meta, kern.len(), ram.len());
                (Some(meta), findings)
            }
            Err(error) => (None, vec![error.finding()]),
        };
        Ok(Self { base: base.to_owned(), ram, kern, meta_file, text, meta, findings })
    }

    /// The findings that say the set is damaged.
    pub fn refusals(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity() == Severity::Refuse)
    }

    /// Says all findings on stderr, and whether none of them says that the set is damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let mut sound = self.meta.is_some();
        let base = text::path(&self.base);
        for finding in &self.findings {
            let message = format!("{base}: {finding}");
            match finding.severity() {
                Severity::Warn => note(&message),
                Severity::Refuse => {
                    report(&Trouble::new(message).hint(finding.advice()).into());
                    sound = false;
                }
            }
        }
        sound
    }

    /// Which files these are.
    pub(crate) fn identities(&self) -> [Identity; 3] {
        [&self.ram, &self.kern, &self.meta_file].map(FileInput::identity)
    }

    /// `.meta`, as a snapshot file keeps it.
    #[must_use]
    pub fn meta_text(&self, meta: &Meta) -> MetaText {
        let generation = match meta.generation {
            Generation::A => 'A',
            Generation::B => 'B',
        };
        MetaText { generation, text: self.text.clone() }
    }

    /// The records in the order of `.kern`.
    #[must_use]
    pub fn records(&self) -> Vec<&Record> {
        self.meta.as_ref().map(Meta::in_order).unwrap_or_default()
    }

    /// The bytes of a record.
    ///
    /// # Errors
    /// A record that does not lie in `.kern`, or is above the limit; and trouble with reading.
    pub fn bytes(&self, record: &Record) -> anyhow::Result<Vec<u8>> {
        let name = text::escape(&record.name);
        let end = record.offset.checked_add(record.size).filter(|&end| end <= self.kern.len());
        if end.is_none() || record.size > limits::RECORD {
            return Err(Trouble::new(format!("record {name} does not lie in .kern")).into());
        }
        let mut bytes = vec![0; usize::try_from(record.size)?];
        self.kern.read_exact_at(&mut bytes, record.offset)?;
        Ok(bytes)
    }

    /// Asks, after all was read, whether the files are as they were and still have their names: a
    /// set that was replaced while it was opened is half the old one and half the new.
    ///
    /// # Errors
    /// If one of them changed.
    pub fn unchanged(&self) -> anyhow::Result<()> {
        let files = Files::of(&self.base);
        self.ram.unchanged_at(&files.ram)?;
        self.kern.unchanged_at(&files.kern)?;
        self.meta_file.unchanged_at(&files.meta)
    }
}

/// The machine that a `.meta` tells of.
///
/// # Errors
/// Memory that no snapshot file describes; the structure rules refuse such a set.
pub fn vm(meta: &Meta) -> Result<Vm, Fault> {
    let segments = RamLayout::new(meta.vm.memsize).segments();
    let memory = MemoryMap::new(segments.map(|s| Segment { gpa: s.gpa, len: s.len }).collect())?;
    let (ncpus, memflags) = (meta.vm.ncpus.into(), meta.vm.memflags);
    Ok(Vm { arch: AMD64.to_owned(), name: meta.vm.name.clone(), ncpus, memflags, memory })
}

/// What to say of a `.kern` or `.meta` that was named alone, if it belongs to a set.
#[must_use]
pub fn part_of_a_set(path: &Path) -> Option<String> {
    let ending = path.extension()?;
    let base = path.with_extension("");
    let files = Files::of(&base);
    let whole = (ending == "kern" || ending == "meta") && files.kern.exists();
    (whole && files.meta.exists()).then(|| {
        let base = text::path(&base);
        format!("it is one of the three files of a snapshot: name {base}, as in `verify {base}`")
    })
}

/// Reads at most one byte more than `.meta` may have; the parser refuses that.
fn read_text(file: &FileInput) -> anyhow::Result<Vec<u8>> {
    let len = file.len().min(limits::TEXT as u64 + 1);
    let mut text = vec![0; usize::try_from(len)?];
    file.read_exact_at(&mut text, 0)?;
    Ok(text)
}
