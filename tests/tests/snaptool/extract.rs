//! `extract`: parts as they are, under names that bhyve does not resume.

use snapfmt::bhyve::{Meta, Section};
use snapfmt::read::Seeker;

use crate::kit::{Bench, FIXTURE};

#[test]
fn every_record_and_text_comes_out_of_either_form() {
    let bench = Bench::fixture(FIXTURE);
    bench.write("vm.conf", "name=vm\n");
    bench.run("pack vm.ckp --config vm.conf -o a.snap");
    let kern = bench.read("vm.ckp.kern");
    let meta = Meta::parse(&bench.read("vm.ckp.meta")).unwrap();
    for record in meta.records.iter().filter(|record| record.size > 0) {
        let (at, len) = (record.offset as usize, record.size as usize);
        for input in ["a.snap", "vm.ckp"] {
            let list = if record.section == Section::Kern { "kern_structs" } else { "devices" };
            let part = format!("{list}/{}", record.name);
            bench.run(&format!("extract {input} {part} -o part -f")).silent(0);
            assert_eq!(bench.read("part"), kern[at..at + len], "{input} {part}");
        }
    }
    for input in ["a.snap", "vm.ckp"] {
        bench.run(&format!("extract {input} meta")).silent(0);
        assert_eq!(bench.read(&format!("{input}.meta.raw")), bench.read("vm.ckp.meta"));
    }
    bench.run("extract a.snap config -o -").status.success().then_some(()).unwrap();
    assert_eq!(bench.run("extract a.snap config -o -").stdout, "name=vm\n");
    bench.run("extract a.snap header").silent(0);
    assert_eq!(bench.read("a.snap.header.raw"), bench.read("a.snap")[..4096]);
    for line in ["vm.ckp header", "vm.ckp config", "a.snap devices/nope", "vm.ckp devices/nope"] {
        bench.run(&format!("extract {line}")).trouble();
    }
    assert!(!bench.path("vm.ckp.header.raw").exists());
}

#[test]
fn ranges_of_memory_come_out_whatever_their_ends() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("--compress zstd:1", "a.snap");
    let ram = bench.read("vm.ckp");
    let data = ram.chunks(4096).position(|page| page.iter().any(|byte| *byte != 0)).unwrap();
    let data = data as u64 * 4096;
    for (gpa, len) in [
        (data, 4096),
        (data + 7, 3),
        (data.saturating_sub(5000), 20_000),
        (0, 3 << 20),
        (ram.len() as u64 - 9, 9),
        (0x1f_fff0, 0x20),
    ] {
        let expected = &ram[gpa as usize..(gpa + len) as usize];
        for input in ["a.snap", "vm.ckp"] {
            bench.run(&format!("extract {input} memory/{gpa:#x}+{len} -o part -f")).silent(0);
            assert!(bench.read("part") == expected, "{input} {gpa:#x} {len}");
        }
    }
    let end = ram.len();
    for range in [format!("{end}+1"), format!("{}+2", end - 1), "0xffffffffffffffff+1".to_owned()] {
        for input in ["a.snap", "vm.ckp"] {
            bench.run(&format!("extract {input} memory/{range} -o none")).trouble();
        }
    }
    assert!(!bench.path("none").exists());
}

#[test]
fn no_name_is_taken_that_bhyve_would_resume_from() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    bench.write("other.kern", "a kern without its RAM");
    let before = bench.names();
    for name in ["new.kern", "new.meta", "vm.ckp", "other", "vm.ckp.kern"] {
        for force in ["", "-f"] {
            let ended = bench.run(&format!("extract a.snap kern_structs/vm -o {name} {force}"));
            assert_eq!(ended.code(), Some(2), "{name}: {ended:?}");
        }
    }
    assert_eq!(bench.names(), before);
}

#[test]
fn damaged_bytes_come_only_as_a_claim() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    let mut file = bench.read("a.snap");
    let seeker = Seeker::open(file.as_slice()).unwrap();
    let named = |part: &&snapfmt::part::index::PartRef| {
        part.record.as_ref().is_some_and(|record| record.name == "vlapic")
    };
    let part = seeker.index().parts.iter().find(named).unwrap().clone();
    file[(part.offset + part.length) as usize - 80] ^= 1;
    bench.write("bad.snap", &file);
    let said = bench.run("extract bad.snap kern_structs/vlapic").refusal().to_owned();
    assert!(said.contains("--damaged"), "{said}");
    assert!(!bench.path("bad.snap.kern_structs-vlapic.raw").exists());
    // Others are as good as before.
    bench.run("extract bad.snap kern_structs/vm").silent(0);

    for name in ["-", "x.raw", "x"] {
        bench.run(&format!("extract --damaged bad.snap kern_structs/vlapic -o {name}")).trouble();
    }
    let ended = bench.run("extract --damaged bad.snap kern_structs/vlapic");
    assert_eq!(ended.code(), Some(1));
    assert!(ended.stderr.contains("as a claim, for which nobody vouches"), "{ended:?}");
    let claim = bench.read("bad.snap.kern_structs-vlapic.claim");
    assert_eq!(claim, file[part.offset as usize..(part.offset + part.length) as usize]);
    // What is intact is no claim.
    bench.run("extract --damaged bad.snap kern_structs/vm").trouble();

    // Without an index, what is intact is found all the same.
    let end = file.len();
    file[end - 200] ^= 1;
    bench.write("worse.snap", &file);
    bench.run("extract worse.snap kern_structs/vm").silent(0);
    assert_eq!(
        bench.read("worse.snap.kern_structs-vm.raw"),
        bench.read("bad.snap.kern_structs-vm.raw")
    );
}
