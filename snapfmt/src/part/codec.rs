//! zstd around payloads: exactly one frame of a size known beforehand (§6.6).

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

use crate::error::Fault;
use crate::limits;

/// How payloads are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As they are; extents page-aligned.
    None,
    /// One zstd frame each, at this level, where that is shorter.
    Zstd(i32),
}

impl Default for Compression {
    fn default() -> Self {
        Self::Zstd(3)
    }
}

/// The name of payloads stored as they are.
pub(crate) const RAW: &str = "raw";
/// The name of compressed payloads.
pub(crate) const ZSTD: &str = "zstd";
/// The first bytes of a zstd frame that is not a skippable one.
const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// Compresses `bytes`, if the result is shorter than they are.
pub(crate) fn compress(bytes: &[u8], compression: Compression) -> Result<Option<Vec<u8>>, Fault> {
    let Compression::Zstd(level) = compression else { return Ok(None) };
    let stored = COMPRESSOR.with_borrow_mut(|kept| {
        let mut compressor = match kept.take() {
            Some((of, compressor)) if of == level => compressor,
            _ => Compressor::new(level)?,
        };
        let stored = compressor.compress(bytes)?;
        *kept = Some((level, compressor));
        Ok::<_, io::Error>(stored)
    });
    let stored = stored.map_err(|_| Fault::Zstd("zstd could not compress the payload"))?;
    Ok((stored.len() < bytes.len()).then_some(stored))
}

// zstd's tables are larger than most payloads: made for each of them, they would take a good part
// of the time.
thread_local! {
    static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Decompresses the one frame that `stored` has to be into exactly `size` bytes. `size` was
/// compared with its limit by the caller, and the digest of `stored` has matched.
pub(crate) fn decompress(stored: &[u8], size: usize) -> Result<Vec<u8>, Fault> {
    if !stored.starts_with(&MAGIC) {
        return Err(Fault::Zstd("this is not a zstd frame"));
    }
    if zstd::zstd_safe::find_frame_compressed_size(stored).ok() != Some(stored.len()) {
        return Err(Fault::Zstd("the payload is not exactly one zstd frame"));
    }
    if window_exponent(stored).is_some_and(|exponent| exponent > limits::ZSTD_WINDOW) {
        return Err(Fault::Zstd("the frame asks for a window above 64 MiB"));
    }
    match zstd::zstd_safe::get_frame_content_size(stored) {
        Ok(Some(stated)) if stated == size as u64 => {}
        Ok(Some(_)) => return Err(Fault::Zstd("the frame states another size")),
        _ => return Err(Fault::Zstd("the frame does not state its size")),
    }
    let bytes = DECOMPRESSOR.with_borrow_mut(|kept| {
        let mut decompressor = kept.take().map_or_else(Decompressor::new, Ok)?;
        let bytes = decompressor.decompress(stored, size)?;
        *kept = Some(decompressor);
        Ok::<_, io::Error>(bytes)
    });
    let bytes = bytes.map_err(|_| Fault::Zstd("the frame does not decompress"))?;
    if bytes.len() != size {
        return Err(Fault::Zstd("the frame has another size than it states"));
    }
    Ok(bytes)
}

/// The exponent of the window descriptor; nothing where the frame has none (RFC 8878, 3.1.1.1).
fn window_exponent(frame: &[u8]) -> Option<u8> {
    const SINGLE_SEGMENT: u8 = 1 << 5;
    let descriptor = *frame.get(MAGIC.len())?;
    let window = *frame.get(MAGIC.len() + 1)?;
    (descriptor & SINGLE_SEGMENT == 0).then_some(window >> 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_exact_frame_is_decompressed() {
        let bytes = vec![5; 8192];
        let stored = compress(&bytes, Compression::Zstd(1)).unwrap().unwrap();
        assert_eq!(decompress(&stored, 8192).unwrap(), bytes);
        assert!(decompress(&stored, 8191).is_err());
        assert!(decompress(&stored, 8193).is_err());
        let twice = [stored.clone(), stored.clone()].concat();
        assert!(decompress(&twice, 8192).is_err());
        assert!(decompress(&twice, 16384).is_err());
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
        assert!(decompress(&[&skippable[..], &stored].concat(), 8192).is_err());
        assert!(decompress(&skippable, 0).is_err());
        assert!(decompress(&stored[..stored.len() - 1], 8192).is_err());
        assert!(decompress(&[], 0).is_err());
    }

    #[test]
    fn a_frame_without_its_size_is_refused() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        io::Write::write_all(&mut encoder, &[5; 8192]).unwrap();
        let stored = encoder.finish().unwrap();
        let refused = decompress(&stored, 8192).unwrap_err();
        assert_eq!(refused, Fault::Zstd("the frame does not state its size"));
    }

    #[test]
    fn a_window_above_the_largest_payload_is_refused() {
        let stored = compress(&vec![5; 8192], Compression::Zstd(1)).unwrap().unwrap();
        assert_eq!(window_exponent(&stored), None);
        let windowed = |exponent: u8| {
            let mut frame = stored.clone();
            frame[4] &= !(1 << 5);
            frame.insert(5, exponent << 3);
            frame
        };
        assert_eq!(decompress(&windowed(16), 8192).unwrap(), [5; 8192]);
        let refused = decompress(&windowed(17), 8192).unwrap_err();
        assert_eq!(refused, Fault::Zstd("the frame asks for a window above 64 MiB"));
    }

    #[test]
    fn what_does_not_shrink_is_not_compressed() {
        assert_eq!(compress(&[1, 2, 3], Compression::Zstd(19)).unwrap(), None);
        let stored = |bytes: &[u8]| Compressor::new(1).unwrap().compress(bytes).unwrap().len();
        let just = (1..64).map(|len| vec![0; len]).find(|bytes| stored(bytes) == bytes.len());
        assert_eq!(compress(&just.unwrap(), Compression::Zstd(1)).unwrap(), None);
    }

    #[test]
    fn every_level_gives_what_it_would_give_alone() {
        let text: Vec<u8> = (0..9000_u32).flat_map(|n| (n * n % 1009).to_le_bytes()).collect();
        let alone = |level| Compressor::new(level).unwrap().compress(&text).unwrap();
        assert_ne!(alone(1), alone(19));
        for level in [1, 19, 19, 1] {
            let stored = compress(&text, Compression::Zstd(level)).unwrap();
            assert_eq!(stored, Some(alone(level)), "level {level}");
        }
    }
}
