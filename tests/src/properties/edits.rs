//! How bytes become a snapshot that is almost one: either they are the file, or they choose one of
//! some small images and say how to change it. Digests and tables are made to match afterwards, so
//! that what was changed is judged by the rules behind them.

use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use snapfmt::limits;
use snapfmt::nvlist::{Flags, Nvlist, Options, OwnedValue};

use crate::forge;
use crate::images::plans;
use crate::packed::{self, Order, scan};
use crate::reseal::{
    self, CONFIG, DEVICE, EXTENT, HOST, INDEX, Image, MAP, META, Part, TRAILER, Tables, VM, pairs,
};
use crate::spec_rules::chain;

/// Numbers around which something may happen.
const NUMBERS: [u64; 16] = [
    0,
    1,
    2,
    64,
    128,
    4096,
    1 << 16,
    1 << 20,
    1 << 22,
    limits::RECORD,
    u32::MAX as u64,
    1 << 32,
    limits::GPA_SPACE,
    limits::FILE,
    i64::MAX as u64,
    u64::MAX,
];

/// Sound plans whose records are stored as fields.
pub const RECORDS_AS_FIELDS: [&str; 4] = [
    "a record as fields of a layout that is known",
    "a record as fields of a layout that is known, with bulk",
    "a record as fields with bulk, compressed",
    "a record as fields, in a compressed file",
];

/// An optional part of no known type.
const UNKNOWN: u32 = 0x8000_0077;
const BOUND: u32 = 0xc000_0077;
const PRIVATE: u32 = 0xa000_0077;

const KINDS: [u32; 12] =
    [VM, META, CONFIG, HOST, DEVICE, EXTENT, MAP, INDEX, UNKNOWN, BOUND, PRIVATE, 77];

/// The images that are changed.
pub(crate) fn bases() -> &'static [Image] {
    static BASES: OnceLock<Vec<Image>> = OnceLock::new();
    BASES.get_or_init(|| {
        let image = |plan: crate::images::Plan| {
            let (bytes, _) = plan.write().expect("a snapshot");
            Image::parse(&bytes).expect("its parts")
        };
        let mut images: Vec<_> = plans().into_iter().map(image).collect();
        images.push(with_optional_parts(&images[3]));
        let forged = [
            forge::Plan::small_zstd(),
            forge::Plan::small_delta(),
            forge::Plan::small_xor(),
            forge::Plan { described: false, ..forge::Plan::small_zstd() },
        ];
        images.extend(forged.map(|plan| Image::parse(&plan.forge()).expect("its parts")));
        let fields = RECORDS_AS_FIELDS.iter().flat_map(|what| chain(what));
        images.extend(fields.map(|file| Image::parse(&file).expect("its parts")));
        images
    })
}

/// Chains that are changed, the full file first.
pub(super) fn chains() -> &'static [Vec<Image>] {
    static CHAINS: OnceLock<Vec<Vec<Image>>> = OnceLock::new();
    CHAINS.get_or_init(|| {
        let chain = |what| {
            let files = chain(what).into_iter();
            files.map(|file| Image::parse(&file).expect("its parts")).collect()
        };
        [
            "the small file",
            "a delta",
            "a delta to a delta",
            "a delta in blocks of other sizes",
            "a delta without extents",
            "a delta that changes nothing",
        ]
        .map(chain)
        .into()
    })
}

/// The image with a HOST part and one of a type that nobody knows.
fn with_optional_parts(image: &Image) -> Image {
    let mut image = image.clone();
    for (place, kind) in [(3, HOST), (3, BOUND), (image.parts.len() + 1, PRIVATE)] {
        let nvlist = Nvlist::builder().string("vendor", "another").pack().expect("a list");
        let (flags, alignment, payload) = (0, 1, b"optional".to_vec());
        image.parts.insert(place, Part { kind, flags, alignment, nvlist, payload });
    }
    Image::parse(&image.bytes(Tables::Rebuilt, true)).expect("its parts")
}

/// The files that bytes stand for: as they are, where they are a file, and with matching digests.
pub(crate) fn files(data: &[u8]) -> Vec<Vec<u8>> {
    if data.starts_with(b"BHYVE") || data.len() > 4096 {
        let sealed = Image::parse(data).map(|image| image.bytes(Tables::Identities, true));
        return [Some(data.to_vec()), sealed].into_iter().flatten().collect();
    }
    scripted(&mut Unstructured::new(data)).into_iter().collect()
}

/// An image that is changed before its tables are made, and again afterwards.
fn scripted(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut image = u.choose(bases())?.clone();
    for _ in 0..u.int_in_range(0..=4)? {
        edit(&mut image, u)?;
    }
    let contents = u.ratio(7, 8)?;
    let rebuilt = image.bytes(Tables::Rebuilt, contents);
    let late = u.int_in_range(0..=3)?;
    if late == 0 {
        return Ok(rebuilt);
    }
    let Some(mut image) = Image::parse(&rebuilt) else { return Ok(rebuilt) };
    for _ in 0..late {
        edit(&mut image, u)?;
    }
    let tables = if u.arbitrary()? { Tables::Digests } else { Tables::Identities };
    let mut bytes = image.bytes(tables, u.arbitrary()?);
    match u.int_in_range(0..=15)? {
        0 => bytes.truncate(u.int_in_range(0..=bytes.len())?),
        1 => bytes.extend(u.arbitrary::<[u8; 3]>()?),
        2 => {
            let at = u.choose_index(bytes.len())?;
            bytes[at] ^= u.arbitrary::<u8>()?;
        }
        3 => {
            let at = bytes.len() - TRAILER - 32;
            poke(&mut bytes[at..], u)?;
            reseal::seal_trailer(&mut bytes);
        }
        _ => {}
    }
    Ok(bytes)
}

pub(super) fn edit(image: &mut Image, u: &mut Unstructured<'_>) -> Result<()> {
    if image.parts.is_empty() {
        return Ok(());
    }
    let at = u.choose_index(image.parts.len())?;
    let other = u.choose_index(image.parts.len())?;
    let part = &mut image.parts[at];
    match u.int_in_range(0..=15)? {
        0..=3 => patch(&mut part.nvlist, u)?,
        4..=6 => part.nvlist = relisted(&part.nvlist, u)?,
        7 => poke(&mut part.payload, u)?,
        8 => {
            let to = u.int_in_range(0..=part.payload.len() + 64)?;
            part.payload.resize(to, u.arbitrary()?);
        }
        9 => drop(image.parts.remove(at)),
        10 => image.parts.swap(at, other),
        11 => {
            let copy = image.parts[at].clone();
            image.parts.insert(other, copy);
        }
        12 => match u.int_in_range(0..=3)? {
            0 => part.kind = *u.choose(&KINDS)?,
            1 => part.flags = u.int_in_range(0..=3)?,
            2 => part.alignment = *u.choose(&[0, 1, 2, 64, 4096, 8192])?,
            _ => recoded(part)?,
        },
        13 => {
            let kind = *u.choose(&KINDS)?;
            let nvlist = image.parts[other].nvlist.clone();
            let payload = u.arbitrary::<[u8; 4]>()?.to_vec();
            let part = Part { kind, flags: 0, alignment: 1, nvlist, payload };
            image.parts.insert(at, part);
        }
        14 => header(&mut image.header, u)?,
        _ => poke(&mut image.trailer, u)?,
    }
    Ok(())
}

/// Another number at some multiple of 4, or another byte.
pub(super) fn poke(bytes: &mut [u8], u: &mut Unstructured<'_>) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let at = u.choose_index(bytes.len())?;
    if u.arbitrary()? {
        bytes[at] = u.arbitrary()?;
    } else if let Some(place) = bytes.get_mut(at & !3..).and_then(|b| b.first_chunk_mut::<8>()) {
        *place = number(u, u64::from_le_bytes(*place))?.to_le_bytes();
    }
    Ok(())
}

fn number(u: &mut Unstructured<'_>, old: u64) -> Result<u64> {
    Ok(match u.int_in_range(0..=5)? {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        2 => old ^ (1 << u.int_in_range(0..=63)?),
        3 => old.wrapping_add(*u.choose(&NUMBERS)?),
        4 => *u.choose(&NUMBERS)?,
        _ => u.arbitrary()?,
    })
}

/// Changes the data of some pair where it lies.
pub(super) fn patch(list: &mut [u8], u: &mut Unstructured<'_>) -> Result<()> {
    let found = scan(list);
    if found.is_empty() {
        return Ok(());
    }
    let pair = u.choose(&found)?;
    match (pair.code, list.get_mut(pair.data.clone())) {
        (5 | 11, _) | (_, None) => Ok(()),
        (_, Some(data)) => poke(data, u),
    }
}

/// The list with other pairs.
pub(super) fn relisted(list: &[u8], u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let old = Nvlist::unpack(list, &Options::new().any_flags());
    let Ok(old) = old else { return Ok(list.to_vec()) };
    Ok(packed::pack(&changed(&old, u)?, Order::Little))
}

fn changed(list: &Nvlist, u: &mut Unstructured<'_>) -> Result<Nvlist> {
    let mut pairs = pairs(list);
    let mut flags = list.flags();
    let at = if pairs.is_empty() { 0 } else { u.choose_index(pairs.len())? };
    let choice = u.int_in_range(0..=7)?;
    match (choice, pairs.get_mut(at)) {
        (0, Some(_)) => drop(pairs.remove(at)),
        (1, Some(pair)) => pair.0 = u.arbitrary::<[u8; 3]>()?.to_vec(),
        (2, Some((name, value))) => {
            let copy = (name.clone(), value.clone());
            flags = Flags::from_bits(u.int_in_range(0..=3)?).unwrap_or_default();
            pairs.push(copy);
        }
        (3, _) => flags = Flags::from_bits(u.int_in_range(0..=3)?).unwrap_or_default(),
        (4, _) => {
            let name = *u.choose(&[
                "parent",
                "vm_uuid",
                "files",
                "incompatible",
                "x",
                "root",
                "leaves",
                "vendor",
                "zero",
                "xor",
                "delta_root",
                "pages_inherited",
                "fields",
                "layout",
                "widths",
                "bulk",
            ])?;
            pairs.push((name.as_bytes().to_vec(), other(&OwnedValue::Null, u)?));
        }
        (_, Some((_, value))) => *value = other(value, u)?,
        (_, None) => {}
    }
    let mut list = Nvlist::with_flags(flags);
    for (name, value) in pairs {
        // What cannot be added is left out.
        let _refused = list.add(name, value);
    }
    Ok(list)
}

fn other(value: &OwnedValue, u: &mut Unstructured<'_>) -> Result<OwnedValue> {
    Ok(match value {
        OwnedValue::Nvlist(list) => OwnedValue::Nvlist(changed(list, u)?),
        OwnedValue::NvlistArray(lists) if u.ratio(7, 8)? => {
            let mut lists = lists.clone();
            let at = u.choose_index(lists.len())?;
            match u.int_in_range(0..=3)? {
                0 => drop(lists.remove(at)),
                1 => lists.push(lists[at].clone()),
                _ => lists[at] = changed(&lists[at], u)?,
            }
            OwnedValue::NvlistArray(lists)
        }
        OwnedValue::Number(old) if u.ratio(7, 8)? => OwnedValue::Number(number(u, *old)?),
        OwnedValue::NumberArray(items) if u.ratio(7, 8)? => {
            let mut items = items.clone();
            let at = u.choose_index(items.len())?;
            match u.int_in_range(0..=3)? {
                0 => drop(items.remove(at)),
                1 => items.push(number(u, items[at])?),
                _ => items[at] = number(u, items[at])?,
            }
            OwnedValue::NumberArray(items)
        }
        OwnedValue::String(text) if u.ratio(3, 4)? => {
            let mut text = text.clone();
            match u.int_in_range(0..=3)? {
                0 => text.clear(),
                1 if text.len() < 64 => text = text.repeat(u.int_in_range(1..=2048)?),
                2 => text.push(u.arbitrary()?),
                _ => poke(&mut text, u)?,
            }
            OwnedValue::String(text)
        }
        OwnedValue::Binary(bytes) if u.ratio(3, 4)? => {
            let mut bytes = bytes.clone();
            bytes.resize(u.int_in_range(1..=bytes.len() + 1)?, u.arbitrary()?);
            poke(&mut bytes, u)?;
            OwnedValue::Binary(bytes)
        }
        _ => match u.int_in_range(0..=6)? {
            0 => OwnedValue::Null,
            1 => OwnedValue::Number(u.arbitrary()?),
            2 => OwnedValue::String(b"zstd".to_vec()),
            3 => OwnedValue::String(b"raw".to_vec()),
            4 => OwnedValue::StringArray(vec![u.arbitrary::<[u8; 2]>()?.to_vec()]),
            5 => OwnedValue::Binary(vec![u.arbitrary()?; 32]),
            _ => OwnedValue::NvlistArray(vec![Nvlist::new()]),
        },
    })
}

/// The payload in the other encoding, with no other change.
fn recoded(part: &mut Part) -> Result<()> {
    let packed = zstd::bulk::compress(&part.payload, 1);
    part.payload = match zstd::bulk::decompress(&part.payload, 1 << 22) {
        Ok(bytes) => bytes,
        Err(_) => packed.map_err(|_| arbitrary::Error::IncorrectFormat)?,
    };
    Ok(())
}

/// Changes the header block, in its list or anywhere.
fn header(header: &mut [u8], u: &mut Unstructured<'_>) -> Result<()> {
    const AT: usize = 68;
    if u.ratio(1, 4)? {
        return poke(header, u);
    }
    let size = header.get(64..AT).and_then(|bytes| bytes.first_chunk().copied());
    let size = size.map_or(0, u32::from_le_bytes) as usize;
    let Some(list) = header.get(AT..AT + size) else { return Ok(()) };
    let list = relisted(list, u)?;
    if let Some(place) = header.get_mut(AT..).filter(|place| place.len() >= list.len()) {
        place.fill(0);
        place[..list.len()].copy_from_slice(&list);
        header[64..AT].copy_from_slice(&(list.len() as u32).to_le_bytes());
    }
    Ok(())
}
