//! bhyve's own files with random changes: the counts are those of a comparison byte by byte.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use snaptool::cmd::diff::Args;
use snaptool::exit::Answer;
use snaptool::links::Where;
use snaptool::progress::Options;
use tempfile::tempdir;
use tests::fixtures;

use super::kit::{self, ranges};

fn pack(base: &Path, to: &Path, compress: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snaptool-tested"));
    command.arg("pack").arg(base).args(["-q", "--compress", compress, "-o"]).arg(to);
    assert!(command.output().unwrap().status.success());
}

/// Pages that differ, and bytes, read in full.
fn naive(a: &Path, b: &Path) -> (u64, u64) {
    let [a, b] = [a, b].map(|path| File::open(path).unwrap());
    let (mut pages, mut bytes) = (0, 0);
    let (mut ours, mut theirs) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    for at in (0..a.metadata().unwrap().len()).step_by(1 << 20) {
        a.read_exact_at(&mut ours, at).unwrap();
        b.read_exact_at(&mut theirs, at).unwrap();
        if ours == theirs {
            continue;
        }
        for (ours, theirs) in ours.chunks(4096).zip(theirs.chunks(4096)) {
            pages += u64::from(ours != theirs);
            bytes += ours.iter().zip(theirs).filter(|(a, b)| a != b).count() as u64;
        }
    }
    (pages, bytes)
}

#[test]
fn counts_are_those_of_cmp() {
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let base = fixtures::unpack("intel-1cpu-fbsd", dir.path()).unwrap();
    for ending in ["", ".kern", ".meta"] {
        let [from, to] = ["vm.ckp", "other"].map(|name| path(&format!("{name}{ending}")));
        // A copy of RAM without its holes: that is no difference.
        fs::copy(from, to).unwrap();
    }
    let ram = File::options().write(true).open(path("other")).unwrap();
    let len = ram.metadata().unwrap().len();
    let mut seed = 7_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    for round in 0..200 {
        let at = if round % 2 == 0 { random(len - 20_000) } else { random(4 << 20) };
        let most = 1 << random(15);
        let length = usize::try_from(random(most)).unwrap();
        let fill = u8::try_from(random(3)).unwrap();
        ram.write_all_at(&vec![fill; length], at).unwrap();
    }
    let (pages, bytes) = naive(&base, &path("other"));
    assert!(pages > 100);
    pack(&base, &path("a.snap"), "zstd:1");
    pack(&path("other"), &path("b.snap"), "none");
    let mut lists = Vec::new();
    for (a, b) in [("a.snap", "b.snap"), ("vm.ckp", "other"), ("a.snap", "other")] {
        let args = Args {
            a: path(a),
            b: path(b),
            json: true,
            all: false,
            ignore: Vec::new(),
            quiet: true,
            chain: Where::default(),
            progress: Options::default(),
        };
        let (answer, out) = kit::compare(&args);
        assert_eq!(answer.unwrap(), Answer::No);
        let facts: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let memory = &facts["memory"];
        let counts = (memory["pages"].as_u64(), memory["bytes"].as_u64());
        assert_eq!(counts, (Some(pages), Some(bytes)), "{a} {b}");
        lists.push(ranges(&facts));
    }
    assert!(lists.windows(2).all(|pair| pair[0] == pair[1]));
    let args = Args {
        a: path("b.snap"),
        b: path("other"),
        json: false,
        all: false,
        ignore: Vec::new(),
        quiet: true,
        chain: Where::default(),
        progress: Options::default(),
    };
    let (answer, out) = kit::compare(&args);
    assert_eq!(answer.unwrap(), Answer::Yes, "{}", String::from_utf8_lossy(&out));
}
