//! Deltas from end to end: made of states in every form, joined, unpacked, compared; and what is
//! said of parents that are missing, wrong or damaged.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use snapfmt::bhyve::Meta;
use snapfmt::read::Seeker;
use snapfmt::state::{Evidence, Kind};
use tests::fixtures::fixtures;

use crate::kit::{Bench, Ended, FIXTURE, LARGE, Numbers, SET, noise};

/// Pages of guest memory that device records have addresses in.
fn shared(bench: &Bench, name: &str) -> Vec<u64> {
    let [meta, kern] =
        [".meta", ".kern"].map(|e| fs::read(bench.path(format!("{name}{e}"))).unwrap());
    let meta = Meta::parse(&meta).unwrap();
    let evidence = Evidence::of(&meta);
    let mut pages = Vec::new();
    for record in &meta.records {
        let bytes = &kern[record.offset as usize..][..record.size as usize];
        let Ok(fields) = evidence.choose_record(record, bytes) else { continue };
        let addresses = fields.iter().filter(|f| f.definition().kind == Kind::GuestAddress);
        pages.extend(addresses.filter_map(|field| Some(field.u64()? / 4096)));
    }
    pages.retain(|page| *page < u64::MAX / 4096);
    pages
}

/// What the guest does: some words, whole pages, pages that become zero, and zero ones that do not
/// stay so.
fn step(bench: &Bench, name: &str, numbers: &mut Numbers) {
    let ram = File::options().read(true).write(true).open(bench.path(name)).unwrap();
    let pages = ram.metadata().unwrap().len() / 4096;
    let mut bytes = vec![0; 4096];
    let data = |page: &u64| {
        ram.read_exact_at(&mut bytes, page * 4096).unwrap();
        bytes.iter().any(|byte| *byte != 0)
    };
    // Fixtures have their data in the first MiBs. What device records speak of stays as it is:
    // rings that differ from their image in a record break a rule.
    let shared = shared(bench, name);
    let free = |page: &u64| shared.iter().all(|at| !(*at..*at + 16).contains(page));
    let data: Vec<u64> = (0..2048).filter(data).filter(free).collect();
    let page = |numbers: &mut Numbers| loop {
        let known = data[usize::try_from(numbers.below(data.len() as u64)).unwrap()];
        let any = numbers.below(pages);
        let page = [known, any][usize::try_from(numbers.below(2)).unwrap()];
        if free(&page) && free(&(page + 1)) {
            return page * 4096;
        }
    };
    for _ in 0..12 {
        let at = page(numbers) + numbers.below(512) * 8;
        ram.write_all_at(&numbers.next().to_le_bytes(), at).unwrap();
    }
    ram.write_all_at(&noise(4096), page(numbers)).unwrap();
    let fill = u8::try_from(numbers.below(255)).unwrap() + 1;
    ram.write_all_at(&[fill; 8192], page(numbers).min((pages - 2) * 4096)).unwrap();
    ram.write_all_at(&[0; 4096], data[0] * 4096).unwrap();
    let kern = File::options().write(true).open(bench.path(format!("{name}.kern"))).unwrap();
    kern.write_all_at(&[fill], 40).unwrap();
}

fn copy_set(bench: &Bench, from: &str, to: &str) {
    for ending in SET {
        let [from, to] = [from, to].map(|base| bench.path(format!("{base}{ending}")));
        fs::copy(from, to).unwrap();
    }
}

/// A command that had nothing to say but notes.
#[track_caller]
fn yes(ended: &Ended) {
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    only_notes(ended);
}

#[track_caller]
fn only_notes(ended: &Ended) {
    let noted = ended.stderr.lines().all(|line| line.starts_with("snaptool: note: "));
    assert!(noted, "{ended:?}");
}

/// The `content` that a command printed, which said nothing else but notes.
#[track_caller]
fn content(ended: &Ended) -> String {
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    only_notes(ended);
    let line = ended.stdout.lines().nth(1).unwrap();
    line.strip_prefix("content  ").unwrap().to_owned()
}

/// A full snapshot and two deltas over it, with the three files of each state.
fn chain(options: &str) -> (Bench, [String; 3]) {
    let bench = Bench::fixture(FIXTURE);
    let mut numbers = Numbers(3);
    let (_, full) = bench.pack(options, "0.snap");
    let mut contents = vec![full];
    for number in 1..3 {
        let (before, now) = (format!("vm.ckp{}", number - 1), format!("vm.ckp{number}"));
        copy_set(&bench, if number == 1 { "vm.ckp" } else { &before }, &now);
        step(&bench, &now, &mut numbers);
        let line = format!("delta {}.snap {now} --chain . {options}", number - 1);
        let ended = bench.run(&format!("{line} -o {number}.snap"));
        contents.push(content(&ended));
    }
    (bench, contents.try_into().unwrap())
}

#[test]
fn every_form_of_two_states_makes_the_same_delta_and_leads_to_the_same_state() {
    for name in fixtures().iter().filter(|name| **name != LARGE) {
        let bench = Bench::fixture(name);
        copy_set(&bench, "vm.ckp", "new");
        step(&bench, "new", &mut Numbers(7));
        for compress in ["none", "zstd:1"] {
            let options = format!("--compress {compress} --extent-size 256K");
            let packed = |base: &str| {
                content(&bench.run(&format!("pack {base} {options} -o {base}.snap --force")))
            };
            let [old, expected] = ["vm.ckp", "new"].map(packed);
            for base in ["vm.ckp", "vm.ckp.snap"] {
                for new in ["new", "new.snap"] {
                    let line = format!("delta {base} {new} {options} -o d.snap --force");
                    assert_eq!(content(&bench.run(&line)), expected, "{name} {line}");
                    let facts = bench.json("inspect --json d.snap");
                    assert_eq!(facts["header"]["parent"]["content"], old);
                    yes(&bench.run("verify d.snap"));
                    yes(&bench.run("verify d.snap --chain vm.ckp.snap"));
                    let joined = bench.run("join vm.ckp.snap d.snap -o f.snap --force");
                    assert_eq!(content(&joined), expected);
                    yes(&bench.run("verify f.snap"));
                    assert_eq!(bench.run("diff f.snap new").code(), Some(0));
                }
            }
            yes(&bench.run("unpack d.snap --chain . -o again"));
            bench.assert_same_set("new", "again");
            SET.iter().for_each(|e| fs::remove_file(bench.path(format!("again{e}"))).unwrap());
        }
    }
}

#[test]
fn a_chain_of_twenty_joins_to_the_state_of_each() {
    let bench = Bench::fixture(FIXTURE);
    let mut numbers = Numbers(20);
    let mut contents = vec![bench.pack("", "0.snap").1];
    let mut given = "0.snap".to_owned();
    for number in 1..20 {
        step(&bench, "vm.ckp", &mut numbers);
        let compress = ["none", "zstd:1", "zstd:-5"][number % 3];
        let options = format!("--chain . --compress {compress} -o {number}.snap");
        let line = format!("delta {}.snap vm.ckp {options}", number - 1);
        contents.push(content(&bench.run(&line)));
        given = format!("{given} {number}.snap");
        if number % 6 == 0 {
            let joined = bench.run(&format!("join {given} -o f.snap --force"));
            assert_eq!(content(&joined), contents[number]);
            fs::remove_file(bench.path("f.snap")).unwrap();
        }
    }
    let names = bench.names();
    let joined = bench.run("join 19.snap --chain . -o f.snap");
    assert_eq!(content(&joined), contents[19]);
    yes(&bench.run("unpack 19.snap --chain . -o b"));
    bench.assert_same_set("vm.ckp", "b");
    yes(&bench.run("verify 19.snap --chain ."));
    let report = bench.json("verify --json 19.snap --chain .");
    // It may go by the joined one, which has the content of a link.
    let links: Vec<_> = report["chain"].as_array().unwrap().iter().collect();
    assert_eq!((links.len(), &links[0]["content"]), (20, &contents[0].clone().into()));
    let (one, other) = (bench.json("diff --json 3.snap 19.snap --chain ."), &contents);
    assert_eq!(
        (&one["a"]["content"], &one["b"]["content"]),
        (&other[3].clone().into(), &other[19].clone().into())
    );
    assert_eq!(bench.run("diff 19.snap f.snap --chain .").code(), Some(0));
    assert_eq!(bench.run("diff 18.snap f.snap --chain .").code(), Some(1));
    assert!(names.iter().all(|name| bench.names().contains(name)));
}

#[test]
fn a_join_is_not_asked_for_in_the_wrong_order() {
    let (bench, _) = chain("");
    let before = bench.names();
    let refusal = |line: &str, says: &str| {
        let ended = bench.run(line);
        assert!(ended.refusal().contains(says), "{line}: {}", ended.stderr);
        assert_eq!(bench.names(), before);
    };
    refusal("join 0.snap 2.snap -o f.snap", "2.snap does not belong over 0.snap: its parent has");
    refusal("join 0.snap 2.snap 1.snap -o f.snap", "2.snap does not belong over 0.snap");
    refusal("join 0.snap 1.snap 0.snap -o f.snap", "all files of a chain but the first are deltas");
    refusal("join 0.snap 2.snap -o -", "2.snap does not belong over 0.snap");
    let trouble = bench.run("join 1.snap 2.snap -o f.snap");
    assert!(trouble.trouble().contains("1.snap is a delta"), "{}", trouble.stderr);
    assert!(trouble.stderr.contains("hint: name the folder"), "{}", trouble.stderr);
}

#[test]
fn a_missing_parent_is_named_by_its_content_with_what_may_be_it() {
    let (bench, contents) = chain("");
    let good = bench.read("1.snap");
    fs::remove_file(bench.path("1.snap")).unwrap();
    let uuid = bench.json("inspect --json 2.snap")["header"]["parent"]["uuid"].clone();
    let uuid = uuid.as_str().unwrap();
    for line in [
        "join 2.snap --chain . -o f.snap",
        "unpack 2.snap --chain . -o f",
        "delta 2.snap vm.ckp --chain . -o f.snap",
        "diff 2.snap 0.snap --chain .",
        "verify 2.snap --chain .",
        "inspect 2.snap --chain .",
    ] {
        let ended = bench.run(line);
        let words = ended.trouble();
        let missing = format!(
            "the parent of 2.snap is missing: no file that was named has the \
                               content {}",
            contents[1]
        );
        assert!(words.contains(&missing), "{line}: {words}");
        assert!(words.contains(&format!("hint: it was the file with the UUID {uuid}")), "{words}");
    }
    // Its index is damaged: it cannot be known for what it is.
    let mut bad = good.clone();
    let at = bad.len() - 400;
    bad[at] ^= 1;
    bench.write("bad.snap", &bad);
    let ended = bench.run("verify 2.snap --chain .");
    let words = ended.trouble();
    assert!(words.contains("it may be this file, which cannot be used: ./bad.snap: "), "{words}");
    // Under any name, and from any place.
    yes(&bench.sh("mkdir else"));
    bench.write("else/any", &good);
    yes(&bench.run("verify 2.snap --chain . --chain else"));
    yes(&bench.run("verify 2.snap --chain 0.snap --chain else/any"));
    let ended = bench.run("verify 2.snap --chain nowhere");
    assert!(ended.trouble().contains("cannot open nowhere"), "{}", ended.stderr);
}

#[test]
fn a_damaged_link_is_named_with_the_file_that_needs_it() {
    let (bench, _) = chain("--compress none");
    let good = bench.read("1.snap");
    let seeker = Seeker::open(good.as_slice()).unwrap();
    let quick = seeker.quick(|_| ()).unwrap();
    let entry = seeker.tables(&quick).next().unwrap().unwrap().entries[0];
    let in_payload = usize::try_from(entry.offset + entry.length).unwrap() - 5000;
    let in_record = usize::try_from(seeker.index().parts[2].offset).unwrap() + 300;
    let before = bench.names();
    for (at, place) in [(in_payload, "memory extent"), (in_record, "device record")] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        bench.write("1.snap", &bad);
        for line in ["join 2.snap --chain . -o f.snap", "unpack 2.snap --chain . -o f"] {
            let ended = bench.run(line);
            let words = ended.refusal();
            assert!(words.contains(&format!("./1.snap: {place}")), "{line}: {words}");
            assert!(words.contains("hint: 2.snap takes ./1.snap to be read"), "{line}: {words}");
            assert_eq!(bench.names(), before);
        }
        let ended = bench.run("verify 2.snap --chain .");
        assert_eq!(ended.code(), Some(1));
        let words = format!("2.snap: its parent ./1.snap: {place}");
        assert!(ended.stdout.starts_with(&words), "{}", ended.stdout);
        let report = bench.json("verify --json 2.snap --chain .");
        assert_eq!(report["findings"][0]["parent"], "./1.snap");
        let ended = bench.run("inspect --full 2.snap --chain .");
        assert_eq!(ended.code(), Some(1));
        assert!(ended.stdout.contains(&format!("./1.snap: {place}")), "{}", ended.stdout);
        // Alone, it is as good as it was.
        yes(&bench.run("verify 2.snap"));
    }
}

#[test]
fn a_delta_alone_says_what_it_leaves_open_and_with_its_parents_nothing() {
    let (bench, contents) = chain("");
    let open = |line: &str| {
        let report = bench.json(line);
        let words = report["not_checked"].as_array().unwrap().iter();
        words.filter(|words| words.as_str().unwrap().starts_with("state: ")).count()
    };
    assert_eq!(open("verify --json 2.snap"), 1);
    assert_eq!(open("verify --json 2.snap --chain ."), 0);
    assert_eq!(open("verify --json --map 2.snap --chain ."), 0);
    assert_eq!(open("verify --json --quick 2.snap --chain ."), 1);
    let facts = bench.json("inspect --json 2.snap --chain .");
    let memory = &facts["memory"];
    let count = |name: &str| memory[name].as_u64().unwrap();
    let pages = facts["vm"]["memsize"].as_u64().unwrap() / 4096;
    assert_eq!(count("data_pages") + count("zero_pages") + count("inherited_pages"), pages);
    assert!(count("xor_pages") > 0 && count("xor_pages") < count("data_pages"));
    assert!(count("zero_pages") > 0);
    let links = facts["chain"].as_array().unwrap();
    let found: Vec<_> = links.iter().map(|link| link["content"].as_str().unwrap()).collect();
    assert_eq!(found, contents);
    let text = bench.run("inspect 2.snap --chain .").stdout;
    assert!(text.contains("\nchain\n") && text.contains("\n  differences "), "{text}");
    assert!(!text.contains("the state of a delta"), "{text}");
    let text = bench.run("inspect 2.snap").stdout;
    assert!(text.contains("\n  parent        ") && text.contains("the state of a delta"), "{text}");
    let ended = bench.run("unpack 2.snap -o f");
    assert!(ended.trouble().contains("hint: name the folder in which its parents are"));
}

#[test]
fn nothing_is_replaced_unasked_and_no_input_ever() {
    let (bench, _) = chain("");
    let before = bench.names();
    let old = bench.read("1.snap");
    for line in ["delta 0.snap vm.ckp2 -o 1.snap", "join 0.snap -o 1.snap"] {
        let ended = bench.run(line);
        assert!(ended.trouble().contains("1.snap exists"), "{line}: {}", ended.stderr);
    }
    for line in [
        "delta 0.snap vm.ckp2 -o 0.snap --force",
        "delta 0.snap vm.ckp2 -o vm.ckp2.kern --force",
        "delta 1.snap vm.ckp2 --chain . -o 0.snap --force",
        "join 2.snap --chain . -o 1.snap --force",
        "delta 0.snap vm.ckp2 --config vm.ckp2.meta -o vm.ckp2.meta --force",
    ] {
        let ended = bench.run(line);
        assert_eq!(ended.code(), Some(2), "{line}");
    }
    assert_eq!(bench.names(), before);
    assert!(bench.read("1.snap") == old);
    let ended = bench.run("delta 0.snap vm.ckp2 -o 1.snap --force");
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    yes(&bench.run("verify 1.snap --chain 0.snap"));
}

#[test]
fn a_delta_lies_between_states_of_one_machine() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    let other = Bench::fixture("amd-2cpu-linux");
    let before = bench.names();
    let base = other.path("vm.ckp");
    let ended = bench.run_of(["delta", "a.snap", base.to_str().unwrap(), "-o", "d.snap"]);
    assert!(ended.refusal().contains("is not of the same machine as a.snap"), "{}", ended.stderr);
    assert_eq!(bench.names(), before);
    // Another name is no other machine, and still worth a word.
    copy_set(&bench, "vm.ckp", "new");
    bench.edit("new.meta", "\"vmname\": \"", "\"vmname\": \"x");
    let ended = bench.run("delta a.snap new -o d.snap");
    assert_eq!(ended.code(), Some(0));
    assert!(ended.stderr.starts_with("snaptool: note: a.snap is of the VM "), "{}", ended.stderr);
    yes(&bench.run("verify d.snap --chain a.snap"));
}

#[test]
fn a_state_that_did_not_change_has_a_delta_without_pages() {
    let bench = Bench::fixture(FIXTURE);
    let (_, full) = bench.pack("", "a.snap");
    let ended = bench.run("delta a.snap vm.ckp -o d.snap");
    assert_eq!(content(&ended), full);
    let facts = bench.json("inspect --json d.snap --chain .");
    assert_eq!(
        (&facts["memory"]["extents"], &facts["memory"]["data_pages"]),
        (&0.into(), &0.into())
    );
    // It names its own content, and is not taken for its own parent.
    fs::remove_file(bench.path("a.snap")).unwrap();
    let ended = bench.run("verify d.snap --chain .");
    assert!(ended.trouble().contains("no full file is among them"), "{}", ended.stderr);
}

#[test]
fn deltas_go_through_pipes() {
    let (bench, contents) = chain("--compress none");
    yes(&bench.sh("$S delta 0.snap vm.ckp2 -o - -q > d.snap"));
    yes(&bench.sh("$S delta 0.snap vm.ckp2 -o - -q | $S verify -"));
    yes(&bench.run("verify d.snap --chain 0.snap"));
    let ended = bench.sh("$S join 2.snap --chain . -o - | $S verify --json -");
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&report["ok"], &report["content"]), (&true.into(), &contents[2].clone().into()));
    assert!(ended.stderr.contains(&format!("note: content  {}", contents[2])), "{}", ended.stderr);
    // A file on stdin has positions, a pipe has none.
    yes(&bench.sh("$S delta 0.snap - -o d2.snap -q < 2.snap --chain . > words"));
    yes(&bench.run("verify d2.snap --chain 0.snap"));
    let ended = bench.sh("cat 2.snap | $S delta 0.snap - --chain . -o d3.snap");
    assert!(ended.trouble().contains("hint: save the snapshot to a file first"));
    let ended = bench.sh("cat 2.snap | $S verify - --chain .");
    assert!(ended.code() == Some(0) || ended.stderr.contains("pipe"), "{ended:?}");
    let ended = bench.sh("$S join 2.snap --chain . -o - -q | head -c 5000 > part; $S verify part");
    assert_eq!(ended.code(), Some(1), "{ended:?}");
}

#[test]
fn progress_is_told_to_programs_who_ask() {
    let (bench, _) = chain("");
    for (line, command) in [
        ("delta 0.snap vm.ckp2 -o d.snap --progress json", "delta"),
        ("join 2.snap --chain . -o f.snap --progress json", "join"),
        ("verify 2.snap --chain . --progress json", "verify"),
        ("unpack 2.snap --chain . -o u --progress json", "unpack"),
    ] {
        let ended = bench.run(line);
        assert_eq!(ended.code(), Some(0), "{line}");
        let last: serde_json::Value =
            serde_json::from_str(ended.stderr.lines().last().unwrap()).unwrap();
        let told = &last["progress"];
        assert_eq!((&told["command"], &told["last"]), (&command.into(), &true.into()));
        assert_eq!(told["done"], told["total"], "{line}");
    }
}

#[test]
fn a_killed_delta_or_join_leaves_at_most_a_temporary_which_the_next_one_removes() {
    let bench = Bench::noisy(4 << 20);
    bench.pack("", "0.snap");
    step(&bench, "vm.ckp", &mut Numbers(1));
    bench.run("delta 0.snap vm.ckp -o 1.snap -q");
    let ram = File::options().write(true).open(bench.path("vm.ckp")).unwrap();
    ram.write_all_at(&noise((4 << 20) - 4096), 4096).unwrap();
    let before = bench.names();
    let mut numbers = Numbers(0xde17a);
    for round in 0..24 {
        let line = ["delta 0.snap vm.ckp --compress zstd:9", "join 0.snap 1.snap"][round % 2];
        let mut child = bench.command(&format!("{line} -o f.snap")).spawn().unwrap();
        for turn in 0..numbers.below(1 << 24) {
            std::hint::black_box(turn);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let left = bench.names().into_iter().filter(|name| !before.contains(name));
        for name in left {
            if name == "f.snap" {
                yes(&bench.run("verify f.snap"));
            } else {
                assert!(name.starts_with(".f.snap.snaptool-") && name.ends_with(".tmp"), "{name}");
            }
        }
        let _ = fs::remove_file(bench.path("f.snap"));
        assert_eq!(bench.run("join 0.snap 1.snap -o f.snap -q").code(), Some(0));
        fs::remove_file(bench.path("f.snap")).unwrap();
        assert_eq!(bench.names(), before);
    }
}

#[test]
fn a_configuration_and_its_uuid_are_those_of_the_new_state() {
    let bench = Bench::fixture(FIXTURE);
    let uuid = "8c3a1b1e-0000-4000-8000-123456789abc";
    let name = bench.read("vm.ckp.meta");
    let name: serde_json::Value = serde_json::from_slice(&name).unwrap();
    let name = name["basic metadata"]["vmname"].as_str().unwrap().to_owned();
    bench.write("vm.conf", format!("name={name}\ncpus=1\nmemory.size=64M\nuuid={uuid}\n"));
    bench.pack("", "0.snap");
    let ended = bench.run("delta 0.snap vm.ckp --config vm.conf -o 1.snap");
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let facts = bench.json("inspect --json 1.snap");
    assert_eq!((&facts["header"]["vm_uuid"], facts["config"].is_null()), (&uuid.into(), false));
    // They are carried along where the new state is a snapshot file, and into a joined one.
    bench.run("join 0.snap 1.snap -o 2.snap -q");
    bench.run("delta 0.snap 2.snap -o 3.snap -q");
    for name in ["2.snap", "3.snap"] {
        let other = bench.json(&format!("inspect --json {name}"));
        assert_eq!(other["config"]["sha256"], facts["config"]["sha256"], "{name}");
        assert_eq!(other["header"]["vm_uuid"], uuid, "{name}");
    }
    let ended = bench.run("delta 0.snap 2.snap --config vm.conf -o 4.snap");
    assert!(ended.trouble().contains("hint: leave out --config"), "{}", ended.stderr);
}
