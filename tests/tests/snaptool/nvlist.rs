//! `snaptool nvlist`: shown, described, and packed again.

use std::fs;
use std::path::Path;

use serde_json::Value;
use snapfmt::nvlist::{Options, View};

use crate::kit::Bench;

/// Vectors of a kind: how they are to be read, their bytes, and all that is said of them.
fn vectors(kind: &str) -> Vec<(String, Vec<u8>, Value)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/nvlist");
    let text = fs::read_to_string(path.join(format!("{kind}.jsonl"))).unwrap();
    let vector = |line: &str| {
        let json: Value = serde_json::from_str(line).unwrap();
        let bytes = hex::decode(json["hex"].as_str()?).unwrap();
        let options = format!("--descriptors {}", json["nfds"].as_u64().unwrap_or(0));
        Some((options, bytes, json))
    };
    text.lines().filter_map(vector).collect()
}

#[test]
fn lists_become_json_and_the_same_bytes_again() {
    let bench = Bench::in_memory();
    let mut packed = 0;
    for (options, bytes, vector) in vectors("valid").into_iter().step_by(4) {
        let name = &vector["name"];
        bench.write("list", &bytes);
        let shown = bench.run(&format!("nvlist list {options}"));
        assert_eq!((shown.code(), shown.stderr.as_str()), (Some(0), ""), "{name}");
        assert!(!shown.stdout.chars().any(|c| c.is_control() && c != '\n'), "{name}");
        let json = bench.run(&format!("nvlist --json list {options}"));
        assert_eq!((json.code(), json.stderr.as_str()), (Some(0), ""), "{name}");
        // Without line ends, that is, in one piece, it means the same.
        let description: Value = serde_json::from_str(&json.stdout).unwrap();
        assert!(description["pairs"].is_array(), "{name}");
        bench.write("json", description.to_string());
        bench.sh("$S nvlist --pack json >again").silent(0);
        let again = bench.run(&format!("nvlist --json again {options}"));
        assert_eq!(again.stdout, json.stdout, "{name}");
        if vector["repack"] == "identical" {
            assert!(bench.read("again") == bytes, "{name}");
            packed += 1;
        }
        bench
            .sh(&format!("$S nvlist --json - {options} <list | $S nvlist --pack - | cmp - again"))
            .silent(0);
    }
    assert!(packed >= 3, "only {packed} vectors repack identically");
}

#[test]
fn a_list_comes_through_a_pipe_too() {
    let bench = Bench::in_memory();
    let all = vectors("valid");
    let (_, bytes, _) = all.iter().find(|vector| vector.2["name"] == "all_types").unwrap();
    bench.write("list", bytes);
    for option in ["", "--json"] {
        let piped = bench.feed(&format!("nvlist {option} -"), bytes);
        assert_eq!(piped.code(), Some(0));
        assert_eq!(piped.stdout, bench.run(&format!("nvlist {option} list")).stdout);
    }
}

#[test]
fn what_is_no_list_is_refused_in_words() {
    let bench = Bench::in_memory();
    // Some are wrong only for a reader that asks for certain flags.
    let wrong = |(_, bytes, json): &(String, Vec<u8>, Value)| {
        let received = json["nfds"].as_u64().unwrap_or(0);
        View::parse(bytes, &Options::new().any_flags().descriptors(received)).is_err()
    };
    for (options, bytes, vector) in vectors("invalid").into_iter().filter(wrong).step_by(6) {
        let options = format!("nvlist - {options}");
        let ended = bench.feed(&options, &bytes);
        assert!(ended.refusal().starts_with("snaptool: error: stdin: "), "{}", vector["name"]);
    }
    bench.write("empty", "");
    bench.run("nvlist empty").refusal();
    bench.run("nvlist --json empty").refusal();
    for (text, words) in [
        ("", "stdin"),
        ("{", "stdin"),
        ("[]", "stdin"),
        ("{\"flags\": 0}", "pairs"),
        ("\u{0}", "stdin"),
    ] {
        let ended = bench.feed("nvlist --pack -", text.as_bytes());
        assert!(ended.refusal().contains(words), "{text}: {ended:?}");
    }
    assert!(bench.feed("nvlist --pack -", b"\xff").refusal().contains("not UTF-8 at offset 0x0"));
    assert!(bench.run("nvlist /dev/zero").refusal().contains("longer than the limit"));
}
