//! Hosts with supervisors, and without.

use super::*;
use crate::system::made_up::MadeUp;

const PS: &str = "/bin/ps -axww -o pid=,ppid=,command=";

fn with(ps: &'static str) -> MadeUp {
    MadeUp { name: "FreeBSD", says: [(PS, ps)].into(), ..MadeUp::default() }
}

fn kinds(system: &MadeUp) -> Vec<Kind> {
    detect(system, "web", Vm::Runs).into_iter().map(|found| found.kind).collect()
}

#[test]
fn supervisors_that_name_the_vm_are_found_by_their_words() {
    for (ps, kind) in [
        ("9 1 /bin/sh /usr/local/sbin/vm _run web", Kind::VmBhyve),
        ("9 1 /bin/sh /s/share/bhyverun.sh -c /s/jails-system/web/bhyve.conf -e 1", Kind::Cbsd),
        ("9 1 sh /usr/share/examples/bhyve/vmrun.sh -c 2 -d disk.img web", Kind::Vmrun),
    ] {
        let found = detect(&with(ps), "web", Vm::Runs);
        assert_eq!(found.len(), 1, "{ps}");
        assert_eq!(found[0].kind, kind);
        assert!(found[0].to_string().contains("process 9: "), "{}", found[0]);
        assert_eq!(detect(&with(ps), "we", Vm::Runs), [], "{ps}");
    }
}

#[test]
fn what_started_a_vm_and_waits_for_it_is_found() {
    let parent = |words: &str| {
        let ps = format!("8 1 {words}\n9 8 bhyve: web (bhyve)\n10 1 /bin/sh /other.sh\n");
        kinds(&with(Box::leak(ps.into_boxed_str())))
    };
    assert_eq!(parent("/bin/sh /vm/loop.sh"), [Kind::Script]);
    assert_eq!(parent("daemon -f -r bhyve web"), [Kind::Daemon]);
    assert_eq!(parent("daemon -R 5 bhyve web"), [Kind::Daemon]);
    assert_eq!(parent("daemon: bhyve[9] (daemon)"), [Kind::Daemon]);
    assert_eq!(parent("daemon -p /pid -fr bhyve web"), [Kind::Daemon]);
    assert_eq!(parent("daemon --restart-delay 5 bhyve web"), [Kind::Daemon]);
    assert_eq!(parent("daemon -f -p r -o -r bhyve -r x web"), []);
    assert_eq!(parent("runsv web"), [Kind::Services]);
    for harmless in ["-sh (sh)", "bash", "zsh -i", "/sbin/init", "migrate recv", "daemon -f x"] {
        assert_eq!(parent(harmless), [], "{harmless}");
    }
}

#[test]
fn a_supervisor_is_found_behind_programs_that_only_pass_on() {
    let ps =
        "7 1 /bin/sh run.sh\n8 7 lockf -s l env A=1 nice bhyve\n9 8 /usr/sbin/bhyve -m 1G web\n";
    assert_eq!(kinds(&with(ps)), [Kind::Script]);
    // One that names the VM is not found twice.
    let ps = "7 1 /bin/sh /usr/local/sbin/vm _run web\n9 7 bhyve: web\n";
    assert_eq!(kinds(&with(ps)), [Kind::VmBhyve]);
    // Parents that go round come to an end.
    assert_eq!(kinds(&with("8 9 a\n9 8 bhyve: web\n")), []);
}

#[test]
fn supervisors_are_found_by_the_files_that_they_leave() {
    let system = MadeUp {
        files: [
            ("/etc/rc.conf", "vm_enable=\"YES\"\nvm_dir=\"zfs:tank/vm\"\nvm_list=\"db web\"\n"),
            ("/tank/vm/web/run.lock", "host\n"),
            ("/var/run/libvirt/bhyve/web.xml", "<domain/>"),
            ("/usr/local/etc/rc.d/mine", "bhyve -c 2 web\n"),
            ("/usr/local/etc/rc.d/other", "bhyve -c 2 web2\n"),
            ("/usr/local/etc/rc.d/nginx", "web\n"),
            ("/usr/local/etc/rc.d/vm", "bhyve web\n"),
        ]
        .into(),
        ..with("")
    };
    assert_eq!(kinds(&system), [Kind::VmBhyve, Kind::VmBhyve, Kind::Libvirt, Kind::Rc]);
    assert_eq!(detect(&system, "we", Vm::Runs), []);
    let plain = MadeUp {
        files: [("/etc/rc.conf", "vm_dir=/vm # here\n"), ("/vm/web/run.lock", "")].into(),
        ..with("")
    };
    assert_eq!(kinds(&plain), [Kind::VmBhyve]);
}

#[test]
fn a_vm_that_should_be_suspended_is_found_where_it_runs() {
    let system = MadeUp { others: vec!["/dev/vmm/web"], ..with("") };
    assert_eq!(kinds(&system), []);
    let found = detect(&system, "web", Vm::Suspended);
    assert_eq!(found[0].to_string(), "the VM is there already: /dev/vmm/web");
    for name in ["", "..", "../vmm/web", "a/b"] {
        assert_eq!(detect(&system, name, Vm::Suspended), [], "{name}");
    }
}

#[test]
fn processes_that_cannot_be_seen_are_no_proof_of_anything() {
    let blind = MadeUp { name: "FreeBSD", ..MadeUp::default() };
    let found = detect(&blind, "web", Vm::Runs);
    assert_eq!(found[0].to_string(), "processes cannot be seen: /bin/ps: not found");
    assert!(permit(&found, None).is_err());
}

#[test]
fn a_vm_is_not_moved_while_something_may_start_it_again_and_no_command_stops_that() {
    let found = detect(&with("9 1 /bin/sh /usr/local/sbin/vm _run web"), "web", Vm::Runs);
    let error = permit(&found, None).unwrap_err();
    assert!(error.to_string().contains("vm-bhyve starts it again"), "{error}");
    assert_eq!(permit(&found, Some(&Script::parse("service vm stop {}").unwrap())), Ok(()));
    assert_eq!(permit(&[], None), Ok(()));
}
