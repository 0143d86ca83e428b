//! Every message of `bhyve-primitives.md`, its errors, and servers that have none of it, over real
//! sockets.

// A test may stop at what it does not expect, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use migrate::bhyve::primitives::{Client, Doing, Failed, Offer, Vm, VmError};
use migrate::bhyve::{Protocol, Unsent};
use migrate::msgio::{Bounds, Deadline, recv, send};
use migrate::vm::{Changed, Mark, Running, Source};
use snapfmt::nvlist::{Builder, Nvlist, OwnedValue};
use tests::fake_bhyve::{Conduct, FakeBhyve, Trouble, VM, Version};

const PAGE: u64 = 4096;
const HIGH: u64 = 1 << 32;

fn version(primitives: bool, answers: bool, protocol: Protocol) -> Version {
    Version { protocol, answers, primitives }
}

fn server() -> FakeBhyve {
    let newest = version(true, true, Protocol::StreamDirectory);
    FakeBhyve::start(newest, Conduct::Obeys)
}

fn client(bhyve: &FakeBhyve) -> Client {
    let patience = Duration::from_secs(30);
    Client { run_dir: bhyve.run_dir().to_owned(), vm: VM.to_owned(), patience }
}

fn offer(bhyve: &FakeBhyve) -> Offer {
    client(bhyve).offer().unwrap().expect("primitives")
}

/// A refusal's code, what it concerns, and what the guest does.
fn refused<T: std::fmt::Debug>(result: Result<T, Failed>) -> (String, String, Doing) {
    let failed = result.unwrap_err();
    let refusal = failed.refusal().unwrap_or_else(|| panic!("{failed}")).clone();
    (refusal.code, refusal.what.unwrap_or_default(), refusal.guest)
}

fn words(code: &str, what: &str, guest: Doing) -> (String, String, Doing) {
    (code.to_owned(), what.to_owned(), guest)
}

#[test]
fn an_offer_says_where_memory_is_and_hands_it_over() {
    let bhyve = server();
    bhyve.machine().write(HIGH + 2 * PAGE, 0x77);
    let offer = offer(&bhyve);
    let segments: Vec<_> = offer.map.segments().iter().map(|s| (s.gpa, s.len)).collect();
    assert_eq!(segments, [(0, 11 * PAGE), (HIGH, 8 * PAGE)]);
    assert_eq!(offer.offset(HIGH + 2 * PAGE), Some((13 * PAGE, 6 * PAGE)));
    assert_eq!((offer.offset(11 * PAGE), offer.offset(HIGH + 8 * PAGE)), (None, None));
    let mut byte = [0];
    rustix::io::pread(offer.memory.unwrap(), &mut byte, 13 * PAGE).unwrap();
    assert_eq!((byte, offer.guest), ([0x77], Doing::Running));
}

#[test]
fn a_bhyve_without_primitives_is_found_out_and_nothing_happens_to_it() {
    for protocol in Protocol::ALL {
        for answers in [false, true] {
            let bhyve = FakeBhyve::start(version(false, answers, protocol), Conduct::Obeys);
            assert!(client(&bhyve).offer().unwrap().is_none(), "{protocol:?} {answers}");
            let machine = bhyve.machine();
            assert!(machine.alive && machine.guest == Doing::Running);
        }
    }
    let bhyve = server();
    let newer = Nvlist::builder().number("primitives", 2).string("guest", "running");
    bhyve.machine().trouble = Trouble::Instead(newer.build().unwrap());
    assert!(client(&bhyve).offer().unwrap().is_none(), "another version");
}

#[test]
fn nobody_who_listens_is_not_a_bhyve_without_primitives() {
    let bhyve = server();
    let client = client(&bhyve);
    drop(bhyve);
    assert!(matches!(client.offer(), Err(Failed::Unsent(Unsent::Nobody { .. }))));
}

#[test]
fn a_device_that_forbids_primitives_is_named() {
    let bhyve = server();
    bhyve.machine().trouble = Trouble::Device("passthru@pci.0.5.0");
    let wanted = words("EOPNOTSUPP", "passthru@pci.0.5.0", Doing::Running);
    assert_eq!(refused(client(&bhyve).offer()), wanted);
}

fn dirty(bhyve: &FakeBhyve, since: Mark) -> (Mark, Vec<(u64, u64)>) {
    let dirty = client(bhyve).dirty(since, &offer(bhyve).map).unwrap();
    let runs = dirty.written.runs().map(|run| (run.gpa, run.len / PAGE)).collect();
    (dirty.mark, runs)
}

#[test]
fn dirty_tells_what_was_written_between_two_marks_and_nothing_else() {
    let bhyve = server();
    bhyve.machine().write(0, 1);
    let first = client(&bhyve).mark().unwrap();
    assert_eq!(dirty(&bhyve, first).1, []);
    let (second, _) = dirty(&bhyve, first);
    for gpa in [PAGE, 2 * PAGE + 5, 10 * PAGE, HIGH] {
        bhyve.machine().write(gpa, 2);
    }
    let (third, runs) = dirty(&bhyve, second);
    assert_eq!(runs, [(PAGE, 2), (10 * PAGE, 1), (HIGH, 1)]);
    bhyve.machine().write(HIGH + 7 * PAGE, 3);
    assert_eq!(dirty(&bhyve, third).1, [(HIGH + 7 * PAGE, 1)]);
    assert!(first < second && second < third);
}

#[test]
fn a_reply_that_is_lost_can_be_had_again_and_no_page_is() {
    let bhyve = server();
    let first = client(&bhyve).mark().unwrap();
    bhyve.machine().write(PAGE, 1);
    bhyve.machine().trouble = Trouble::ReplyLost;
    let lost = client(&bhyve).dirty(first, &offer_after(&bhyve).map).unwrap_err();
    assert!(matches!(lost, Failed::NoReply(_)), "{lost}");
    bhyve.machine().write(5 * PAGE, 1);
    let (second, runs) = dirty(&bhyve, first);
    assert_eq!(runs, [(PAGE, 1), (5 * PAGE, 1)]);
    // And again: a round that failed after its reply.
    assert_eq!(dirty(&bhyve, first).1, [(PAGE, 1), (5 * PAGE, 1)]);
    let map = offer(&bhyve).map;
    let stale = refused(client(&bhyve).dirty(second, &map));
    assert_eq!(stale, words("ESTALE", "since", Doing::Running));
}

/// An offer that leaves the next trouble in place.
fn offer_after(bhyve: &FakeBhyve) -> Offer {
    let trouble = std::mem::take(&mut bhyve.machine().trouble);
    let offer = offer(bhyve);
    bhyve.machine().trouble = trouble;
    offer
}

#[test]
fn marks_that_were_forgotten_are_stale() {
    let bhyve = server();
    let map = offer(&bhyve).map;
    let stale = words("ESTALE", "since", Doing::Running);
    assert_eq!(refused(client(&bhyve).dirty(Mark(0), &map)), stale);
    let first = client(&bhyve).mark().unwrap();
    let second = client(&bhyve).mark().unwrap();
    assert_eq!(refused(client(&bhyve).dirty(first, &map)), stale);
    assert!(client(&bhyve).dirty(second, &map).is_ok());
    client(&bhyve).stop_watching().unwrap();
    assert_eq!(refused(client(&bhyve).dirty(second, &map)), stale);
}

#[test]
fn suspend_writes_the_device_state_and_keeps_the_process() {
    let bhyve = server();
    let directory = tempfile::tempdir().unwrap();
    let open = File::open(&directory).unwrap();
    let suspend = |name| client(&bhyve).suspend(open.as_fd(), name);
    suspend("a").unwrap();
    let mut names: Vec<_> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.kern", "a.meta"], "and no memory");
    assert_eq!(offer(&bhyve).guest, Doing::Suspended);
    assert_eq!(refused(suspend("a")), words("EEXIST", "filename", Doing::Suspended));
    suspend("b").unwrap();
    client(&bhyve).resume().unwrap();
    assert_eq!(refused(client(&bhyve).resume()), words("EALREADY", "guest", Doing::Running));
    assert_eq!(refused(client(&bhyve).destroy()), words("EBUSY", "guest", Doing::Running));
    suspend("c").unwrap();
    client(&bhyve).destroy().unwrap();
    assert!(!bhyve.machine().alive);
}

#[test]
fn a_suspend_that_fails_says_what_the_guest_does() {
    for guest in [Doing::Running, Doing::Lost] {
        let bhyve = server();
        bhyve.machine().trouble = Trouble::Full(guest);
        let root = File::open("/").unwrap();
        let failed = refused(client(&bhyve).suspend(root.as_fd(), "a"));
        assert_eq!(failed, words("ENOSPC", ".kern", guest));
    }
}

#[test]
fn names_that_are_none_are_refused() {
    let bhyve = server();
    let root = File::open("/").unwrap();
    for name in ["", "a/b", "..", &"n".repeat(251)] {
        let failed = refused(client(&bhyve).suspend(root.as_fd(), name));
        assert_eq!(failed, words("EINVAL", "filename", Doing::Running));
    }
}

#[test]
fn requests_are_as_long_as_the_specification_says_and_have_no_pairs_of_their_own() {
    let bhyve = server();
    let map = offer(&bhyve).map;
    let mark = client(&bhyve).mark().unwrap();
    client(&bhyve).dirty(mark, &map).unwrap();
    let requests = &bhyve.machine().requests;
    let [primitives, first, since] = requests.as_slice() else { panic!("{requests:?}") };
    let names = |list: &Nvlist| -> Vec<String> {
        list.pairs().iter().map(|p| String::from_utf8_lossy(&p.name).into_owned()).collect()
    };
    assert_eq!((names(primitives), primitives.packed_len()), (vec!["cmd".to_owned()], 53));
    assert_eq!(names(first), ["cmd"]);
    assert_eq!((names(since), since.packed_len()), (vec!["cmd".into(), "since".into()], 81));
}

#[test]
fn replies_are_as_long_as_the_specification_says() {
    let bhyve = server();
    let cmd = |cmd: &str| Nvlist::builder().string("cmd", cmd);
    assert_eq!(raw(&bhyve, cmd("primitives")).packed_len(), 287 + 135);
    let Mark(mark) = client(&bhyve).mark().unwrap();
    // Two bytes for 11 pages, and one for 8.
    let reply = raw(&bhyve, cmd("dirty").number("since", mark));
    assert_eq!(reply.packed_len(), 205 + 96 + 3);
}

/// What a server says to a request that the client would not make.
fn raw(bhyve: &FakeBhyve, request: Builder) -> Nvlist {
    let stream = UnixStream::connect(bhyve.run_dir().join(VM)).unwrap();
    let soon = Deadline::after(Duration::from_secs(30));
    send(&stream, &request.build().unwrap(), &[], soon).unwrap();
    recv(&stream, Bounds::default(), soon).unwrap().into_list()
}

#[test]
fn pairs_and_commands_that_are_not_known_are_refused_by_name() {
    let bhyve = server();
    let cmd = |cmd: &str| Nvlist::builder().string("cmd", cmd);
    let code = |request| match raw(&bhyve, request).get("code") {
        Some(OwnedValue::String(code)) => String::from_utf8(code.clone()).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(code(cmd("resume").boolean("now", true)), "EINVAL");
    assert_eq!(code(cmd("dirty").string("since", "1")), "EINVAL");
    assert_eq!(code(cmd("dirty").number("since", 1).boolean("stop", true)), "EINVAL");
    assert_eq!(code(cmd("suspend").string("filename", "a")), "EINVAL");
    assert_eq!(code(cmd("migrate")), "EOPNOTSUPP");
}

#[test]
fn replies_that_cannot_be_are_refused() {
    let bhyve = server();
    let map = offer(&bhyve).map;
    let since = client(&bhyve).mark().unwrap();
    let reply = || Nvlist::builder().string("guest", "running");
    let part = |gpa, bitmap: &[u8]| Nvlist::builder().number("gpa", gpa).binary("bitmap", bitmap);
    let good = |mark| reply().number("mark", mark);
    let dirty = |parts: Vec<Builder>| good(u64::MAX).nvlist_array("dirty", parts);
    let bad = [
        ("guest", reply_of("asleep")),
        ("guest", Nvlist::builder().number("mark", 1)),
        ("code", reply().string("error", "no")),
        ("error", reply().number("error", 1).string("code", "EIO")),
        ("mark", reply()),
        ("dirty", good(u64::MAX)),
        ("mark", good(since.0).nvlist_array("dirty", [part(0, &[0, 0]), part(HIGH, &[0])])),
        ("gpa", dirty(vec![part(PAGE, &[0, 0]), part(HIGH, &[0])])),
        ("bitmap", dirty(vec![part(0, &[0, 8]), part(HIGH, &[0])])),
        ("bitmap", dirty(vec![part(0, &[0]), part(HIGH, &[0])])),
        ("bitmap", dirty(vec![part(0, &[0, 0])])),
        ("dirty", dirty(vec![part(0, &[0, 0]), part(HIGH, &[0]), part(0, &[0])])),
    ];
    for (wanted, bad) in bad {
        bhyve.machine().trouble = Trouble::Instead(bad.build().unwrap());
        let failed = client(&bhyve).dirty(since, &map).unwrap_err();
        assert!(matches!(failed, Failed::Garbled(what) if what == wanted), "{wanted}: {failed}");
    }
    bhyve.machine().trouble = Trouble::Garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
    assert!(matches!(client(&bhyve).offer(), Err(Failed::NoReply(_))));
    bhyve.machine().trouble = Trouble::Instead(reply_of("suspended").build().unwrap());
    assert!(matches!(client(&bhyve).resume(), Err(Failed::Garbled("guest"))));
}

fn reply_of(guest: &str) -> Builder {
    Nvlist::builder().string("guest", guest)
}

#[test]
fn offers_that_cannot_be_are_refused() {
    let bhyve = server();
    let segment = |gpa, len, offset| {
        Nvlist::builder().number("gpa", gpa).number("len", len).number("offset", offset)
    };
    let bad = [
        vec![segment(1, PAGE, 0)],
        vec![segment(0, 0, 0)],
        vec![segment(PAGE, PAGE, 0), segment(0, PAGE, PAGE)],
        vec![segment(0, PAGE, 7)],
        vec![segment(0, PAGE, u64::MAX - PAGE + 1)],
        vec![segment(1 << 52, PAGE, 0)],
        (0..65).map(|n| segment(n * 2 * PAGE, PAGE, 0)).collect(),
        vec![Nvlist::builder().number("gpa", 0)],
    ];
    for bad in bad {
        let reply = reply_of("running").number("primitives", 1).nvlist_array("segments", bad);
        bhyve.machine().trouble = Trouble::Instead(reply.build().unwrap());
        assert!(matches!(client(&bhyve).offer(), Err(Failed::Garbled(_))));
    }
}

#[test]
fn what_a_server_says_cannot_write_on_a_terminal() {
    let bhyve = server();
    let reply = reply_of("running").string("error", "\x1b[2J").string("code", "E\n");
    bhyve.machine().trouble = Trouble::Instead(reply.build().unwrap());
    let said = client(&bhyve).resume().unwrap_err().to_string();
    assert_eq!(said, "\\x1b[2J (E\\n; the guest is running)");
}

fn vm(bhyve: &FakeBhyve, directory: &tempfile::TempDir) -> Vm {
    Vm::new(client(bhyve), offer(bhyve), directory.path()).unwrap()
}

/// All of its memory, as one file.
fn whole(vm: &mut Vm) -> Vec<u8> {
    let mut all = Vec::new();
    for segment in vm.memory().segments().to_vec() {
        let mut bytes = vec![0; usize::try_from(segment.len).unwrap()];
        vm.read(segment.gpa, &mut bytes).unwrap();
        all.extend(bytes);
    }
    all
}

#[test]
fn a_move_by_rounds_has_every_page_as_it_was_when_the_guest_stopped() {
    let bhyve = server();
    let directory = tempfile::tempdir().unwrap();
    let mut vm = vm(&bhyve, &directory);
    assert_eq!((vm.cost().running, vm.cost().pause.whole), (Running::Logged, None));
    bhyve.machine().write(7 * PAGE, 1);
    let mut mark = vm.mark().unwrap();
    let mut copy = whole(&mut vm);
    for round in 1..4 {
        bhyve.machine().write(u64::from(round) * PAGE, round);
        bhyve.machine().write(HIGH + u64::from(round) * PAGE, round);
        mark = fetch(&mut vm, mark, &mut copy);
    }
    bhyve.machine().write(9 * PAGE, 9);
    let state = vm.suspend().unwrap();
    assert_eq!(state.kern.len(), 425);
    assert_ne!(copy, bhyve.machine().memory());
    mark = fetch(&mut vm, mark, &mut copy);
    assert_eq!(copy, bhyve.machine().memory());
    let Changed::Exact(rest) = vm.changed(mark).unwrap().1 else { panic!("exact") };
    assert_eq!(rest.pages(), 0, "nothing changes any more");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "read, and its names removed");
    vm.destroy().unwrap();
}

/// Copies what changed into `copy`, and gives the new mark.
fn fetch(vm: &mut Vm, since: Mark, copy: &mut [u8]) -> Mark {
    let (mark, changed) = vm.changed(since).unwrap();
    let Changed::Exact(written) = changed else { panic!("exact") };
    for run in written.runs() {
        let at = if run.gpa < HIGH { run.gpa } else { run.gpa - HIGH + 11 * PAGE };
        let at = usize::try_from(at).unwrap();
        let len = usize::try_from(run.len).unwrap();
        vm.read(run.gpa, &mut copy[at..at + len]).unwrap();
    }
    mark
}

#[test]
fn a_rehearsal_leaves_the_guest_running_also_if_its_reply_is_lost() {
    let bhyve = server();
    let directory = tempfile::tempdir().unwrap();
    let mut vm = vm(&bhyve, &directory);
    let state = vm.checkpoint().unwrap();
    assert!(state.meta.starts_with(b"{") && bhyve.machine().guest == Doing::Running);
    bhyve.machine().trouble = Trouble::ReplyLost;
    assert!(matches!(vm.checkpoint(), Err(VmError::Command(Failed::NoReply(_)))));
    assert_eq!(bhyve.machine().guest, Doing::Running);
    bhyve.machine().trouble = Trouble::Full(Doing::Running);
    assert!(matches!(vm.checkpoint(), Err(VmError::Command(Failed::Refused(_)))));
}

#[test]
fn a_mark_that_is_stale_is_a_scan_and_no_error() {
    let bhyve = server();
    let directory = tempfile::tempdir().unwrap();
    let mut vm = vm(&bhyve, &directory);
    let (mark, changed) = vm.changed(Mark(1)).unwrap();
    assert_eq!(changed, Changed::Scan);
    assert!(matches!(vm.changed(mark).unwrap().1, Changed::Exact(_)));
}

#[test]
fn memory_is_read_only_where_there_is_some() {
    let bhyve = server();
    let directory = tempfile::tempdir().unwrap();
    let mut vm = vm(&bhyve, &directory);
    let mut two = vec![0; 8192];
    for gpa in [10 * PAGE, 11 * PAGE, HIGH - PAGE, HIGH + 7 * PAGE, u64::MAX] {
        assert!(matches!(vm.read(gpa, &mut two), Err(VmError::Range { .. })), "{gpa:#x}");
    }
    let mut offer = offer(&bhyve);
    offer.memory = None;
    let none = Vm::new(client(&bhyve), offer, directory.path());
    assert!(matches!(none, Err(VmError::NoMemory)));
}
