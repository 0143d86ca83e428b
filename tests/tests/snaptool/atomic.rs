//! Errors, damage and signals midway: nothing appears under a final name, nothing else stays.

use std::fs::{self, File};
use std::io::Write as _;

use rustix::process::Signal;

use crate::kit::{Bench, Ended, FIXTURE, is_ignored, send, wait_until};

const INPUTS: [&str; 3] = ["vm.ckp", "vm.ckp.kern", "vm.ckp.meta"];

#[test]
fn a_file_that_may_not_grow_leaves_the_older_snapshot_and_nothing_else() {
    let bench = Bench::noisy(1 << 20);
    bench.pack("", "a.snap");
    let old = bench.read("a.snap");
    let before = bench.names();
    for blocks in [1, 100, 1000] {
        let ended = bench.sh(&format!("ulimit -f {blocks}; exec $S pack vm.ckp -o a.snap"));
        assert!(ended.trouble().contains("a.snap: File too large\n"), "{ended:?}");
        bench.sh(&format!("ulimit -f {blocks}; exec $S pack vm.ckp -o b.snap")).trouble();
        bench.sh(&format!("ulimit -f {blocks}; exec $S unpack a.snap -o c")).trouble();
        assert_eq!(bench.names(), before);
        assert!(bench.read("a.snap") == old);
    }
}

#[test]
fn a_full_disk_leaves_nothing() {
    let bench = Bench::noisy(2 << 20);
    bench.pack("", "a.snap");
    bench.sh("mkdir disk").silent(0);
    let mounted = "unshare -m /bin/sh -c '
        mount -t tmpfs -o size=1m none disk || exit 77
        $S pack vm.ckp -o disk/a.snap; echo $?
        $S unpack a.snap -o disk/b; echo $?
        ls -A disk'";
    let ended = bench.sh(mounted);
    if !ended.stdout.starts_with('2') && !ended.stderr.contains("snaptool") {
        println!("skipped: no file system can be mounted here: {}", ended.stderr.trim());
        return;
    }
    assert_eq!(ended.stdout, "2\n2\n", "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("its file system is full").count(), 2, "{}", ended.stderr);
}

#[test]
fn a_snapshot_that_ends_early_or_is_damaged_becomes_no_set() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    let good = bench.read("a.snap");
    let before = bench.names();
    for cut in [0, 1, 4096, 5000, good.len() / 2, good.len() - 128, good.len() - 1] {
        bench.feed("unpack - -o b", &good[..cut]).refusal();
        assert_eq!(bench.names(), before, "cut at {cut}");
    }
    for at in [0, 70, 4100, good.len() / 2, good.len() - 300, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        bench.feed("unpack - -o b", &bad).refusal();
        bench.write("bad.snap", &bad);
        bench.run("unpack bad.snap -o b").refusal();
        fs::remove_file(bench.path("bad.snap")).unwrap();
        assert_eq!(bench.names(), before, "flipped at {at}");
    }
}

#[test]
fn a_signal_during_unpack_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        if is_ignored(signal) {
            println!("skipped: signal {} is ignored here", signal.as_raw());
            continue;
        }
        let bench = Bench::fixture(FIXTURE);
        bench.pack("", "a.snap");
        let good = bench.read("a.snap");
        bench.fifo("fifo");
        let before = bench.names();
        for fed in [0, 5000, good.len() / 2, good.len() - 1] {
            let fifo = bench.fifo("fifo");
            let child = bench.command("unpack fifo -o b").spawn().unwrap();
            let mut writer = File::options().write(true).open(&fifo).unwrap();
            writer.write_all(&good[..fed]).unwrap();
            wait_until("three temporaries", || {
                ["b", "b.kern", "b.meta"].iter().all(|name| bench.temporaries(name).len() == 1)
            });
            send(&child, signal);
            Ended::waited(child).died(signal);
            assert_eq!(bench.names(), before);
            drop(writer);
        }
    }
}

#[test]
fn a_signal_during_pack_leaves_the_older_snapshot_and_nothing_else() {
    for signal in [Signal::INT, Signal::TERM] {
        if is_ignored(signal) {
            println!("skipped: signal {} is ignored here", signal.as_raw());
            continue;
        }
        let bench = Bench::noisy(32 << 20);
        bench.write("a.snap", "");
        bench.pack("--compress none", "a.snap");
        let old = bench.read("a.snap");
        // It may be done before the signal comes; not every time, though.
        let mut died = false;
        for _ in 0..50 {
            let child = bench.command("pack vm.ckp --compress zstd:9 -o a.snap").spawn().unwrap();
            wait_until("a temporary", || {
                let temporaries = bench.temporaries("a.snap");
                let size = |name: &String| fs::metadata(bench.path(name)).map_or(0, |m| m.len());
                temporaries.first().is_some_and(|name| size(name) > 1 << 20)
                    || bench.read("a.snap") != old
            });
            send(&child, signal);
            let ended = Ended::waited(child);
            assert!(bench.temporaries("a.snap").is_empty());
            if ended.status.success() {
                bench.run("verify a.snap").silent(0);
                bench.write("a.snap", &old);
                continue;
            }
            ended.died(signal);
            assert!(bench.read("a.snap") == old);
            died = true;
            break;
        }
        assert!(died);
    }
}

#[test]
fn what_appears_under_the_name_meanwhile_stays() {
    let bench = Bench::noisy(32 << 20);
    let meanwhile = |act: &dyn Fn()| {
        let child = bench.command("pack vm.ckp -o a.snap").spawn().unwrap();
        wait_until("a temporary", || !bench.temporaries("a.snap").is_empty());
        act();
        Ended::waited(child)
    };
    let ended = meanwhile(&|| bench.write("a.snap", ""));
    assert!(ended.trouble().contains("a.snap exists already"), "{ended:?}");
    assert!(bench.read("a.snap").is_empty());

    bench.pack("", "a.snap");
    bench.write("new", "someone else's");
    let ended = meanwhile(&|| fs::rename(bench.path("new"), bench.path("a.snap")).unwrap());
    assert!(ended.trouble().contains("a.snap was replaced by someone else"), "{ended:?}");
    assert_eq!(bench.read("a.snap"), b"someone else's");
    assert_eq!(bench.names(), ["a.snap", "vm.ckp", "vm.ckp.kern", "vm.ckp.meta"]);
}

#[test]
fn an_input_that_is_written_to_meanwhile_is_trouble_and_leaves_nothing() {
    // The program sees the change by length and time at the end, whatever it read.
    let bench = Bench::noisy(32 << 20);
    let child = bench.command("pack vm.ckp -o a.snap").spawn().unwrap();
    wait_until("a temporary", || !bench.temporaries("a.snap").is_empty());
    let ram = File::options().append(true).open(bench.path("vm.ckp")).unwrap();
    (&ram).write_all(b"x").unwrap();
    let ended = Ended::waited(child);
    assert!(ended.trouble().contains("vm.ckp changed while it was read"), "{ended:?}");
    assert_eq!(bench.names(), INPUTS);
}
