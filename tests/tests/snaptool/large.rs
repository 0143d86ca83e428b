//! A machine with 64 GiB of RAM, nearly all of it holes: what it costs.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use snapfmt::read::{ReadAt, Seeker};

use crate::kit::{Bench, FIXTURE, noise};

const GIB: u64 = 1 << 30;
const RAM: u64 = 64 * GIB;
const MIB: usize = 1 << 20;

/// Address space that a run may have, in KiB: all of its memory, touched or not.
const SPACE: u64 = 128 << 10;

/// 64 GiB of RAM with a MiB of noise in each; nothing where files have no holes.
fn large() -> Option<Bench> {
    let bench = Bench::empty();
    tests::fixtures::unpack_without_memory(FIXTURE, &bench.path("")).unwrap();
    let memory = format!("\"memsize\": {RAM}");
    bench.edit("vm.ckp.meta", "\"memsize\": 67108864", &memory);
    let ram = File::create(bench.path("vm.ckp")).unwrap();
    let sparse = ram.set_len(RAM).is_ok() && {
        ram.write_all_at(&[1], RAM / 2).unwrap();
        ram.sync_all().unwrap();
        ram.metadata().unwrap().blocks() * 512 < GIB
            && rustix::fs::seek(&ram, rustix::fs::SeekFrom::Data(0)).is_ok_and(|at| at > GIB)
    };
    if !sparse {
        println!("skipped: files have no holes here");
        return None;
    }
    let noise = noise(MIB);
    for gib in 0..64 {
        // Across the boundaries of blocks, and elsewhere in each.
        ram.write_all_at(&noise, gib * GIB + gib * 12_345_678 % (GIB - MIB as u64)).unwrap();
    }
    bench.write_rings();
    Some(bench)
}

/// A source that counts what is read of it.
struct Counting {
    file: File,
    bytes: Cell<u64>,
}

impl ReadAt for Counting {
    fn size(&self) -> u64 {
        self.file.metadata().unwrap().len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes.set(self.bytes.get() + buf.len() as u64);
        self.file.read_exact_at(buf, offset)
    }
}

/// Runs the program with little memory and returns how many bytes it read, where the system
/// counts that.
fn frugal(bench: &Bench, line: &str) -> Option<u64> {
    // A shell that has waited for a child has its bytes added to its own.
    let counted = "test ! -r /proc/$$/io || cat /proc/$$/io";
    let ended = bench.sh(&format!("(ulimit -v {SPACE}; exec $S {line}) || exit; {counted}"));
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""), "{line}");
    let read = ended.stdout.lines().find_map(|line| line.strip_prefix("rchar: "))?;
    Some(read.parse().unwrap())
}

#[test]
fn sixty_four_gib_take_little_memory_and_their_holes_are_not_read() {
    let Some(bench) = large() else { return };
    // The limit is one that is felt.
    if bench.sh("ulimit -v 1000; exec $S --version").status.success() {
        println!("skipped: `ulimit -v` limits nothing here");
        return;
    }

    let data = 65 * MIB as u64;
    let little = 4 * MIB as u64;
    for (line, most) in [
        ("pack vm.ckp -o a.snap", data + little),
        ("verify a.snap", data + little),
        ("verify --quick a.snap", MIB as u64),
        ("verify --map a.snap", MIB as u64),
        ("unpack a.snap -o b", data + little),
        ("pack vm.ckp --compress none -o c.snap", data + little),
        ("verify c.snap", data + little),
    ] {
        match frugal(&bench, line) {
            Some(read) => {
                println!("{line}: {read} bytes read");
                assert!(read <= most, "{line}: {read} bytes read, expected at most {most}");
            }
            None => println!("skipped: nobody counts the bytes that `{line}` reads"),
        }
    }
    bench.assert_same_set("vm.ckp", "b");
    let blocks = fs::metadata(bench.path("b")).unwrap().blocks();
    assert!(blocks * 512 < 2 * data, "the holes became {} bytes", blocks * 512);
    assert!(fs::metadata(bench.path("a.snap")).unwrap().len() < data + little);
}

#[test]
fn deltas_of_sixty_four_gib_take_little_memory_and_read_what_changed() {
    let Some(bench) = large() else { return };
    if bench.sh("ulimit -v 1000; exec $S --version").status.success() {
        println!("skipped: `ulimit -v` limits nothing here");
        return;
    }
    bench.pack("--compress none", "a.snap");
    let ram = File::options().write(true).open(bench.path("vm.ckp")).unwrap();
    for gib in [3, 17, 40] {
        // In the middle of what there is, and in a hole.
        ram.write_all_at(&[7; 8192], gib * GIB + gib * 12_345_678 % (GIB - MIB as u64)).unwrap();
        ram.write_all_at(&[8; 5000], gib * GIB).unwrap();
    }
    ram.sync_all().unwrap();
    let (data, little) = (66 * MIB as u64, 8 * MIB as u64);
    for (line, most) in [
        ("delta a.snap vm.ckp -o d.snap", data + little),
        ("verify d.snap --chain a.snap", data + little),
        ("join a.snap d.snap -o f.snap", data + little),
        // Of two snapshots, leaves, and the blocks that differ.
        ("delta a.snap f.snap -o e.snap", little),
        ("diff d.snap f.snap --chain a.snap", little),
        ("unpack e.snap --chain a.snap -o b", data + little),
        ("delta vm.ckp f.snap -o g.snap", 2 * data + little),
    ] {
        match frugal(&bench, line) {
            Some(read) => {
                println!("{line}: {read} bytes read");
                assert!(read <= most, "{line}: {read} bytes read, expected at most {most}");
            }
            None => println!("skipped: nobody counts the bytes that `{line}` reads"),
        }
    }
    bench.assert_same_set("vm.ckp", "b");
    for delta in ["d.snap", "e.snap"] {
        assert!(fs::metadata(bench.path(delta)).unwrap().len() < 1 << 17);
    }
}

#[test]
fn a_quick_check_reads_the_records_and_little_more() {
    let Some(bench) = large() else { return };
    bench.pack("", "a.snap");
    let file = File::open(bench.path("a.snap")).unwrap();
    let counting = Counting { file, bytes: Cell::new(0) };
    let seeker = Seeker::open(&counting).unwrap();
    let quick = seeker.quick(|_| ()).unwrap();
    let records = seeker.index().parts.iter().filter(|part| part.record.is_some());
    let records: u64 = records.map(|part| part.length).sum();
    let beyond = counting.bytes.get() - records;
    println!("a quick check reads {beyond} bytes beyond {records} bytes of records");
    assert!(beyond < MIB as u64);
    let before = counting.bytes.get();
    seeker.maps(&quick, |_| ()).unwrap();
    println!("the maps take {} bytes more", counting.bytes.get() - before);
    assert!(counting.bytes.get() - before < MIB as u64);
}
