//! Three files become one and the same three again.

use std::collections::BTreeSet;

use tests::fixtures::fixtures;

use crate::kit::Bench;

#[test]
fn every_fixture_comes_back_byte_for_byte() {
    for name in fixtures() {
        let bench = Bench::fixture(name);
        let (root, content) = bench.pack("", "a.snap");
        for check in ["", "--quick", "--map", "--expect-root"] {
            let root = if check == "--expect-root" { root.as_str() } else { "" };
            bench.run(&format!("verify a.snap {check} {root}")).silent(0);
        }
        bench.run("verify vm.ckp").silent(0);
        bench.run("unpack a.snap -o b").silent(0);
        bench.assert_same_set("vm.ckp", "b");
        let json = bench.json("verify --json a.snap");
        assert_eq!((&json["root"], &json["content"]), (&root.into(), &content.into()), "{name}");
    }
}

#[test]
fn every_fixture_comes_back_through_pipes() {
    for name in fixtures() {
        let bench = Bench::fixture(name);
        let pack = "{ $S pack vm.ckp -o -; echo $? >code; }";
        bench.sh(&format!("{pack} | $S verify -")).silent(0);
        assert_eq!(bench.read("code"), b"0\n");
        bench.sh(&format!("{pack} | $S unpack - -o b")).silent(0);
        assert_eq!(bench.read("code"), b"0\n");
        bench.assert_same_set("vm.ckp", "b");
        // What a pipe got is a whole file.
        bench.sh("$S pack vm.ckp -o - >c.snap && $S verify c.snap && $S verify --map c.snap").silent(0);
    }
}

#[test]
fn compression_changes_the_root_and_not_the_content() {
    for name in fixtures() {
        let bench = Bench::fixture(name);
        let mut methods = vec!["none", "zstd", "zstd:-7"];
        // Its framebuffer of 32 MiB takes that level seconds.
        methods.extend((*name != "intel-4cpu-highmem").then_some("zstd:19"));
        let mut roots = BTreeSet::new();
        let mut contents = BTreeSet::new();
        for (number, method) in methods.iter().enumerate() {
            let (root, _) = bench.pack(&format!("--compress {method}"), "a.snap");
            let full = bench.json("verify --json a.snap");
            let quick = bench.json("verify --json --quick a.snap");
            assert_eq!(full["root"], root);
            assert_eq!((&full["root"], &full["content"]), (&quick["root"], &quick["content"]));
            roots.insert(root);
            contents.insert(full["content"].as_str().unwrap().to_owned());
            let base = format!("b{number}");
            bench.run(&format!("unpack a.snap -o {base}")).silent(0);
            bench.assert_same_set("vm.ckp", &base);
        }
        assert_eq!((roots.len(), contents.len()), (methods.len(), 1), "{name}");
    }
}

#[test]
fn packing_twice_gives_the_same_content_and_a_name_by_default() {
    let bench = Bench::fixture(crate::kit::FIXTURE);
    let (_, content) = bench.pack("", "a.snap");
    let ended = bench.run("pack vm.ckp");
    assert!(ended.stdout.ends_with(&format!("content  {content}\n")), "{}", ended.stdout);
    bench.run("verify vm.ckp.snap a.snap").silent(0);
}

#[test]
fn reading_the_holes_changes_nothing() {
    let bench = Bench::fixture(crate::kit::FIXTURE);
    let (_, content) = bench.pack("", "a.snap");
    assert_eq!(bench.pack("--read-holes", "b.snap").1, content);
}
