//! kill -9 at moments drawn from a fixed row of numbers.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::Child;

use crate::kit::{Bench, Ended, FIXTURE, Numbers, SET, wait_until};

const ROUNDS: usize = 40;

/// Does nothing for a while that no clock measures.
fn spin(turns: u64) {
    for turn in 0..turns {
        std::hint::black_box(turn);
    }
}

fn has_ended(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_some()
}

/// Kills one that may have ended by itself a moment ago, and may have been waited for.
fn kill(mut child: Child) -> Ended {
    child.kill().unwrap();
    Ended::waited(child)
}

/// What is there under final names is right, and `.meta` is there only with the others.
fn check_set(bench: &Bench, base: &str) -> usize {
    let there: Vec<_> = SET.iter().filter(|e| bench.path(format!("{base}{e}")).exists()).collect();
    for ending in &there {
        assert!(bench.same(&format!("vm.ckp{ending}"), &format!("{base}{ending}")), "{ending}");
    }
    assert_eq!(there.as_slice(), SET[..there.len()].iter().collect::<Vec<_>>());
    there.len()
}

fn is_ours(name: &str, targets: &[&str]) -> bool {
    let ours = |target: &&str| name.starts_with(&format!(".{target}.snaptool-"));
    targets.iter().any(ours) && name.ends_with(".tmp")
}

#[test]
fn a_killed_unpack_leaves_nothing_wrong_and_the_next_one_tidies_up() {
    // On a disk, where syncing one name leaves time for a kill before the next.
    let bench = Bench::empty();
    tests::fixtures::unpack(FIXTURE, &bench.path("")).unwrap();
    bench.pack("", "a.snap");
    let good = bench.read("a.snap");
    bench.fifo("fifo");
    let before = bench.names();
    let mut numbers = Numbers(0x5eed);
    let mut stages = [0; 4];
    for round in 0..ROUNDS {
        let fifo = bench.fifo("fifo");
        let mut child = bench.command("unpack fifo -o b").spawn().unwrap();
        let mut writer = File::options().write(true).open(&fifo).unwrap();
        if round % 2 == 0 {
            let fed = numbers.below(good.len() as u64);
            writer.write_all(&good[..usize::try_from(fed).unwrap()]).unwrap();
        } else {
            // Around the moment when the names appear.
            writer.write_all(&good).unwrap();
            drop(writer);
            let name = format!("b{}", SET[usize::try_from(numbers.below(3)).unwrap()]);
            wait_until("a name", || bench.path(&name).exists() || has_ended(&mut child));
        }
        spin(numbers.below(1 << 16));
        let ended = kill(child);
        assert_eq!(ended.stderr, "");
        stages[check_set(&bench, "b")] += 1;
        let left = bench.names().into_iter().filter(|name| !before.contains(name));
        let strange: Vec<_> = left
            .filter(|name| !["b", "b.kern", "b.meta"].contains(&name.as_str()))
            .filter(|name| !is_ours(name, &["b", "b.kern", "b.meta"]))
            .collect();
        assert!(strange.is_empty(), "{strange:?}");

        for ending in SET {
            let _ = fs::remove_file(bench.path(format!("b{ending}")));
        }
        bench.run("unpack a.snap -o b").silent(0);
        assert_eq!(check_set(&bench, "b"), 3);
        for ending in SET {
            fs::remove_file(bench.path(format!("b{ending}"))).unwrap();
        }
        assert_eq!(bench.names(), before);
    }
    println!("of {ROUNDS} killed, so many had published 0, 1, 2, 3 files: {stages:?}");
    assert!(stages[0] >= ROUNDS / 2 - 1);
}

#[test]
fn a_killed_pack_leaves_the_older_snapshot_or_the_whole_new_one() {
    let bench = Bench::noisy(4 << 20);
    let (_, content) = bench.pack("--compress none", "a.snap");
    let old = bench.read("a.snap");
    let before = bench.names();
    let mut numbers = Numbers(0xc0de);
    let (mut kept, mut new) = (0, 0);
    for round in 0..ROUNDS {
        let child = bench.command("pack vm.ckp --compress zstd:9 -o a.snap").spawn().unwrap();
        if round % 2 == 0 {
            let enough = numbers.below(4 << 20);
            // Until the temporary is that long, or has become the snapshot.
            loop {
                let grown = bench
                    .temporaries("a.snap")
                    .first()
                    .map(|name| fs::metadata(bench.path(name)).map_or(u64::MAX, |data| data.len()));
                let changed = fs::metadata(bench.path("a.snap")).unwrap().len() != old.len() as u64;
                if changed || grown.is_some_and(|size| size >= enough) {
                    break;
                }
                std::thread::yield_now();
            }
        }
        spin(numbers.below(1 << 25));
        kill(child);
        let now = bench.read("a.snap");
        if now == old {
            kept += 1;
        } else {
            new += 1;
            assert_eq!(bench.json("verify --json a.snap")["content"], content);
        }
        let strange: Vec<_> = bench
            .names()
            .into_iter()
            .filter(|name| !before.contains(name) && !is_ours(name, &["a.snap"]))
            .collect();
        assert!(strange.is_empty(), "{strange:?}");
        assert!(bench.temporaries("a.snap").len() <= 1);

        bench.pack("--compress zstd:1", "a.snap");
        assert_eq!(bench.names(), before, "the next run tidies up");
        bench.write("a.snap", &old);
    }
    println!("of {ROUNDS} killed, {kept} kept the old snapshot and {new} had the new one");
    assert!(kept > 0);
}
