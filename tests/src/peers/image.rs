//! RAM files that are made: the ends between which real ones lie.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const MIB: usize = 1 << 20;
const GIB: u64 = 1 << 30;

/// Makes the image that a word such as `random:1G` asks for; nothing if it asks for none.
///
/// # Errors
/// A size that is none, and trouble with writing.
pub(super) fn make(word: &str, path: &Path) -> anyhow::Result<bool> {
    let Some((kind, size)) = word.split_once(':') else { return Ok(false) };
    let fill: fn(&mut [u8], &mut u64) = match kind {
        "zero" => |_, _| {},
        "random" => random,
        "text" | "sparse" => text,
        _ => return Ok(false),
    };
    let size = bytes(size).ok_or_else(|| anyhow::anyhow!("{size} is no size"))?;
    let mut file = File::create(path)?;
    let (mut block, mut seed) = (vec![0; MIB], 88_172_645_463_325_252);
    if kind == "sparse" {
        file.set_len(size)?;
        for at in (0..size).step_by(GIB as usize) {
            fill(&mut block, &mut seed);
            file.write_all_at(&block, at)?;
        }
        return Ok(true);
    }
    for _ in 0..size / MIB as u64 {
        fill(&mut block, &mut seed);
        file.write_all(&block)?;
    }
    Ok(true)
}

/// A size as `1G`, `512M`.
fn bytes(text: &str) -> Option<u64> {
    let (digits, unit) = match text.strip_suffix('G') {
        Some(digits) => (digits, GIB),
        None => (text.strip_suffix('M')?, MIB as u64),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

fn random(block: &mut [u8], seed: &mut u64) {
    for word in block.chunks_exact_mut(8) {
        word.copy_from_slice(&next(seed).to_le_bytes());
    }
}

fn text(block: &mut [u8], seed: &mut u64) {
    const WORDS: [&str; 8] =
        ["snapshot ", "guest ", "memory ", "page ", "device ", "state ", "struct ", "return "];
    let mut at = 0;
    while at < block.len() {
        let number = next(seed);
        let word = WORDS[number as usize % WORDS.len()];
        let number =
            if number >> 60 < 4 { format!("{} ", number >> 40 & 1023) } else { String::new() };
        for byte in word.bytes().chain(number.bytes()) {
            if let Some(place) = block.get_mut(at) {
                *place = byte;
            }
            at += 1;
        }
    }
}

/// Whether two files hold the same.
///
/// # Errors
/// Trouble with reading.
pub(super) fn same(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    let len = one.metadata()?.len();
    if other.metadata()?.len() != len {
        return Ok(false);
    }
    let mut blocks = [vec![0; MIB], vec![0; MIB]];
    for at in (0..len).step_by(MIB) {
        let now = usize::try_from(len - at).unwrap_or(MIB).min(MIB);
        let [a, b] = &mut blocks;
        one.read_exact_at(&mut a[..now], at)?;
        other.read_exact_at(&mut b[..now], at)?;
        if a[..now] != b[..now] {
            return Ok(false);
        }
    }
    Ok(true)
}
