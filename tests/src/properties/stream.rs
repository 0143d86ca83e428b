//! A migration stream: what is sent comes as it went; split anywhere, the same items and the same
//! error come out; cut anywhere, the end is told from one between two items; a bit that flips on
//! the way is found, in the body of a part by its check.

use arbitrary::{Result, Unstructured};
use migrate::stream::{Breach, Decoder, Encoder, Fault, Item, Message, Outgoing, PartsDigest};
use snapfmt::limits;
use snapfmt::part::meta::MetaText;

use super::edits::{patch, poke, relisted};
use super::one_line;
use super::said::message;
use super::split::Random;
use crate::forge::stream::lay;
use crate::reseal::stream::{self as resealed, Item as Piece};
use crate::stream_rules::sound;

/// Cuts and flips tried of each stream.
const TRIES: u64 = 6;
/// What a decoder may allocate for what has not come.
const AHEAD: usize = 1 << 20;

/// See the module.
///
/// # Panics
/// If the property does not hold.
pub fn stream(data: &[u8]) {
    let Some((seed, script)) = data.split_first_chunk::<4>() else { return };
    let mut random = Random(u64::from(u32::from_le_bytes(*seed)) | 1 << 40);
    if data.starts_with(b"BHYV") {
        check(data, &mut random);
        let (items, rest) = resealed::parse(data);
        check(&[&resealed::lay(&items), rest].concat(), &mut random);
        return;
    }
    let mut u = Unstructured::new(script);
    let bytes = if u.arbitrary().unwrap_or_default() { sent(&mut u) } else { edited(&mut u) };
    if let Ok(bytes) = bytes {
        check(&bytes, &mut random);
    }
}

/// What an encoder makes of some messages and parts; it is held against what a decoder finds.
fn sent(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let (mut encoder, mut bytes, mut items) = (Encoder::new(), Vec::new(), Vec::new());
    let mut parts = PartsDigest::new();
    while items.len() < 6 && !u.is_empty() {
        if u.ratio(1, 6)? {
            let text = vec![u.arbitrary()?; u.int_in_range(0..=9000)?];
            let text = MetaText { generation: 'A', text };
            let part = Outgoing::new(text.encode().expect("a short text")).expect("it travels");
            part.append(&mut bytes);
            encoder.count_part();
            parts.add(part.digest());
            items.push(Err(text));
            continue;
        }
        let (message, good) = message(u)?;
        let before = bytes.len();
        match encoder.message(&message, &mut bytes) {
            Err(fault) => {
                one_line(&fault);
                assert!(!good, "a good message cannot be sent: {message:?}: {fault}");
                assert_eq!(bytes.len(), before, "of a message that cannot be sent, something is");
            }
            Ok(()) => {
                let last = matches!(message, Message::Bye | Message::Error(_));
                items.push(Ok(message));
                if last {
                    break;
                }
            }
        }
    }
    let (found, end) = decode(&bytes, &mut |left| left);
    assert_eq!(end, Ok(()));
    assert_eq!(found.len(), items.len());
    let mut came = PartsDigest::new();
    for (found, item) in found.into_iter().zip(items) {
        match (found, item) {
            (Item::Message(found), Ok(message)) => assert_eq!(found, message),
            (Item::Part(found), Err(text)) => {
                came.add(found.digest());
                let part = found.check().expect("what was sent");
                assert_eq!(MetaText::open(&part), Ok(text));
            }
            (found, _) => panic!("another item: {found:?}"),
        }
    }
    assert_eq!(came.end(), parts.end());
    Ok(bytes)
}

/// A sound stream, changed and sealed again, and perhaps changed once more.
fn edited(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let (bytes, _) = lay(&u.choose(&sound())?.1);
    let (mut items, rest) = resealed::parse(&bytes);
    assert!(rest.is_empty(), "a sound stream that has other lengths than it states");
    for _ in 0..u.int_in_range(0..=4)? {
        edit(&mut items, u)?;
    }
    let mut bytes = resealed::lay(&items);
    if u.ratio(1, 4)? {
        poke(&mut bytes, u)?;
    }
    Ok(bytes)
}

fn edit(items: &mut Vec<Piece>, u: &mut Unstructured<'_>) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let (at, other) = (u.choose_index(items.len())?, u.choose_index(items.len())?);
    match u.int_in_range(0..=7)? {
        0 => drop(items.remove(at)),
        1 => items.swap(at, other),
        2 => items.insert(other, items[at].clone()),
        3 => match &mut items[at] {
            Piece::Message(kind, _) => *kind = u.int_in_range(0..=20)?,
            Piece::Part(part) => {
                part.kind = *u.choose(&[1, 2, 16, 32, 33, 48, 77, 0x8000_0077])?;
                part.alignment = *u.choose(&[0, 1, 4096])?;
            }
        },
        choice => {
            let list = match &mut items[at] {
                Piece::Message(_, list) => list,
                Piece::Part(part) => &mut part.nvlist,
            };
            if choice < 6 { *list = relisted(list, u)? } else { patch(list, u)? }
        }
    }
    Ok(())
}

type Decoded = (Vec<Item>, std::result::Result<(), Breach>);

/// What a decoder makes of bytes of which so many come at once as `most` says of those that could.
fn decode(bytes: &[u8], most: &mut dyn FnMut(usize) -> usize) -> Decoded {
    let (mut decoder, mut items, mut rest) = (Decoder::new(), Vec::new(), bytes);
    let mut whole = 0;
    while !rest.is_empty() {
        let came = bytes.len() - rest.len() - whole;
        let space = decoder.space();
        assert!(!space.is_empty() && space.len() <= came.max(AHEAD), "{} bytes", space.len());
        let n = most(space.len().min(rest.len()));
        let (now, later) = rest.split_at(n);
        space[..n].copy_from_slice(now);
        rest = later;
        match decoder.filled(n) {
            Ok(None) => {}
            Ok(Some(item)) => {
                items.push(item);
                whole = bytes.len() - rest.len();
            }
            Err(breach) => {
                one_line(&breach);
                assert!(breach.at <= bytes.len() as u64 && breach.item == items.len() as u64);
                assert_eq!(decoder.filled(1), Err(breach.clone()), "a breach that heals");
                assert_eq!(decoder.ended(), Err(breach.clone()));
                return (items, Err(breach));
            }
        }
    }
    (items, decoder.ended())
}

/// The end without what is shown of what is no item: that is whatever had come.
fn told(end: std::result::Result<(), Breach>) -> std::result::Result<(), Breach> {
    end.map_err(|breach| match breach.fault {
        Fault::NoItem { .. } => Breach { fault: Fault::NoItem { found: None }, ..breach },
        _ => breach,
    })
}

fn check(bytes: &[u8], random: &mut Random) {
    let (items, end) = decode(bytes, &mut |left| left);
    let end = told(end);
    again(&items);
    for most in [1, 50, 1 << 12] {
        let (found, other) = decode(bytes, &mut |left| left.min(1 + random.below(most) as usize));
        assert_eq!(told(other), end, "in pieces of up to {most} bytes");
        assert!(found == items, "other items in pieces of up to {most} bytes");
    }
    let lengths = items.iter().scan(0, |at, item| {
        *at += length(item, bytes.get(*at..).unwrap_or_default());
        Some(*at)
    });
    let ends: Vec<usize> = lengths.collect();
    for _ in 0..TRIES {
        let cut = random.below(bytes.len() as u64) as usize;
        let (found, other) = decode(&bytes[..cut], &mut |left| left);
        assert!(items.starts_with(&found), "other items when cut at {cut}");
        match told(other) {
            Ok(()) => assert!(cut == 0 || ends.contains(&cut), "an end at {cut}, in an item"),
            Err(Breach { at, fault: Fault::Truncated { .. }, .. }) => {
                assert_eq!(at, cut as u64, "the end is elsewhere");
                assert!(!ends.contains(&cut), "{cut} is between two items");
            }
            other => assert_eq!(other, end, "another error when cut at {cut}"),
        }
    }
    for _ in 0..TRIES {
        let at = random.below(bytes.len() as u64) as usize;
        if at < ends.last().copied().unwrap_or_default() {
            flipped(bytes, at, 1 << random.below(8), &items, &ends);
        }
    }
}

/// A flip within an item that was taken.
fn flipped(bytes: &[u8], at: usize, bit: u8, items: &[Item], ends: &[usize]) {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= bit;
    let (mut found, other) = decode(&bytes, &mut |left| left);
    let index = ends.iter().position(|end| at < *end).expect("it is in one of them");
    assert!(found.len() >= index && found[..index] == items[..index], "a change before {at}");
    if found.len() == index {
        assert_eq!(other.expect_err("a refusal").item, index as u64);
        return;
    }
    let (Item::Part(changed), Item::Part(was)) = (found.swap_remove(index), &items[index]) else {
        panic!("byte {at} was changed, and a message is taken");
    };
    let (frame, start) = (*was.frame(), ends[index] - was.length() as usize);
    let spans = frame.spans(start as u64);
    let payload = spans.payload_at..spans.payload_end;
    assert!(at as u64 >= spans.nvlist_at, "byte {at} of a frame was changed");
    // What a raw extent states is a subtree root, which takes more than the part to check.
    if frame.tree && payload.contains(&(at as u64)) {
        return;
    }
    if was.clone().check().is_ok() {
        one_line(&changed.check().expect_err("byte {at} was changed"));
    }
}

/// The length of an item, by its frame.
fn length(item: &Item, bytes: &[u8]) -> usize {
    match item {
        Item::Part(part) => part.length() as usize,
        Item::Message(_) => {
            let size = bytes.get(12..).and_then(|bytes| bytes.first_chunk());
            128 + size.map_or(0, |size| u32::from_le_bytes(*size)) as usize
        }
    }
}

/// Whatever is taken is within its limits and can be sent again.
fn again(items: &[Item]) {
    for item in items {
        match item {
            Item::Message(message) => {
                let mut bytes = Vec::new();
                let sent = Encoder::new().message(message, &mut bytes);
                sent.unwrap_or_else(|fault| panic!("taken, but not to be sent: {fault}"));
                let (found, end) = decode(&bytes, &mut |left| left);
                assert_eq!((found, end), (vec![item.clone()], Ok(())));
            }
            Item::Part(part) => {
                assert!(part.stored() <= limits::RECORD && part.frame().alignment == 1);
                if let Ok(intact) = part.clone().check() {
                    assert_eq!(intact.digest(), part.digest());
                    assert_eq!(intact.length(), part.length());
                }
            }
        }
    }
}
