//! What the program offers beside its work: completions, a manual page, progress for programs.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::kit::{Bench, Ended};

/// Gives `input` to a program of the system; nothing if there is no such program.
fn ask(program: &str, args: &[&str], input: &str) -> Option<Ended> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        // Not `println!`, which the test harness keeps to itself.
        let _ = writeln!(std::io::stderr(), "skipped: no {program} here");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Some(Ended::waited(child))
}

fn printed(line: &str) -> String {
    let ended = Bench::empty().run(line);
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""), "{line}");
    ended.stdout
}

#[test]
fn every_shell_can_read_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish"] {
        let script = printed(&format!("completions {shell}"));
        for word in ["unpack", "--expect-root", "--progress"] {
            assert!(script.contains(word.trim_start_matches('-')), "{shell} {word}");
        }
        // elvish has no way to parse without running.
        if shell != "elvish"
            && let Some(ended) = ask(shell, &["-n"], &script)
        {
            ended.silent(0);
        }
    }
    let wrong = Bench::empty().run("completions tcsh");
    assert!(wrong.trouble().contains("tcsh"));
}

#[test]
fn bash_completes_commands_and_options() {
    let script = printed("completions bash");
    for (line, expected) in [("snaptool pa", "pack"), ("snaptool verify --expect", "--expect-root")]
    {
        let last = line.split(' ').count() - 1;
        let words = line.rsplit_once(' ').unwrap();
        let try_it = format!(
            "{script}\nCOMP_WORDS=({line}) COMP_CWORD={last}\n_snaptool snaptool '{}' '{}'\n\
             echo \"${{COMPREPLY[@]}}\"\n",
            words.1, words.0
        );
        let Some(ended) = ask("bash", &["--norc"], &try_it) else { return };
        assert_eq!(ended.stdout.trim(), expected, "{}", ended.stderr);
    }
}

#[test]
fn mandoc_finds_nothing_wrong_with_the_manual_page() {
    let page = printed("man");
    assert_eq!(page, printed("man"), "it is always the same");
    if let Some(ended) = ask("mandoc", &["-T", "lint", "-W", "warning"], &page) {
        ended.silent(0);
    }
}

#[test]
fn the_manual_page_has_every_command_and_every_option() {
    let page = printed("man");
    for command in
        ["pack", "unpack", "inspect", "verify", "nvlist", "host-facts", "completions", "man"]
    {
        let title = command.replace('-', "\\-");
        assert!(page.contains(&format!("\n.Ss snaptool {title}\n")), "{command}");
        let help = printed(&format!("{command} --help"));
        let flags = help.split_whitespace().filter_map(|word| word.strip_prefix("--"));
        for flag in flags.filter(|flag| flag.starts_with(|c: char| c.is_ascii_alphabetic())) {
            let name: String =
                flag.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            assert!(page.contains(&format!("Fl \\-{}", name.replace('-', "\\-"))), "{flag}");
        }
    }
    for section in ["FILES", "EXIT STATUS", "EXAMPLES", "SEE ALSO"] {
        assert!(page.contains(&format!("\n.Sh {section}\n")), "{section}");
    }
}

#[test]
fn the_manual_page_reads_as_it_was_written() {
    let Some(ended) = ask("mandoc", &["-T", "ascii", "-O", "width=100"], &printed("man")) else {
        return;
    };
    // A letter, a backspace and the letter again is bold; `_` and a backspace is underlined.
    let mut text = String::new();
    for c in ended.stdout.chars() {
        if text.ends_with('\u{8}') {
            text.truncate(text.len() - 1);
            text.pop();
        }
        text.push(c);
    }
    for words in [
        "snaptool unpack [-q] [--strict] -o BASE [--chain=DIR|FILE] [--host=this|FACTS]\n",
        "[--accept=RULE@RECORD] [--threads=N] [--progress=HOW] FILE|-\n",
        "-o FILE|-, --output=FILE|-\n",
        "a bhyve_config(5) file",
        "\n     json    ",
        "snaptool pack vm.ckp -o - | ssh host snaptool unpack - -o vm.ckp\n",
    ] {
        let words = words.trim_start();
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
}

/// The lines on stderr, each of which must be progress.
#[track_caller]
fn told(stderr: &str) -> Vec<Value> {
    let object = |line| serde_json::from_str::<Value>(line).unwrap()["progress"].clone();
    stderr.lines().map(object).collect()
}

/// Asserts what every run that tells progress has in common; returns the last line.
#[track_caller]
fn last(ended: &Ended, command: &str, input: &str) -> Value {
    let lines = told(&ended.stderr);
    let (last, before) = lines.split_last().unwrap();
    assert!(before.iter().all(|line| line["last"] == false));
    assert_eq!(last["last"], true);
    let mut done = 0;
    for line in &lines {
        assert_eq!(
            (line["command"].as_str(), line["input"].as_str()),
            (Some(command), Some(input))
        );
        assert!(line["done"].as_u64() >= Some(done));
        done = line["done"].as_u64().unwrap();
    }
    last.clone()
}

#[test]
fn progress_as_json_has_a_last_line_and_leaves_stdout_alone() {
    let bench = Bench::noisy(1 << 20);
    let plain = bench.run("pack vm.ckp -o vm.snap").stdout;
    for (command, input, arguments) in [
        ("pack", "vm.ckp", "vm.ckp -o other.snap"),
        ("verify", "vm.snap", "vm.snap"),
        ("verify", "vm.snap", "vm.snap --json"),
        ("verify", "vm.snap", "vm.snap --no-progress"),
        ("inspect", "vm.snap", "vm.snap --full --json"),
        ("inspect", "vm.ckp", "vm.ckp --full"),
        ("unpack", "vm.snap", "vm.snap -o again.ckp"),
    ] {
        let ended = bench.run(&format!("{command} --progress json {arguments}"));
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        let last = last(&ended, command, input);
        assert_eq!(last["done"], last["total"], "{command} {arguments}");
        assert!(last["done"].as_u64() > Some(1 << 19));
        assert!(!ended.stdout.contains("\"progress\""));
        match (command, arguments) {
            // Each file has an identity of its own; what it holds is the same.
            ("pack", _) => assert_eq!(ended.stdout.lines().nth(1), plain.lines().nth(1)),
            ("verify", "vm.snap") | ("unpack", _) => assert_eq!(ended.stdout, ""),
            _ => {}
        }
    }
}

#[test]
fn progress_of_a_pipe_has_no_total() {
    let bench = Bench::noisy(1 << 20);
    bench.pack("", "vm.snap");
    let snapshot = bench.read("vm.snap");
    for (command, line) in [
        ("verify", "verify --progress json -"),
        ("inspect", "inspect --progress json -"),
        ("unpack", "unpack --progress json - -o again.ckp"),
    ] {
        let last = last(&bench.feed(line, &snapshot), command, "stdin");
        assert_eq!(
            (&last["total"], last["done"].as_u64()),
            (&Value::Null, Some(snapshot.len() as u64))
        );
    }
}

#[test]
fn a_damaged_input_has_a_last_line_too() {
    let bench = Bench::noisy(1 << 20);
    bench.pack("", "vm.snap");
    let mut bytes = bench.read("vm.snap");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bench.write("bad.snap", &bytes);
    let ended = bench.run("verify --progress=json bad.snap");
    assert_eq!(ended.code(), Some(1));
    assert!(last(&ended, "verify", "bad.snap")["done"].as_u64() > Some(0));
    let ended = bench.run("inspect --full --progress=json bad.snap");
    let last = last(&ended, "inspect", "bad.snap");
    assert!(last["done"].as_u64() <= last["total"].as_u64());
}

#[test]
fn whoever_does_not_ask_gets_no_progress() {
    let bench = Bench::noisy(1 << 16);
    for options in ["", "--progress none", "--progress auto", "-q", "-q --progress none"] {
        assert_eq!(bench.run(&format!("pack vm.ckp -o vm.snap {options}")).stderr, "");
    }
    assert!(bench.run("pack vm.ckp --progress loud").trouble().contains("loud"));
}
