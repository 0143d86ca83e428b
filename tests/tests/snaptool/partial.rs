//! Snapshots that cannot become three files, or are no whole state.

use serde_json::Value;
use tests::forge::{Extent, Plan};

use crate::kit::Bench;

#[test]
fn what_never_was_three_files_does_not_become_three() {
    let bench = Bench::empty();
    let complete = Plan {
        segments: vec![(0, 40 * 4096)],
        extents: vec![Extent::new(0, &[(1, 1)])],
        ..Plan::complete()
    };
    let undescribed = Plan { described: false, ..complete.clone() };
    let memory = Plan { records: Vec::new(), ..complete };
    let memory_only = Plan { described: false, ..memory.clone() };
    let nothing = Plan { extents: Vec::new(), ..memory_only.clone() };
    for (plan, says, hint) in [
        (undescribed, "never was three files", "inspect"),
        (memory, "holds memory only", "round of a migration"),
        (memory_only, "holds memory only", "round of a migration"),
        (nothing, "holds memory only", "round of a migration"),
    ] {
        bench.write("a.snap", plan.forge());
        let ended = bench.run("unpack a.snap -o b");
        assert_eq!(ended.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(says) && ended.stderr.contains(hint), "{}", ended.stderr);
        assert_eq!(bench.names(), ["a.snap"]);
        // The bytes are good all the same; a .meta without records is not, nor are records of
        // zeros.
        let good = !plan.described;
        for (line, yes) in [
            ("verify a.snap", good && plan.records.is_empty()),
            ("verify --quick a.snap", good && plan.records.is_empty()),
            ("inspect a.snap", good),
        ] {
            let ended = bench.run(line);
            assert_eq!(ended.code() == Some(0), yes, "{line}: {}", ended.stderr);
        }
        assert_eq!(bench.run("diff a.snap a.snap").code(), Some(0));
        let inspected = bench.run("inspect --json a.snap").stdout;
        let inspected: Value = serde_json::from_str(&inspected).unwrap();
        assert_eq!(inspected["intact"], true);
    }
}

#[test]
fn of_a_delta_alone_it_is_said_what_was_not_checked() {
    let bench = Bench::empty();
    bench.write("d.snap", Plan::small_xor().forge());
    for line in
        ["verify --json", "verify --quick --json", "inspect --json", "inspect --full --json"]
    {
        let said = bench.run(&format!("{line} d.snap")).stdout;
        let said: Value = serde_json::from_str(&said).unwrap();
        let said = said["not_checked"].to_string();
        assert!(said.contains("memory_root") && said.contains("differences"), "{line}: {said}");
    }
}
