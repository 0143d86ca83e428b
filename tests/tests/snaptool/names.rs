//! Names that upset terminals, names that mean something else, and who may read what is written.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::kit::{Bench, FIXTURE, SET};

/// A name with a line end, an escape sequence and a byte that is no UTF-8; and as it is shown.
const HOSTILE: &[u8] = b"a\n\x1b[2J\xff";
const SHOWN: &str = "a\\n\\u{1b}[2J\\xff";

/// What a terminal must not see.
fn upsets(words: &str) -> bool {
    words.chars().any(|c| c.is_control() && c != '\n')
}

fn mode(bench: &Bench, name: &str) -> u32 {
    fs::metadata(bench.path(name)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn outputs_are_private_whatever_the_inputs_are() {
    for input in [0o600, 0o644, 0o666] {
        let bench = Bench::fixture(FIXTURE);
        for ending in SET {
            let path = bench.path(format!("vm.ckp{ending}"));
            fs::set_permissions(path, fs::Permissions::from_mode(input)).unwrap();
        }
        let ended = bench.sh("umask 0; $S pack vm.ckp -o a.snap && $S unpack a.snap -o b");
        assert_eq!(ended.code(), Some(0));
        for name in ["a.snap", "b", "b.kern", "b.meta"] {
            assert_eq!(mode(&bench, name), 0o600, "{name}");
        }
        // Replacing does not take over what the older one allowed.
        let open = fs::Permissions::from_mode(0o644);
        fs::set_permissions(bench.path("a.snap"), open).unwrap();
        bench.pack("", "a.snap");
        assert_eq!(mode(&bench, "a.snap"), 0o600);
    }
}

#[test]
fn hostile_file_names_work_and_are_shown_escaped() {
    let bench = Bench::fixture(FIXTURE);
    let name = |ending: &str| {
        let mut name = OsString::from(OsStr::from_bytes(HOSTILE));
        name.push(ending);
        name
    };
    for ending in SET {
        fs::rename(bench.path(format!("vm.ckp{ending}")), bench.path(name(ending))).unwrap();
    }
    let (base, snap, gone) = (name(""), name(".snap"), name(".gone"));
    let word = OsStr::new;
    for (args, code) in [
        (vec![word("pack"), &base], 0),
        (vec![word("verify"), &snap], 0),
        (vec![word("verify"), word("--json"), &snap, &base, &gone], 2),
        (vec![word("unpack"), &snap, word("-o"), word("b")], 0),
        (vec![word("unpack"), &snap, word("-o"), &base], 2),
        (vec![word("pack"), &base, word("-o"), &base], 2),
        (vec![word("pack"), &gone], 2),
        (vec![word("verify"), &gone], 2),
        (vec![word("nvlist"), &snap], 1),
        (vec![&base], 2),
        (vec![word("verify"), word("--expect-root"), &base, &snap], 2),
        (vec![word("pack"), word("x"), word("--compress"), word("\u{9b}2J\x1b[2J")], 2),
        (vec![word("\u{9b}2J\u{202e}")], 2),
    ] {
        let mut command = bench.command_of(&args);
        command.env("LANG", "C").env("LC_ALL", "C");
        let ended = crate::kit::Ended::of(command);
        assert_eq!(ended.code(), Some(code), "{args:?}: {ended:?}");
        assert!(!upsets(&ended.stdout) && !upsets(&ended.stderr), "{args:?}: {ended:?}");
    }
    let words = bench.run_of([word("verify"), &gone]).stderr;
    assert!(words.contains(SHOWN), "{words}");
    fs::write(bench.path(&snap), "damaged").unwrap();
    let ended = bench.run_of([word("verify"), &snap]);
    assert!(ended.stdout.starts_with(SHOWN) && !upsets(&ended.stdout), "{ended:?}");
}

#[test]
fn hostile_names_in_the_snapshot_are_shown_escaped() {
    let bench = Bench::fixture(FIXTURE);
    bench.edit("vm.ckp.meta", "\"fbsd14\"", r#""a\u001b[2J\nb\u009b""#);
    bench.edit("vm.ckp.meta", "\"lpc@pci.0.31.0\"", r#""\u001b[31m\nlpc""#);
    for line in [
        "pack vm.ckp -o a.snap",
        "verify vm.ckp",
        "verify a.snap",
        "verify --json a.snap",
        "unpack a.snap -o b",
    ] {
        let ended = bench.run(line);
        assert_eq!(ended.code(), Some(0), "{line}: {ended:?}");
        assert!(!upsets(&ended.stdout) && !upsets(&ended.stderr), "{line}: {ended:?}");
        assert!(line.contains("--json") || ended.stderr.contains("\\u{1b}"), "{line}: {ended:?}");
    }
    bench.assert_same_set("vm.ckp", "b");
    // Damage in the record with that name.
    let mut bytes = bench.read("a.snap");
    let at = bytes.windows(9).position(|window| window == b"\x1b[31m\nlpc").unwrap();
    bytes[at] ^= 1;
    bench.write("a.snap", &bytes);
    for line in ["verify a.snap", "verify --quick a.snap", "unpack a.snap -o c"] {
        let ended = bench.run(line);
        assert_eq!(ended.code(), Some(1), "{line}: {ended:?}");
        assert!(!upsets(&ended.stdout) && !upsets(&ended.stderr), "{line}: {ended:?}");
    }
}

#[test]
fn an_output_that_is_an_input_is_refused_even_by_force() {
    let bench = Bench::fixture(FIXTURE);
    symlink("vm.ckp", bench.path("link")).unwrap();
    fs::hard_link(bench.path("vm.ckp.kern"), bench.path("hard")).unwrap();
    let before: Vec<_> = SET.map(|ending| bench.read(&format!("vm.ckp{ending}"))).into();
    for output in ["vm.ckp", "vm.ckp.kern", "vm.ckp.meta", "./vm.ckp", "link", "hard"] {
        for force in ["", "--force"] {
            let ended = bench.run(&format!("pack vm.ckp -o {output} {force}"));
            assert!(ended.trouble().contains("is one of the files that are read"), "{ended:?}");
        }
    }
    let after: Vec<_> = SET.map(|ending| bench.read(&format!("vm.ckp{ending}"))).into();
    assert!(before == after);
}

#[test]
fn only_force_replaces_what_is_no_snapshot() {
    let bench = Bench::fixture(FIXTURE);
    bench.write("notes", "dear diary");
    let ended = bench.run("pack vm.ckp -o notes");
    assert!(ended.trouble().contains("hint: name another output, or replace it with --force"));
    assert_eq!(bench.read("notes"), b"dear diary");
    bench.pack("--force", "notes");
    bench.run("verify notes").silent(0);
    // An empty file is nothing to lose, and an older snapshot is what one wants to replace.
    bench.write("empty", "");
    bench.pack("", "empty");
    bench.pack("", "notes");
    bench.run("verify empty notes").silent(0);
}

#[test]
fn only_force_replaces_a_snapshot_of_another_vm_or_a_damaged_one() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    bench.edit("vm.ckp.meta", "\"fbsd14\"", "\"other\"");
    let old = bench.read("a.snap");
    let words = bench.run("pack vm.ckp -o a.snap").trouble().to_owned();
    assert!(words.contains("a.snap exists and is a snapshot of the VM fbsd14"), "{words}");
    assert!(words.contains("of other\nsnaptool: hint: name another output"), "{words}");
    assert!(bench.read("a.snap") == old);

    let mut damaged = old.clone();
    damaged[100] ^= 1;
    for bad in [damaged.as_slice(), &old[..4095], &old[..30]] {
        bench.write("bad.snap", bad);
        let words = bench.run("pack vm.ckp -o bad.snap").trouble().to_owned();
        assert!(words.contains("bad.snap exists and its header block is damaged"), "{words}");
        assert!(bench.read("bad.snap") == bad);
    }
    bench.pack("--force", "a.snap");
    bench.pack("-f", "bad.snap");
    bench.pack("", "a.snap");
    bench.run("verify a.snap bad.snap").silent(0);
}

#[test]
fn an_output_that_the_configuration_is_or_names_is_refused_even_by_force() {
    let bench = Bench::fixture(FIXTURE);
    bench.write("rom", "firmware");
    let rom = bench.path("rom");
    let config = format!("name=fbsd14\nbootrom={}\n", rom.to_str().unwrap());
    bench.write("vm.conf", &config);
    for output in ["vm.conf", "rom"] {
        for force in ["", "--force"] {
            let ended = bench.run(&format!("pack vm.ckp --config vm.conf -o {output} {force}"));
            assert!(ended.trouble().contains("is one of the files that are read"), "{ended:?}");
        }
    }
    assert_eq!((bench.read("vm.conf"), bench.read("rom")), (config.into(), b"firmware".to_vec()));
}

#[test]
fn a_disk_is_written_only_by_force() {
    let bench = Bench::fixture(FIXTURE);
    // Device number 7,199 is a disk that is not there, or not in use.
    if bench.sh("mknod disk b 7 199").code() != Some(0) {
        println!("skipped: no device can be made here");
        return;
    }
    let words = bench.run("pack vm.ckp -o disk").trouble().to_owned();
    assert!(words.contains("disk is a disk\nsnaptool: hint: name a file"), "{words}");
    assert!(words.contains("--force"), "{words}");
    let words = bench.run("pack vm.ckp -o disk --force").trouble().to_owned();
    assert!(words.contains("snaptool: error: cannot "), "{words}");
}

#[test]
fn links_are_followed_and_stay() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    symlink("a.snap", bench.path("link")).unwrap();
    bench.run("verify link").silent(0);
    bench.run("unpack link -o b").silent(0);
    bench.pack("", "link");
    assert!(bench.path("link").is_symlink());
    bench.run("verify a.snap").silent(0);
    for ending in SET {
        let target = format!("vm.ckp{ending}");
        symlink(target, bench.path(format!("other{ending}"))).unwrap();
    }
    bench.run("pack other -o o.snap -q").status.success().then_some(()).unwrap();
    bench.run("verify o.snap other").silent(0);

    symlink("nowhere", bench.path("dangling")).unwrap();
    bench.run("pack vm.ckp -o dangling").trouble();
    bench.run("unpack a.snap -o dangling").trouble();
    symlink("vm.ckp.meta", bench.path("c.meta")).unwrap();
    bench.run("unpack a.snap -o c").trouble();
    assert!(!bench.path("c").exists() && !bench.path("nowhere").exists());
}

#[test]
fn a_narrow_or_dumb_terminal_changes_no_answer() {
    let bench = Bench::fixture(FIXTURE);
    for columns in ["0", "5", "20", "99999999999999999999", "-1", "x"] {
        let script =
            format!("export TERM=dumb LANG=C COLUMNS={columns}; $S pack --help >/dev/null");
        bench.sh(&script).silent(0);
        bench.sh(&format!("COLUMNS={columns} $S verify nope")).trouble();
    }
    bench.sh("unset TERM COLUMNS HOME PATH; $S pack vm.ckp -qo - | $S verify -").silent(0);
}
