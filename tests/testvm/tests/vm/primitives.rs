//! The primitives of `spec/bhyve-primitives.md`, on a guest that runs.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use snapfmt::nvlist::{Builder, Nvlist, OwnedValue};
use tempfile::tempdir;
use testvm::control::wire::Message;
use testvm::guest::layout::PAGE;

use crate::kit::{MEMORY, Process, beats, said, skipped, wait};

fn cmd(name: &str) -> Builder {
    Nvlist::builder().string("cmd", name)
}

fn text(list: &Nvlist, name: &str) -> Option<String> {
    match list.get(name) {
        Some(OwnedValue::String(bytes)) => Some(String::from_utf8(bytes.clone()).unwrap()),
        _ => None,
    }
}

/// Demands that a command was done.
fn done(reply: Message, guest: &str) -> Message {
    assert_eq!(text(&reply.list, "error"), None);
    assert_eq!(text(&reply.list, "guest").as_deref(), Some(guest));
    reply
}

fn memory(process: &Process, guest: &str) -> File {
    let mut reply = done(process.request(cmd("primitives"), None), guest);
    assert_eq!(reply.list.get("primitives"), Some(&OwnedValue::Number(1)));
    let segment = Nvlist::builder().number("gpa", 0).number("len", MEMORY).number("offset", 0);
    let segments = OwnedValue::NvlistArray(vec![segment.build().unwrap()]);
    assert_eq!(reply.list.get("segments"), Some(&segments));
    File::from(reply.take("memory").unwrap())
}

/// A mark, and the pages that were written since another.
fn dirty(process: &Process, since: Option<u64>, guest: &str) -> (u64, Vec<u64>) {
    let request = cmd("dirty");
    let request = since.map_or(request.clone(), |since| request.number("since", since));
    let reply = done(process.request(request, None), guest);
    let Some(&OwnedValue::Number(mark)) = reply.list.get("mark") else { panic!("no mark") };
    let Some(OwnedValue::NvlistArray(segments)) = reply.list.get("dirty") else {
        assert_eq!(since, None);
        return (mark, Vec::new());
    };
    let Some(OwnedValue::Binary(bitmap)) = segments[0].get("bitmap") else { panic!("no bitmap") };
    assert_eq!(bitmap.len() as u64, MEMORY / PAGE / 8);
    let is_set = |page: &u64| bitmap[*page as usize / 8] >> (page % 8) & 1 == 1;
    (mark, (0..MEMORY / PAGE).filter(is_set).collect())
}

fn suspend(name: &str) -> Builder {
    cmd("suspend").string("filename", name).descriptor("fddir", 0)
}

fn refused(process: &Process, request: Builder, folder: Option<&Path>, code: &str, guest: &str) {
    let reply = process.request(request, folder).list;
    assert_eq!(text(&reply, "code").as_deref(), Some(code));
    assert_eq!(text(&reply, "guest").as_deref(), Some(guest));
    assert!(text(&reply, "error").is_some_and(|error| !error.is_empty()));
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn a_guest_goes_on_from_memory_that_was_copied_while_it_ran() {
    if skipped() {
        return;
    }
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let mut process = Process::start(folder, &["-c", "2", "-m", "1"]);
    for round in 0..5 {
        let before = [0, 1].map(|vcpu| beats(folder, vcpu).len());
        wait("reports", || (0..2).all(|vcpu| beats(folder, vcpu).len() > before[vcpu as usize]));
        let name = format!("vm-{round}");
        let ram = memory(&process, "running");
        let copy = File::create(folder.join(&name)).unwrap();
        copy.set_len(MEMORY).unwrap();
        let mut page = [0; PAGE as usize];
        let mut take = |pages: &[u64]| {
            for page_number in pages {
                ram.read_exact_at(&mut page, page_number * PAGE).unwrap();
                copy.write_all_at(&page, page_number * PAGE).unwrap();
            }
        };
        let (mut mark, _) = dirty(&process, None, "running");
        take(&(0..MEMORY / PAGE).collect::<Vec<_>>());
        for _ in 0..3 {
            let (next, written) = dirty(&process, Some(mark), "running");
            take(&written);
            mark = next;
        }
        done(process.request(suspend(&name), Some(folder)), "suspended");
        let (mark, written) = dirty(&process, Some(mark), "suspended");
        take(&written);
        assert_eq!(dirty(&process, Some(mark), "suspended").1, [0; 0]);
        done(process.request(cmd("destroy"), None), "suspended");
        assert_eq!(process.ended().code(), Some(0));
        process = Process::start(folder, &["-r", &name]);
    }
    for vcpu in 0..2 {
        let before = beats(folder, vcpu).len();
        wait("reports", || beats(folder, vcpu).len() > before);
        assert_eq!(beats(folder, vcpu).last().unwrap().violations, 0, "{}", said(folder, vcpu + 1));
    }
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn a_suspended_guest_stays_so_until_it_is_told_otherwise() {
    if skipped() {
        return;
    }
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let process = Process::start(folder, &["-m", "1"]);
    wait("a report", || !beats(folder, 0).is_empty());
    done(process.request(suspend("one"), Some(folder)), "suspended");
    let ram = memory(&process, "suspended");
    let all = || {
        let mut all = vec![0; MEMORY as usize];
        ram.read_exact_at(&mut all, 0).unwrap();
        all
    };
    let before = all();
    // Neither a second suspend nor a checkpoint lets it go on.
    done(process.request(suspend("two"), Some(folder)), "suspended");
    process.checkpoint(folder, "three", false);
    done(process.request(cmd("rate"), None), "suspended");
    assert_eq!(all(), before);
    assert_eq!(fs::read(folder.join("three")).unwrap(), before);
    let beat = beats(folder, 0).len();
    done(process.request(cmd("resume"), None), "running");
    wait("more reports", || beats(folder, 0).len() > beat + 1);
    assert_eq!(beats(folder, 0).last().unwrap().violations, 0);
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn what_is_refused_says_why_and_leaves_the_guest_as_it_was() {
    if skipped() {
        return;
    }
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let process = Process::start(folder, &["-m", "1"]);
    let running = |request, code| refused(&process, request, None::<&Path>, code, "running");
    running(cmd("reboot"), "EOPNOTSUPP");
    running(Nvlist::builder(), "EINVAL");
    running(cmd("primitives").null("more"), "EINVAL");
    running(cmd("dirty").number("since", 1), "ESTALE");
    running(cmd("dirty").string("since", "1"), "EINVAL");
    running(cmd("dirty").number("since", 1).boolean("stop", true), "EINVAL");
    running(cmd("suspend").string("filename", "x"), "EINVAL");
    running(cmd("resume"), "EALREADY");
    running(cmd("destroy"), "EBUSY");
    refused(&process, suspend("a/b"), Some(folder), "EINVAL", "running");
    let (mark, _) = dirty(&process, None, "running");
    done(process.request(cmd("dirty").boolean("stop", true), None), "running");
    running(cmd("dirty").number("since", mark), "ESTALE");
    // The second of the two files is there: the first does not stay.
    fs::write(folder.join("x.meta"), "").unwrap();
    refused(&process, suspend("x"), Some(folder), "EEXIST", "running");
    assert!(!folder.join("x.kern").exists());
    let before = beats(folder, 0).len();
    wait("more reports", || beats(folder, 0).len() > before + 1);
    done(process.request(suspend("y"), Some(folder)), "suspended");
    refused(&process, suspend("y"), Some(folder), "EEXIST", "suspended");
    assert!(folder.join("y.kern").exists());
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn a_stock_machine_passes_over_primitives() {
    if skipped() {
        return;
    }
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let process = Process::start(folder, &["-m", "1", "--stock"]);
    for command in ["primitives", "dirty", "resume"] {
        let mut answer = Vec::new();
        process.ask(cmd(command), None).read_to_end(&mut answer).unwrap();
        assert_eq!(answer, [0; 0]);
    }
    process.suspend(folder, "vm.ckp");
    assert_eq!(process.ended().code(), Some(0));
}
