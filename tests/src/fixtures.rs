//! Snapshots as `bhyvectl --suspend` leaves them, and the ways to break them.
//!
//! `fixtures/bhyve/NAME` holds `vm.ckp.zst`, `vm.ckp.kern.zst`, `vm.ckp.meta`; `expected.json.zst`,
//! which says what is at every byte of the records; and `broken.json`, which says how to damage the
//! set and what should come of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The name of every set once it is unpacked.
pub const BASE: &str = "vm.ckp";

/// The window of the compressed memory, as a power of two.
const WINDOW_LOG: u32 = 27;

/// Memory is written in blocks of this size; blocks of zeros become holes.
const BLOCK: usize = 64 << 10;

/// The names of all fixtures.
#[must_use]
pub const fn fixtures() -> &'static [&'static str] {
    &[
        "amd-2cpu-linux",
        "intel-1cpu-fbsd",
        "intel-4cpu-highmem",
        "older-2020-amd-2cpu",
        "older-2020-intel-1cpu",
    ]
}

/// The folder of a fixture.
#[must_use]
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bhyve").join(name)
}

/// Expands a fixture into `dir` and returns the name of the set. Zeros in memory become holes.
///
/// # Errors
///
/// If a file cannot be read or written.
pub fn unpack(name: &str, dir: &Path) -> io::Result<PathBuf> {
    let base = unpack_devices(name, dir)?;
    expand(&folder(name).join("vm.ckp.zst"), &base)?;
    Ok(base)
}

/// Expands a fixture without the content of its memory: a file of the right length, all zeros.
///
/// # Errors
///
/// If a file cannot be read or written, or if `.meta` has no memory size.
pub fn unpack_without_memory(name: &str, dir: &Path) -> io::Result<PathBuf> {
    let base = unpack_devices(name, dir)?;
    let meta: Value = serde_json::from_slice(&fs::read(dir.join("vm.ckp.meta"))?)?;
    let memsize = meta.pointer("/basic metadata/memsize").and_then(Value::as_u64);
    File::create(&base)?.set_len(memsize.ok_or_else(|| unusable("no memsize"))?)?;
    Ok(base)
}

fn unpack_devices(name: &str, dir: &Path) -> io::Result<PathBuf> {
    let folder = folder(name);
    expand(&folder.join("vm.ckp.kern.zst"), &dir.join("vm.ckp.kern"))?;
    fs::write(dir.join("vm.ckp.meta"), fs::read(folder.join("vm.ckp.meta"))?)?;
    Ok(dir.join(BASE))
}

/// Decompresses a file; blocks of zeros become holes.
fn expand(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = zstd::Decoder::new(File::open(from)?)?;
    source.window_log_max(WINDOW_LOG)?;
    let mut target = File::create(to)?;
    let zeros = vec![0; BLOCK];
    let mut block = Vec::with_capacity(BLOCK);
    let mut length = 0;
    loop {
        block.clear();
        let limit = u64::try_from(BLOCK).map_err(io::Error::other)?;
        let read = source.by_ref().take(limit).read_to_end(&mut block)?;
        if read == 0 {
            break;
        }
        length += u64::try_from(read).map_err(io::Error::other)?;
        if zeros.get(..read) == Some(&block) {
            target.seek(SeekFrom::Start(length))?;
        } else {
            target.write_all(&block)?;
        }
    }
    target.set_len(length)
}

/// One way to break a fixture.
#[derive(Debug, Clone)]
pub struct Variant {
    /// What it is called.
    pub name: String,
    /// The file to damage.
    pub file: String,
    /// What is then wrong.
    pub what: String,
    /// Whether a warning is enough.
    pub or_warn: bool,
    /// How to damage the file.
    pub damage: Damage,
}

/// Damage to a file.
#[derive(Debug, Clone)]
pub enum Damage {
    /// Other bytes at some offsets.
    Patch(Vec<(u64, Vec<u8>)>),
    /// A new, smaller length.
    Truncate(u64),
    /// More bytes at the end.
    Append(Vec<u8>),
    /// Another text in place of the first occurrence of one.
    Replace(String, String),
}

/// The ways to break a fixture, as its `broken.json` has them.
///
/// # Errors
///
/// If the file cannot be read or is not what it should be.
pub fn variants(name: &str) -> io::Result<Vec<Variant>> {
    let json: Value = serde_json::from_slice(&fs::read(folder(name).join("broken.json"))?)?;
    let list = json.get("variants").and_then(Value::as_array);
    list.ok_or_else(|| unusable("no variants"))?.iter().map(variant).collect()
}

fn variant(json: &Value) -> io::Result<Variant> {
    let text = |key| text(json, key);
    Ok(Variant {
        name: text("name")?,
        file: text("file")?,
        what: text("what")?,
        or_warn: match text("expect")?.as_str() {
            "reject" => false,
            "reject-or-warn" => true,
            _ => return Err(unusable("expect")),
        },
        damage: damage(json)?,
    })
}

fn damage(json: &Value) -> io::Result<Damage> {
    if let Some(patches) = json.get("patches").and_then(Value::as_array) {
        let patch = |json: &Value| Ok((number(json, "offset")?, bytes(json, "hex")?));
        return Ok(Damage::Patch(patches.iter().map(patch).collect::<io::Result<_>>()?));
    }
    if json.get("truncate_to").is_some() {
        return Ok(Damage::Truncate(number(json, "truncate_to")?));
    }
    if json.get("append_hex").is_some() {
        return Ok(Damage::Append(bytes(json, "append_hex")?));
    }
    if let Some([from, to]) = json.get("replace").and_then(Value::as_array).map(Vec::as_slice) {
        let text = |json: &Value| json.as_str().map(str::to_owned);
        let pair = text(from).zip(text(to)).ok_or_else(|| unusable("replace"))?;
        return Ok(Damage::Replace(pair.0, pair.1));
    }
    let bytes = if json.get("fill_hex").is_some() {
        let count = usize::try_from(number(json, "count")?).map_err(io::Error::other)?;
        bytes(json, "fill_hex")?.repeat(count)
    } else {
        bytes(json, "hex")?
    };
    Ok(Damage::Patch(vec![(number(json, "offset")?, bytes)]))
}

/// Damages the set in `dir`.
///
/// # Errors
///
/// If the file cannot be changed, or does not hold the text that is to be replaced.
pub fn apply_broken(variant: &Variant, dir: &Path) -> io::Result<()> {
    let path = dir.join(&variant.file);
    let open = || OpenOptions::new().write(true).open(&path);
    match &variant.damage {
        Damage::Patch(patches) => {
            let mut file = open()?;
            for (offset, bytes) in patches {
                file.seek(SeekFrom::Start(*offset))?;
                file.write_all(bytes)?;
            }
            Ok(())
        }
        Damage::Truncate(length) => open()?.set_len(*length),
        Damage::Append(bytes) => OpenOptions::new().append(true).open(&path)?.write_all(bytes),
        Damage::Replace(from, to) => {
            let text = fs::read_to_string(&path)?;
            if !text.contains(from) {
                return Err(unusable("replace"));
            }
            fs::write(&path, text.replacen(from, to, 1))
        }
    }
}

fn unusable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("unusable fixture: {what}"))
}

fn text(json: &Value, key: &str) -> io::Result<String> {
    json.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| unusable(key))
}

fn number(json: &Value, key: &str) -> io::Result<u64> {
    json.get(key).and_then(Value::as_u64).ok_or_else(|| unusable(key))
}

fn bytes(json: &Value, key: &str) -> io::Result<Vec<u8>> {
    hex::decode(text(json, key)?).map_err(|_| unusable(key))
}
