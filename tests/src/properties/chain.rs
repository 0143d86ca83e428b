//! A full file and deltas over it, changed and sealed again from the first one up: the check of the
//! chain accepts it exactly if it is right by hand. Then its pages are those that the files stand
//! for, and they make a full file of the same `content`.

use arbitrary::{Result, Unstructured};
use snapfmt::memory::block::Block;
use snapfmt::part::codec::Compression;
use snapfmt::read::{Chain, ChainError, CheckError, Part, ReadError, Verified};

use super::edits::{chains, edit};
use super::one_line;
use super::open::{refused, walk, written};
use crate::packed::scan;
use crate::reseal::{self, EXTENT, Image, State, Tables};

/// See the module.
///
/// # Panics
/// If the property does not hold.
pub fn chain(data: &[u8]) {
    let Ok(files) = files(&mut Unstructured::new(data)) else { return };
    let by_hand = by_hand(&files);
    match checked(&files) {
        Ok((verified, parts, blocks)) => {
            let Some(state) = by_hand else { panic!("a chain is accepted, but not by hand") };
            assert_eq!(verified.len(), files.len());
            assert!(verified.iter().all(|file| file.unsettled().is_none()), "something is open");
            same_pages(&blocks, &state);
            if let Some(newest) = verified.last() {
                assert_eq!(newest.index().content.as_bytes(), &state.content);
                let blocks: Vec<_> = blocks.iter().collect();
                written(newest, &parts, &blocks, Compression::None);
            }
        }
        Err((link, error)) => {
            refused(files.get(link).map_or(&[], Vec::as_slice), &error);
            assert!(by_hand.is_none(), "file {link} is right by hand: {error}");
        }
    }
}

/// The files of a chain that was changed.
fn files(u: &mut Unstructured<'_>) -> Result<Vec<Vec<u8>>> {
    let mut images = u.choose(chains())?.clone();
    for _ in 0..u.int_in_range(0..=4)? {
        let at = u.choose_index(images.len())?;
        if u.arbitrary()? {
            repage(&mut images[at], u)?;
        } else {
            edit(&mut images[at], u)?;
        }
    }
    let (contents, late) = (u.ratio(7, 8)?, u.ratio(1, 2)?);
    let mut files = Vec::new();
    let mut below: Option<State> = None;
    for image in &images {
        let mut file = image.bytes_over(Tables::Rebuilt, contents, below.as_ref());
        if late
            && u.arbitrary()?
            && let Some(mut image) = Image::parse(&file)
        {
            edit(&mut image, u)?;
            // Without the parent, what takes its pages stays as it was.
            let below = below.as_ref().filter(|_| u.ratio(3, 4).unwrap_or(true));
            file = image.bytes_over(Tables::Identities, u.arbitrary()?, below);
        }
        let image = Image::parse(&file);
        below = image.and_then(|image| State::of(&image, below.as_ref()));
        files.push(file);
    }
    if u.ratio(1, 16)? {
        let (a, b) = (u.choose_index(files.len())?, u.choose_index(files.len())?);
        files.swap(a, b);
    }
    if files.len() > 1 && u.ratio(1, 16)? {
        files.remove(u.choose_index(files.len())?);
    }
    Ok(files)
}

/// Changes pages of an extent, or which of them are differences, so that it stays an extent.
fn repage(image: &mut Image, u: &mut Unstructured<'_>) -> Result<()> {
    let extents = image.parts.iter_mut().filter(|part| part.kind == EXTENT);
    let mut extents: Vec<_> = extents.filter(|part| !part.payload.is_empty()).collect();
    if extents.is_empty() {
        return Ok(());
    }
    let at = u.choose_index(extents.len())?;
    let part = &mut extents[at];
    let bits = reseal::bytes(&part.nvlist, "data").to_vec();
    let found = scan(&part.nvlist).into_iter().find(|pair| pair.name == b"xor");
    if let (Some(pair), true) = (found, u.arbitrary()?) {
        let byte = u.choose_index(bits.len())?;
        let mask = bits[byte] & u.arbitrary::<u8>()?;
        if let Some(place) = part.nvlist.get_mut(pair.data).and_then(|xor| xor.get_mut(byte)) {
            *place ^= mask;
        }
        return Ok(());
    }
    let pages = bits.iter().map(|byte| byte.count_ones() as usize).sum::<usize>();
    let packed = zstd::bulk::decompress(&part.payload, pages * 4096).ok();
    let mut bytes = packed.clone().unwrap_or_else(|| part.payload.clone());
    if u.ratio(1, 4)? {
        // A page of zeros: of differences, one that did not change.
        let page = u.choose_index(pages.max(1))?;
        bytes.iter_mut().skip(page * 4096).take(4096).for_each(|byte| *byte = 0);
    } else {
        let at = u.choose_index(bytes.len())?;
        bytes[at] ^= u.arbitrary::<u8>()?;
    }
    let stored = zstd::bulk::compress(&bytes, 1).map_err(|_| arbitrary::Error::IncorrectFormat)?;
    part.payload = if packed.is_some() { stored } else { bytes };
    Ok(())
}

/// The state of the newest file, if each file is right alone and over the one before it: every
/// digest and every identity is the one that it has to be, also where it takes the parent.
fn by_hand(files: &[Vec<u8>]) -> Option<State> {
    let mut below: Option<(Image, State)> = None;
    for file in files {
        let image = Image::parse(file).filter(|_| walk(file).1.is_ok())?;
        let machine = below.as_ref().is_none_or(|(other, _)| image.is_of_machine_of(other));
        if !machine || image.is_delta() != below.is_some() {
            return None;
        }
        let under = below.as_ref().map(|(_, state)| state);
        if image.bytes_over(Tables::Identities, true, under) != *file {
            return None;
        }
        let state = State::of(&image, under)?;
        below = Some((image, state));
    }
    below.map(|(_, state)| state)
}

type Checked = (Vec<Verified>, Vec<Part>, Vec<Block>);

/// What the check of the chain says: of each file, of the newest its parts but memory, and of its
/// state the blocks.
fn checked(files: &[Vec<u8>]) -> std::result::Result<Checked, (usize, snapfmt::Error)> {
    let wrong = |error: ChainError| {
        one_line(&error);
        match error.error {
            ReadError::Format(fault) => (error.link, fault),
            ReadError::Io { .. } => panic!("memory cannot be read: {}", error.error),
        }
    };
    let (mut parts, mut blocks) = (Vec::new(), Vec::new());
    let newest = files.len() - 1;
    let take = |link, part| parts.extend((link == newest).then_some(part));
    let chain = Chain::open(files.iter().map(Vec::as_slice), take).map_err(wrong)?;
    let verified = chain.check(0, |block| {
        blocks.push(block);
        Ok::<_, std::convert::Infallible>(())
    });
    match verified {
        Ok(verified) => Ok((verified, parts, blocks)),
        Err(CheckError::Chain(error)) => Err(wrong(error)),
        Err(CheckError::Taker(never)) => match never {},
    }
}

fn same_pages(blocks: &[Block], state: &State) {
    let pages = blocks.iter().flat_map(Block::iter).map(|(gpa, page)| (gpa / 4096, page));
    let data = |page: &[u8]| page.iter().any(|byte| *byte != 0);
    let found: Vec<_> = pages.filter(|(_, page)| data(page)).collect();
    let by_hand = state.pages.iter().map(|(number, page)| (*number, &page[..]));
    let by_hand: Vec<_> = by_hand.filter(|(_, page)| data(page)).collect();
    assert!(found == by_hand, "other pages than by hand");
}
