//! Odd inputs and outputs: pipes, closed descriptors, devices, readers that go away.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};

use std::os::unix::fs::FileExt as _;

use rustix::process::Signal;

use crate::kit::{Bench, Ended, FIXTURE, is_ignored, send, wait_until};

#[test]
fn a_reader_that_goes_away_ends_pack_quietly() {
    let bench = Bench::noisy(4 << 20);
    let mut child = bench.command("pack vm.ckp -o -").spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 100]).unwrap();
    drop(stdout);
    Ended::waited(child).died(Signal::PIPE);
    assert_eq!(bench.names(), ["vm.ckp", "vm.ckp.kern", "vm.ckp.meta"]);
}

/// Waits until the pipe is full and its writer sleeps. Parts fill its pages in part only.
fn wait_until_stuck(child: &Child, reader: impl AsFd) {
    wait_until("a full pipe", || rustix::io::ioctl_fionread(&reader).unwrap() >= 30_000);
    wait_until_asleep(child);
}

/// Where the system does not tell, a signal may come before the sleep, and that is no mistake.
fn wait_until_asleep(child: &Child) {
    let stat = format!("/proc/{}/stat", child.id());
    wait_until("sleep", || {
        fs::read_to_string(&stat).map_or(true, |stat| {
            // Sleeping for a pipe, and not for the disk while it starts.
            let state = stat.rsplit(") ").next().unwrap_or_default();
            state.starts_with('S')
        })
    });
}

#[test]
fn a_signal_ends_pack_though_nobody_reads_what_it_writes() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        if is_ignored(signal) {
            println!("skipped: signal {} is ignored here", signal.as_raw());
            continue;
        }
        let bench = Bench::noisy(4 << 20);
        let fifo = bench.fifo("fifo");
        let child = bench.command("pack vm.ckp -o fifo").spawn().unwrap();
        let reader = File::open(&fifo).unwrap();
        wait_until_stuck(&child, &reader);
        send(&child, signal);
        Ended::waited(child).died(signal);

        let mut child = bench.command("pack vm.ckp -o -").spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        wait_until_stuck(&child, &stdout);
        send(&child, signal);
        Ended::waited(child).died(signal);

        // Nobody even opens the pipe.
        bench.fifo("fifo");
        let child = bench.command("pack vm.ckp -o fifo").spawn().unwrap();
        wait_until_asleep(&child);
        send(&child, signal);
        Ended::waited(child).died(signal);
        assert_eq!(bench.names(), ["fifo", "vm.ckp", "vm.ckp.kern", "vm.ckp.meta"]);
    }
}

/// Packs into a pipe that nobody reads, does something meanwhile, and returns how it ended and what
/// came out of the pipe.
fn pack_meanwhile(bench: &Bench, act: impl FnOnce()) -> (Ended, Vec<u8>) {
    let mut child = bench.command("pack vm.ckp --compress none -o -").spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    wait_until_stuck(&child, &stdout);
    act();
    let mut bytes = Vec::new();
    stdout.read_to_end(&mut bytes).unwrap();
    (Ended::waited(child), bytes)
}

#[test]
fn a_pipe_never_gets_the_end_of_a_torn_snapshot() {
    let bench = Bench::noisy(4 << 20);
    let path = bench.path("vm.ckp");
    let write = || {
        let ram = File::options().write(true).open(&path).unwrap();
        ram.write_all_at(b"torn", 3 << 20).unwrap();
        ram
    };
    let times = || fs::metadata(&path).unwrap().modified().unwrap();
    let before = times();
    let set_back = || write().set_modified(before).unwrap();
    let replace = |name: &str| {
        bench.write("new", bench.read(name));
        fs::rename(bench.path("new"), bench.path(name)).unwrap();
    };
    let acts: [(&str, &dyn Fn()); 4] = [
        ("vm.ckp changed while it was read", &|| drop(write())),
        ("vm.ckp changed while it was read", &set_back),
        // A file that lost its name has another time of change, too.
        ("vm.ckp.kern ", &|| replace("vm.ckp.kern")),
        ("vm.ckp.meta ", &|| replace("vm.ckp.meta")),
    ];
    for (words, act) in acts {
        let (ended, bytes) = pack_meanwhile(&bench, act);
        assert!(ended.trouble().contains(words), "{ended:?}");
        assert!(bytes.len() > 1 << 20);
        let verdict = bench.feed("verify -", &bytes);
        assert_eq!(verdict.code(), Some(1), "{verdict:?}");
        bench.feed("unpack - -o b", &bytes).refusal();
    }
    let (ended, bytes) = pack_meanwhile(&bench, || ());
    assert_eq!(ended.code(), Some(0));
    bench.feed("verify -", &bytes).silent(0);
}

#[test]
fn a_stdout_that_is_an_input_is_refused() {
    let bench = Bench::fixture(FIXTURE);
    bench.write("vm.conf", "name=fbsd14\n");
    let names = ["vm.ckp", "vm.ckp.kern", "vm.ckp.meta", "vm.conf"];
    let before = names.map(|name| bench.read(name));
    for name in names {
        for force in ["", "--force"] {
            let pack = format!("$S pack vm.ckp --config vm.conf -o - {force}");
            let ended = bench.sh(&format!("{pack} >>{name}"));
            assert!(
                ended.trouble().contains("stdout is one of the files that are read"),
                "{ended:?}"
            );
            bench.sh(&format!("{pack} 1<>{name}")).trouble();
            bench.sh(&format!("{pack} -o /dev/stdout 1<>{name}")).trouble();
        }
    }
    assert!(names.map(|name| bench.read(name)) == before);
}

#[test]
fn the_identities_go_where_the_snapshot_does_not() {
    let bench = Bench::fixture(FIXTURE);
    let (_, content) = bench.pack("", "a.snap");
    for output in ["-", "/dev/stdout"] {
        let script = format!("$S pack vm.ckp -o {output} | $S verify --json -");
        let ended = bench.sh(&script);
        let object: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((ended.code(), &object["content"]), (Some(0), &content.as_str().into()));
        let root = object["root"].as_str().unwrap();
        let notes =
            format!("snaptool: note: root     {root}\nsnaptool: note: content  {content}\n");
        assert_eq!(ended.stderr, notes);
    }
    bench.sh("$S pack vm.ckp -o - --quiet | $S verify -").silent(0);
}

#[test]
fn a_named_pipe_serves_as_input_and_output() {
    let bench = Bench::fixture(FIXTURE);
    let fifo = bench.fifo("fifo");
    let child = bench.command("pack vm.ckp -o fifo").spawn().unwrap();
    bench.write("a.snap", fs::read(&fifo).unwrap());
    assert_eq!(Ended::waited(child).code(), Some(0));
    bench.run("verify a.snap").silent(0);

    for command in ["verify fifo", "unpack fifo -o b"] {
        let fifo = bench.fifo("fifo");
        let child = bench.command(command).spawn().unwrap();
        let mut writer = File::options().write(true).open(&fifo).unwrap();
        writer.write_all(&bench.read("a.snap")).unwrap();
        drop(writer);
        Ended::waited(child).silent(0);
    }
    bench.assert_same_set("vm.ckp", "b");
}

#[test]
fn a_partial_check_of_a_pipe_is_refused_with_a_hint() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    let bytes = bench.read("a.snap");
    for check in ["--quick", "--map"] {
        let ended = bench.feed(&format!("verify {check} -"), &bytes);
        assert!(ended.trouble().contains("snaptool: hint: leave out --quick"), "{ended:?}");
        // A file on stdin is no pipe.
        bench.sh(&format!("$S verify {check} - <a.snap")).silent(0);
    }
    assert!(!bench.run("verify --quick /dev/null").trouble().contains("is a pipe"));
}

#[test]
fn one_input_can_be_named_twice_if_it_is_a_file() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    bench.sh("$S verify - - <a.snap && $S verify a.snap a.snap").silent(0);
    let ended = bench.sh("cat a.snap | $S verify - -");
    assert_eq!(ended.code(), Some(1));
    assert!(ended.stdout.starts_with("stdin: header block, offset 0x0: "), "{ended:?}");
}

#[test]
fn a_snapshot_written_to_a_closed_stdout_is_no_success() {
    let bench = Bench::fixture(FIXTURE);
    let ended = bench.sh("$S pack vm.ckp -o - >&-");
    assert!(ended.trouble().contains("stdout is closed"), "{ended:?}");
    // To throw it away is a choice that one can make.
    bench.sh("$S pack vm.ckp -q -o - >/dev/null").silent(0);
    let status = bench.command("pack vm.ckp -o -").stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
}

#[test]
fn closed_descriptors_never_become_part_of_a_file() {
    let bench = Bench::fixture(FIXTURE);
    for closed in [">&-", "<&- >&-", "2>&-", "<&- >&- 2>&-"] {
        let ended = bench.sh(&format!("$S pack vm.ckp -o a.snap {closed} && $S verify a.snap"));
        assert_eq!(ended.code(), Some(0), "{closed}: {ended:?}");
        let unpack = "$S unpack a.snap -o b";
        let ended = bench.sh(&format!("rm -f b*; {unpack} {closed}; {unpack} {closed}"));
        assert_eq!((ended.code(), ended.stdout.as_str()), (Some(2), ""), "{closed}");
        bench.assert_same_set("vm.ckp", "b");
    }
    for command in ["verify -", "unpack - -o c", "inspect -", "nvlist -"] {
        let ended = bench.sh(&format!("$S {command} <&-"));
        assert!(ended.trouble().contains("stdin is closed"), "{command}: {ended:?}");
        assert_eq!(bench.sh(&format!("$S {command} </dev/null")).code(), Some(1), "{command}");
    }
    bench.sh("$S verify a.snap <&- >&- 2>&-").silent(0);
    bench.sh("$S verify vm.ckp.kern >&- 2>&-").silent(1);
    bench.sh("$S verify nope >&- 2>&-").silent(2);
}

#[test]
fn a_full_stdout_is_trouble() {
    if !std::path::Path::new("/dev/full").exists() {
        println!("skipped: there is no /dev/full here");
        return;
    }
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    bench.write("empty", "");
    for command in
        ["pack vm.ckp -o -", "verify --json a.snap", "verify empty", "pack vm.ckp -o /dev/full"]
    {
        let ended = bench.sh(&format!("$S {command} >/dev/full"));
        assert!(ended.trouble().contains("No space left on device"), "{command}: {ended:?}");
    }
}

#[test]
fn devices_and_files_without_bytes_are_no_snapshots() {
    let bench = Bench::in_memory();
    bench.write("empty", "");
    for input in ["/dev/null", "/dev/zero", "empty"] {
        let ended = bench.run(&format!("verify {input}"));
        assert_eq!((ended.code(), ended.stderr.as_str()), (Some(1), ""));
        assert!(ended.stdout.starts_with(&format!("{input}: header block, offset 0x0: ")));
        let unpacked = bench.run(&format!("unpack {input} -o b"));
        let empty = input != "/dev/zero";
        for words in [ended.stdout.as_str(), unpacked.refusal()] {
            assert_eq!(words.contains(": it is empty\n"), empty, "{words}");
            assert!(!words.contains("copy"), "{words}");
        }
        bench.run(&format!("pack {input}")).trouble();
        assert_eq!(bench.names(), ["empty"]);
    }
}
