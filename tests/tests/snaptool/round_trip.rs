//! Three files become one and the same three again.

use std::collections::BTreeSet;
use std::fs;

use tests::fixtures::fixtures;
use tests::forge::Plan;

use crate::kit::{Bench, FIXTURE, LARGE, SET};

fn there_and_back(name: &str, methods: &[&str]) {
    let bench = Bench::fixture(name);
    through_a_file(&bench);
    through_pipes(&bench);
    in_every_compression(&bench, methods);
}

fn remove_set(bench: &Bench, base: &str) {
    for ending in SET {
        fs::remove_file(bench.path(format!("{base}{ending}"))).unwrap();
    }
}

fn through_a_file(bench: &Bench) {
    let (root, content) = bench.pack("", "a.snap");
    for options in ["", "--quick", "--map", &format!("--expect-root {root}")] {
        bench.run(&format!("verify a.snap {options}")).silent(0);
    }
    bench.run("verify vm.ckp").silent(0);
    bench.run("unpack a.snap -o b").silent(0);
    bench.assert_same_set("vm.ckp", "b");
    remove_set(bench, "b");
    let json = bench.json("verify --json a.snap");
    assert_eq!((&json["root"], &json["content"]), (&root.into(), &content.into()));
}

fn through_pipes(bench: &Bench) {
    let pack = "{ $S pack vm.ckp -qo -; echo $? >code; }";
    bench.sh(&format!("{pack} | $S verify -")).silent(0);
    assert_eq!(bench.read("code"), b"0\n");
    bench.sh(&format!("{pack} | tee c.snap | $S unpack - -o b")).silent(0);
    assert_eq!(bench.read("code"), b"0\n");
    bench.assert_same_set("vm.ckp", "b");
    remove_set(bench, "b");
    // What a pipe got is a whole file.
    bench.run("verify --map c.snap").silent(0);
}

fn in_every_compression(bench: &Bench, methods: &[&str]) {
    let (mut roots, mut contents) = (BTreeSet::new(), BTreeSet::new());
    for method in methods {
        let (root, _) = bench.pack(&format!("--compress {method}"), "a.snap");
        let full = bench.json("verify --json a.snap");
        let quick = bench.json("verify --json --quick a.snap");
        assert_eq!(full["root"], root);
        assert_eq!((&full["root"], &full["content"]), (&quick["root"], &quick["content"]));
        roots.insert(root);
        contents.insert(full["content"].as_str().unwrap().to_owned());
        if *method == "none" {
            bench.run("unpack a.snap -o b").silent(0);
            bench.assert_same_set("vm.ckp", "b");
            remove_set(bench, "b");
        }
    }
    assert_eq!((roots.len(), contents.len()), (methods.len(), 1));
}

#[test]
fn every_fixture_comes_back_byte_for_byte_with_one_content() {
    for name in fixtures().iter().filter(|name| **name != LARGE) {
        there_and_back(name, &["none", "zstd", "zstd:-7", "zstd:19"]);
    }
}

#[test]
fn the_large_fixture_comes_back_byte_for_byte_with_one_content() {
    there_and_back(LARGE, &["none", "zstd"]);
}

#[test]
fn packing_twice_gives_the_same_content_and_a_name_by_default() {
    let bench = Bench::fixture(FIXTURE);
    let (_, content) = bench.pack("", "a.snap");
    let ended = bench.run("pack vm.ckp");
    assert!(ended.stdout.ends_with(&format!("content  {content}\n")), "{}", ended.stdout);
    bench.run("verify vm.ckp.snap a.snap").silent(0);
}

#[test]
fn reading_the_holes_changes_nothing() {
    let bench = Bench::fixture(FIXTURE);
    let (_, content) = bench.pack("", "a.snap");
    assert_eq!(bench.pack("--read-holes", "b.snap").1, content);
}

#[test]
fn a_delta_is_not_unpacked_as_if_it_were_whole() {
    let bench = Bench::fixture(FIXTURE);
    let plan = Plan { records: Plan::complete().records, ..Plan::small_delta() };
    fs::write(bench.path("d.snap"), plan.forge()).unwrap();
    let refused = bench.run("unpack d.snap -o d");
    assert!(refused.stderr.contains("this is a delta"), "{}", refused.stderr);
    assert_eq!(refused.code(), Some(2));
    assert!(SET.iter().all(|ending| !bench.path(format!("d{ending}")).exists()));
    let json = bench.json("verify --json d.snap");
    let open = json["not_checked"].to_string();
    assert!(json["ok"] == true && open.contains("memory_root"), "{open}");
}
