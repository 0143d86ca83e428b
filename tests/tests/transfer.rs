//! What a source gives, a target keeps: parts straight from an origin to an image, without a
//! connection.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test may fail as the test may"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use migrate::core::Blocks;
use migrate::image::{BLOCK, Dir, Image, Options, verify};
use migrate::note::Note;
use migrate::origin::{Form, Origin as _, PartSink, Snapshot};
use migrate::stream::message::Trouble;
use migrate::stream::{Arrived, Decoder, Item, Outgoing};
use migrate::{Epoch, Session};
use snapfmt::Digest;
use snapfmt::part::codec::Compression;
use snaptool::links::Where;
use snaptool::signal::Stop;
use tests::fixtures;

const FIXTURES: [&str; 4] =
    ["amd-2cpu-linux", "intel-1cpu-fbsd", "older-2020-amd-2cpu", "older-2020-intel-1cpu"];

fn session(byte: u8) -> Option<(Session, Epoch)> {
    Some((Session::from_bytes([byte; 16]), 1))
}

fn options() -> Options {
    let (policy, host) = (Default::default(), None);
    Options { threads: 2, discard: false, policy, host, stop: Stop::never() }
}

/// Parts as they arrive.
#[derive(Default)]
struct Parts(Vec<Arrived>);

impl PartSink for Parts {
    fn part(&mut self, part: Outgoing<'static>) -> anyhow::Result<()> {
        let (frame, stored) = (part.digest(), part.stored());
        let part = self.take(part.into_pieces().concat());
        assert_eq!((part.digest(), part.stored()), (frame, stored));
        Ok(())
    }
}

impl Parts {
    fn take(&mut self, bytes: Vec<u8>) -> &Arrived {
        let (mut decoder, mut rest) = (Decoder::new(), bytes.as_slice());
        loop {
            let space = decoder.space();
            let len = space.len().min(rest.len());
            space[..len].copy_from_slice(&rest[..len]);
            rest = &rest[len..];
            let Some(item) = decoder.filled(len).unwrap() else { continue };
            let Item::Part(part) = item else { panic!("a message") };
            assert_eq!(rest.len(), 0);
            self.0.push(part);
            return self.0.last().unwrap();
        }
    }
}

fn origin(path: &Path, compression: Compression) -> Snapshot {
    let form = Form { compression, threads: 2 };
    Snapshot::open(path, &Where::default(), form, &Stop::never()).unwrap()
}

fn round(origin: &Snapshot, have: Option<&Blocks>) -> (Vec<Arrived>, Digest) {
    let mut parts = Parts::default();
    let root = origin.round(have, &mut parts).unwrap();
    (parts.0, root)
}

fn apply(image: &mut Image, parts: Vec<Arrived>) -> Result<Digest, Trouble> {
    parts.into_iter().try_for_each(|part| image.apply(part))?;
    image.end_round()
}

fn keep(image: &mut Image, origin: &Snapshot) -> Result<Vec<String>, Trouble> {
    let mut parts = Parts::default();
    let ids = origin.state(&mut parts).unwrap();
    parts.0.into_iter().try_for_each(|part| image.keep(part))?;
    let (kept, warnings) = image.end_state()?;
    assert_eq!(kept, ids);
    Ok(warnings)
}

fn assert_arrived(base: &Path, dir: &Dir) {
    for (from, to) in [("", dir.ram()), (".kern", dir.kern()), (".meta", dir.meta())] {
        let mut name = base.as_os_str().to_owned();
        name.push(from);
        assert!(fs::read(&name).unwrap() == fs::read(to).unwrap(), "{from:?} differs");
    }
}

#[test]
fn three_files_arrive_byte_for_byte_and_get_their_last_name_last() {
    let forms = [Compression::None, Compression::Zstd(1)].into_iter().cycle();
    for (name, compression) in FIXTURES.into_iter().zip(forms) {
        let temp = tempfile::tempdir().unwrap();
        let base = fixtures::unpack(name, temp.path()).unwrap();
        let origin = origin(&base, compression);
        let place = temp.path().join("vm");
        let mut image = Image::open(&place, origin.vm(), session(1), options()).unwrap();
        keep(&mut image, &origin).unwrap();
        assert_eq!(image.held().1, None);
        let (parts, root) = round(&origin, None);
        assert_eq!(apply(&mut image, parts).unwrap(), root);
        let dir = image.dir().clone();
        assert!(!dir.held().exists() && !dir.meta().exists());
        image.sync().unwrap();
        assert!(dir.held().exists() && !dir.meta().exists());
        dir.publish().unwrap();
        dir.publish().unwrap();
        assert_arrived(&base, &dir);
        dir.destroy().unwrap();
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
    }
}

#[test]
fn memory_above_the_hole_arrives() {
    let temp = tempfile::tempdir().unwrap();
    let base = fixtures::unpack("intel-4cpu-highmem", temp.path()).unwrap();
    let origin = origin(&base, Compression::None);
    let place = temp.path().join("vm");
    let mut image = Image::open(&place, origin.vm(), session(1), options()).unwrap();
    let (parts, root) = round(&origin, None);
    assert!(parts.len() > 1);
    assert_eq!(apply(&mut image, parts).unwrap(), root);
    drop(image);
    let mut image = Image::open(&place, origin.vm(), session(1), options()).unwrap();
    assert_eq!(image.held().0, root);
}

#[test]
fn a_snapshot_file_arrives_as_the_three_files_that_it_was_made_from() {
    let temp = tempfile::tempdir().unwrap();
    let base = fixtures::unpack(FIXTURES[0], temp.path()).unwrap();
    let packed = tests::image::pack_fixture(FIXTURES[0], temp.path()).unwrap();
    let file = temp.path().join("vm.snap");
    fs::write(&file, packed).unwrap();
    let origin = origin(&file, Compression::Zstd(1));
    let mut image =
        Image::open(&temp.path().join("vm"), origin.vm(), session(1), options()).unwrap();
    keep(&mut image, &origin).unwrap();
    let (parts, root) = round(&origin, None);
    assert_eq!(apply(&mut image, parts).unwrap(), root);
    image.sync().unwrap();
    image.dir().publish().unwrap();
    assert_arrived(&base, image.dir());
}

#[test]
fn only_what_is_held_otherwise_is_sent_again_whoever_changed_it() {
    let temp = tempfile::tempdir().unwrap();
    let base = fixtures::unpack(FIXTURES[0], temp.path()).unwrap();
    let origin = origin(&base, Compression::None);
    let place = temp.path().join("vm");
    let mut image = Image::open(&place, origin.vm(), session(1), options()).unwrap();
    let (parts, root) = round(&origin, None);
    // A connection is cut: a part is missing.
    let missing = parts.len() / 2;
    let mut some = parts.clone();
    some.remove(missing);
    assert_ne!(apply(&mut image, some).unwrap(), root);
    let ram = image.dir().ram();
    let (known, held) = image.held();
    drop(image);

    // Another process finds the same by reading.
    let mut image = Image::open(&place, origin.vm(), session(1), options()).unwrap();
    assert_eq!(image.held(), (known, held.clone()));
    let (again, same) = round(&origin, held.as_ref());
    assert_eq!((again.len(), same), (1, root));
    assert_eq!(again[0].frame().payload_size, parts[missing].frame().payload_size);
    assert_eq!(apply(&mut image, again).unwrap(), root);
    assert!(round(&origin, image.held().1.as_ref()).0.is_empty());
    drop(image);

    // Pages that a crash lost or that were written over, zero ones too.
    let mut bytes = fs::read(&ram).unwrap();
    let len = bytes.len();
    bytes[len - 1] ^= 1;
    let used = bytes.iter().position(|byte| *byte != 0).unwrap();
    bytes[used] = 0;
    fs::write(&ram, &bytes).unwrap();
    let mut image = Image::open(&place, origin.vm(), session(1), options()).unwrap();
    let (found, held) = image.held();
    assert_ne!(found, root);
    let (again, _) = round(&origin, held.as_ref());
    assert!(again.len() <= 2, "{} parts", again.len());
    assert_eq!(apply(&mut image, again).unwrap(), root);
    assert!(fs::read(&ram).unwrap() == fs::read(&base).unwrap());
    assert_eq!(held.unwrap().size, BLOCK);
}

#[test]
fn a_part_that_is_damaged_is_refused_and_writes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let base = fixtures::unpack(FIXTURES[0], temp.path()).unwrap();
    for compression in [Compression::None, Compression::Zstd(1)] {
        let origin = origin(&base, compression);
        struct Flip(Parts);
        impl PartSink for Flip {
            fn part(&mut self, part: Outgoing<'static>) -> anyhow::Result<()> {
                let mut bytes = part.into_pieces().concat();
                // Past the frame: within the payload, or the list.
                let at = 128 + (bytes.len() - 128) / 2;
                bytes[at] ^= 4;
                self.0.take(bytes);
                Ok(())
            }
        }
        let mut parts = Flip(Parts::default());
        origin.round(None, &mut parts).unwrap();
        for part in parts.0.0.into_iter().take(8) {
            let place = temp.path().join("vm");
            let mut image = Image::open(&place, origin.vm(), session(1), options()).unwrap();
            let refused = apply(&mut image, vec![part]).unwrap_err();
            assert_eq!(refused.code, "item", "{refused:?}");
            let ram = fs::read(image.dir().ram()).unwrap();
            assert!(ram.iter().all(|byte| *byte == 0));
        }
    }
}

#[test]
fn extents_of_a_round_ascend() {
    let temp = tempfile::tempdir().unwrap();
    let base = fixtures::unpack(FIXTURES[0], temp.path()).unwrap();
    let origin = origin(&base, Compression::None);
    let mut image =
        Image::open(&temp.path().join("vm"), origin.vm(), session(1), options()).unwrap();
    let (parts, _) = round(&origin, None);
    let twice = vec![parts[0].clone(), parts[0].clone()];
    assert_eq!(apply(&mut image, twice).unwrap_err().code, "order");
    // What is held is not known any more.
    assert_eq!(image.sync().unwrap_err().code, "order");
}

#[test]
fn nobody_elses_memory_is_written_over() {
    let temp = tempfile::tempdir().unwrap();
    let base = fixtures::unpack(FIXTURES[0], temp.path()).unwrap();
    let origin = origin(&base, Compression::None);
    let place = temp.path().join("vm");
    let open = |session, vm: &snapfmt::part::vm::Vm, discard| {
        Image::open(&place, vm, session, Options { discard, ..options() }).map(drop)
    };
    open(session(1), origin.vm(), false).unwrap();
    open(session(1), origin.vm(), false).unwrap();
    assert_eq!(open(session(2), origin.vm(), false).unwrap_err().code, "session");
    let mut other = origin.vm().clone();
    other.name.push('x');
    assert_eq!(open(session(1), &other, false).unwrap_err().code, "session");
    open(session(2), origin.vm(), true).unwrap();
    // A copy may be taken over, and ends to be one.
    open(None, origin.vm(), true).unwrap();
    fs::write(place.join("vm.ckp.meta"), "meta").unwrap();
    open(session(3), origin.vm(), false).unwrap();
    assert!(!place.join("vm.ckp.meta").exists());
    // What no migration put there stays.
    fs::remove_file(place.join("session")).unwrap();
    assert_eq!(open(session(3), origin.vm(), false).unwrap_err().code, "session");
    assert!(place.join("vm.ckp").exists());
}

#[test]
fn a_state_that_breaks_a_rule_is_not_kept() {
    let temp = tempfile::tempdir().unwrap();
    let base = fixtures::unpack(FIXTURES[0], temp.path()).unwrap();
    let mut kern = base.as_os_str().to_owned();
    kern.push(".kern");
    let mut bytes = fs::read(&kern).unwrap();
    bytes[..1024].fill(0);
    fs::write(&kern, bytes).unwrap();
    let origin = origin(&base, Compression::None);
    let mut image =
        Image::open(&temp.path().join("vm"), origin.vm(), session(1), options()).unwrap();
    let refused = keep(&mut image, &origin).unwrap_err();
    assert_eq!(refused.code, "state");
    assert!(refused.lines.iter().any(|line| line.contains("guest_xcr0")), "{refused:?}");
}

#[test]
fn what_an_earlier_process_made_whole_is_started_only_if_it_still_is() {
    let temp = tempfile::tempdir().unwrap();
    let base = fixtures::unpack(FIXTURES[0], temp.path()).unwrap();
    let origin = origin(&base, Compression::None);
    let place = temp.path().join("vm");
    let mut image = Image::open(&place, origin.vm(), session(1), options()).unwrap();
    keep(&mut image, &origin).unwrap();
    let (parts, root) = round(&origin, None);
    apply(&mut image, parts).unwrap();
    image.sync().unwrap();
    let mut ids = Parts::default();
    let ids = origin.state(&mut ids).unwrap();
    let content = snapfmt::content::content(origin.vm(), &root, &ids);
    let dir = image.dir().clone();
    drop(image);
    verify(&dir, content, &options()).unwrap();
    dir.publish().unwrap();
    verify(&dir, content, &options()).unwrap();
    for path in [dir.ram(), dir.kern(), dir.meta()] {
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let at = bad.len() / 2;
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        let refused = verify(&dir, content, &options()).unwrap_err();
        assert_eq!(refused.code, "content", "{}: {refused:?}", path.display());
        fs::write(&path, good).unwrap();
    }
    verify(&dir, content, &options()).unwrap();
}

#[test]
fn what_is_not_there_or_is_a_link_is_not_what_arrived() {
    let temp = tempfile::tempdir().unwrap();
    let base = fixtures::unpack(FIXTURES[0], temp.path()).unwrap();
    let (dir, content) = whole(&base, &temp.path().join("vm"));
    for path in [dir.ram(), dir.kern(), dir.held()] {
        let aside = temp.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        for linked in [false, true] {
            if linked {
                symlink(&aside, &path).unwrap();
            }
            let refused = verify(&dir, content, &options()).unwrap_err();
            assert_eq!(refused.code, "content", "{}: {refused:?}", path.display());
        }
        fs::rename(&aside, &path).unwrap();
    }
    let ram = fs::File::options().write(true).open(dir.ram()).unwrap();
    ram.set_len(ram.metadata().unwrap().len() - 4096).unwrap();
    assert_eq!(verify(&dir, content, &options()).unwrap_err().code, "content");
}

/// A snapshot that arrived whole, and its content.
fn whole(base: &Path, place: &Path) -> (Dir, Digest) {
    let origin = origin(base, Compression::None);
    let mut image = Image::open(place, origin.vm(), session(1), options()).unwrap();
    keep(&mut image, &origin).unwrap();
    let (parts, root) = round(&origin, None);
    apply(&mut image, parts).unwrap();
    image.sync().unwrap();
    let ids = origin.state(&mut Parts::default()).unwrap();
    (image.dir().clone(), snapfmt::content::content(origin.vm(), &root, &ids))
}

#[test]
fn links_in_a_target_are_followed_by_nothing_that_is_written() {
    for name in ["vm.ckp", "vm.ckp.kern", "vm.ckp.config", "session"] {
        for there in [true, false] {
            let temp = tempfile::tempdir().unwrap();
            let base = fixtures::unpack(FIXTURES[0], temp.path()).unwrap();
            let origin = origin(&base, Compression::None);
            let place = temp.path().join("vm");
            let victim = temp.path().join("victim");
            if there {
                fs::write(&victim, "mine").unwrap();
            }
            let dir = Dir::open(&place).unwrap();
            symlink(&victim, dir.path().join(name)).unwrap();
            let opened = Image::open(&place, origin.vm(), session(1), options());
            let refused = opened.and_then(|mut image| {
                keep(&mut image, &origin)?;
                image.sync()
            });
            // No source sends a configuration here, so that its name is only removed.
            assert!(name == "vm.ckp.config" || refused.is_err(), "{name}");
            assert_eq!(victim.exists(), there, "{name}");
            assert!(!there || fs::read(&victim).unwrap() == b"mine", "{name}");
        }
    }
}

#[test]
fn memory_whose_sync_did_not_end_well_is_written_again() {
    let temp = tempfile::tempdir().unwrap();
    let base = fixtures::unpack(FIXTURES[0], temp.path()).unwrap();
    let origin = origin(&base, Compression::None);
    let place = temp.path().join("vm");
    let mut image = Image::open(&place, origin.vm(), session(1), options()).unwrap();
    let (parts, root) = round(&origin, None);
    apply(&mut image, parts).unwrap();
    let dir = image.dir().clone();
    drop(image);
    let note = Note::read(&dir.session()).unwrap().unwrap();
    assert!(!note.doubtful);
    let allocated = || fs::metadata(dir.ram()).unwrap().blocks() * 512;
    let sparse = allocated();
    Note { doubtful: true, ..note }.write(&dir.session()).unwrap();
    let mut image = Image::open(&place, origin.vm(), session(1), options()).unwrap();
    assert_eq!(image.held().0, root);
    // All of it was written, zeros too, and is in doubt until a sync ends well.
    assert!(sparse < allocated() && allocated() >= origin.vm().memory.size());
    assert!(Note::read(&dir.session()).unwrap().unwrap().doubtful);
    keep(&mut image, &origin).unwrap();
    image.sync().unwrap();
    assert!(!Note::read(&dir.session()).unwrap().unwrap().doubtful);
}

#[test]
fn a_source_is_durable_as_it_was_opened_or_not_at_all() {
    let temp = tempfile::tempdir().unwrap();
    let base = fixtures::unpack(FIXTURES[0], temp.path()).unwrap();
    let packed = tests::image::pack_fixture(FIXTURES[0], temp.path()).unwrap();
    let file = temp.path().join("vm.snap");
    fs::write(&file, packed).unwrap();
    for path in [base, file] {
        let origin = origin(&path, Compression::None);
        origin.make_durable().unwrap();
        let opened = fs::File::options().append(true).open(&path).unwrap();
        opened.set_len(opened.metadata().unwrap().len() + 1).unwrap();
        assert!(origin.make_durable().is_err(), "{}", path.display());
    }
}
