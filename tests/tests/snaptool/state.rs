//! Rules of device state at the command line: what is said of it, in which order, to whom.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use snapfmt::bhyve::Meta;
use snapfmt::state::host::{Hex, HostFacts};
use snapfmt::state::rules::Machine;
use tests::fixtures::fixtures;

use crate::kit::{Bench, FIXTURE, LARGE};
use crate::verdicts::object;

/// What `dd if=/dev/zero bs=1K count=1 conv=notrunc of=vm.ckp.kern` does.
pub(crate) fn zero_first_kib(bench: &Bench) {
    let kern = File::options().write(true).open(bench.path("vm.ckp.kern")).unwrap();
    kern.write_all_at(&[0; 1024], 0).unwrap();
}

#[test]
fn a_zeroed_kern_is_refused_with_guest_xcr0_and_a_host_panic_in_the_first_line() {
    for name in fixtures() {
        let bench = Bench::fixture(name);
        zero_first_kib(&bench);
        let ended = bench.run("verify vm.ckp");
        assert_eq!(ended.code(), Some(1), "{name}");
        let mut lines = ended.stdout.lines();
        let first = lines.next().unwrap();
        assert!(first.starts_with("vm.ckp: kern record vm at 0x134: "), "{name}: {first}");
        assert!(first.contains("guest_xcr0 of vcpu 0 is 0x0: the host panics"), "{name}: {first}");
        assert!(first.ends_with(" [xcr0-loadable]"), "{name}: {first}");
        let second = lines.next().unwrap();
        assert!(second.contains("general protection fault while in kernel mode"), "{second}");

        let object = object(&bench.run("verify --json vm.ckp").stdout);
        let finding = &object["findings"][0];
        for (pair, value) in [
            ("verdict", "fail"),
            ("about", "state"),
            ("rule", "xcr0-loadable"),
            ("severity", "panic"),
            ("evidence", "source"),
            ("section", "kern"),
            ("record", "vm"),
            ("field", "vcpu->guest_xcr0"),
            ("value", "0"),
        ] {
            assert_eq!(finding[pair], value, "{name}: {pair}");
        }
        for (pair, value) in [
            ("vcpu", 0),
            ("offset", 0x134),
            ("record_offset", 24),
            ("length", 8),
            ("occurrence", 0),
        ] {
            assert_eq!(finding[pair], value, "{name}: {pair}");
        }
    }
}

#[test]
fn evidence_is_packed_loudly_and_refused_by_everything_after() {
    let bench = Bench::fixture(FIXTURE);
    zero_first_kib(&bench);
    let ended = bench.run("pack vm.ckp -o a.snap");
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.starts_with("snaptool: warning: vm.ckp: kern record vm"), "{ended:?}");
    assert!(ended.stderr.contains("guest_xcr0") && ended.stderr.contains("`unpack` refuses it"));
    for check in ["", "--quick", "--map"] {
        let ended = bench.run(&format!("verify {check} a.snap"));
        assert_eq!(ended.code(), Some(1));
        assert!(ended.stdout.lines().next().unwrap().contains("guest_xcr0"), "{ended:?}");
    }
    assert_eq!(bench.feed("verify -", &bench.read("a.snap")).code(), Some(1));
    let before = bench.names();
    assert!(bench.run("unpack a.snap -o b").refusal().contains("guest_xcr0"));
    assert_eq!(bench.names(), before);
}

#[test]
fn good_files_are_passed_in_silence_and_what_belongs_to_their_host_is_a_note() {
    for name in fixtures().iter().filter(|name| **name != LARGE) {
        let bench = Bench::fixture(name);
        let packed = bench.run("pack vm.ckp -o a.snap");
        assert_eq!(packed.code(), Some(0), "{name}: {packed:?}");
        let bytes = bench.read("a.snap");
        let mut said = Vec::new();
        for line in
            ["verify vm.ckp", "verify a.snap", "verify --quick a.snap", "unpack a.snap -o b"]
        {
            let ended = bench.run(line);
            assert_eq!((ended.code(), ended.stdout.as_str()), (Some(0), ""), "{name}: {ended:?}");
            said.push(ended.stderr.lines().count());
        }
        assert_eq!(bench.feed("verify -", &bytes).code(), Some(0));
        let most = if name.contains("amd") { 2 } else { 0 };
        assert_eq!(said, [most; 4], "{name}");
        // What warns fails those who want to know.
        let strict = bench.run("verify --strict vm.ckp a.snap");
        assert_eq!(strict.code(), Some(i32::from(most > 0)), "{name}: {strict:?}");
        assert_eq!(bench.run("unpack --strict a.snap -o c").code(), Some(i32::from(most > 0)));
    }
}

#[test]
fn a_record_that_nobody_knows_is_named_as_not_checked_and_fails_the_strict() {
    let bench = Bench::fixture(FIXTURE);
    bench.edit("vm.ckp.meta", "lpc@pci.0.31.0", "xyz@pci.0.31.0");
    bench.run("pack vm.ckp -o a.snap");
    for input in ["vm.ckp", "a.snap"] {
        let ended = bench.run(&format!("verify {input}"));
        assert_eq!((ended.code(), ended.stdout.as_str()), (Some(0), ""));
        let unknown = "xyz@pci.0.31.0 at 0x14047: not checked: no layout is known";
        assert!(ended.stderr.contains(unknown), "{ended:?}");
        let object = object(&bench.run(&format!("verify --json {input}")).stdout);
        assert!(object["not_checked"].to_string().contains("xyz@pci.0.31.0"));
        let ended = bench.run(&format!("verify --strict {input}"));
        assert_eq!(ended.code(), Some(1));
        assert!(ended.stdout.contains("not checked: no layout is known"), "{ended:?}");
    }
    assert_eq!(bench.run("unpack a.snap -o b").code(), Some(0));
    bench.run("unpack --strict a.snap -o c").refusal();
}

/// Where the first queue of the disk has its rings in guest memory.
fn ring(bench: &Bench) -> u64 {
    let meta = Meta::parse(&bench.read("vm.ckp.meta")).unwrap();
    let kern = bench.read("vm.ckp.kern");
    let machine = Machine::from_kern(&meta, &kern);
    let disk = machine.family("virtio-blk").next().unwrap();
    let queue = disk.fields.root().groups("queues").next().unwrap();
    queue.u64("vq->vq_desc").unwrap()
}

#[test]
fn rings_are_held_against_memory_where_it_is_read_also_from_a_pipe() {
    let bench = Bench::fixture(FIXTURE);
    let at = ring(&bench);
    let ram = File::options().read(true).write(true).open(bench.path("vm.ckp")).unwrap();
    let mut byte = [0];
    ram.read_exact_at(&mut byte, at).unwrap();
    ram.write_all_at(&[!byte[0]], at).unwrap();
    bench.run("pack vm.ckp -o a.snap");
    let file = bench.read("a.snap");
    for ended in
        [bench.run("verify vm.ckp"), bench.run("verify a.snap"), bench.feed("verify -", &file)]
    {
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        assert!(ended.stdout.contains("[virtq-ring-image]"), "{ended:?}");
    }
    bench.run("unpack a.snap -o b").refusal();
    for check in ["--quick", "--map"] {
        let object = object(&bench.run(&format!("verify --json {check} a.snap")).stdout);
        assert_eq!(object["ok"], true);
        let words = object["not_checked"].to_string();
        assert!(words.contains("guest memory was not read: virtq-ring-image"), "{words}");
    }
}

#[test]
fn a_host_that_lacks_what_the_guest_uses_is_a_reason_to_refuse() {
    let bench = Bench::fixture(FIXTURE);
    bench.run("pack vm.ckp -o a.snap");
    let without = object(&bench.run("verify --json a.snap").stdout)["not_checked"].to_string();
    assert!(without.contains("facts of the host"), "{without}");
    let mut facts = HostFacts::new();
    facts.xcr0 = Some(Hex(1));
    bench.write("small.json", facts.to_json());
    for input in ["vm.ckp", "a.snap"] {
        let ended = bench.run(&format!("verify --host small.json {input}"));
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        assert!(ended.stdout.lines().next().unwrap().contains("[xcr0-host]"), "{ended:?}");
    }
    assert!(bench.run("unpack --host small.json a.snap -o b").refusal().contains("[xcr0-host]"));
    bench.write("none.json", "{}");
    bench.run("verify --host none.json a.snap").trouble();
    bench.run("unpack --host nope a.snap -o b").trouble();
}
