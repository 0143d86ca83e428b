//! What is run, and beside what.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::cost::{self, SNAPTOOL};
use super::files::Files;
use super::{Args, Cost, Run, guest, moved};

/// Something to be measured, and what came of it.
pub(super) struct Job<'a> {
    pub(super) name: String,
    /// What is removed before it runs: first of all what it writes.
    pub(super) writes: Vec<PathBuf>,
    /// The RAM that it gives back.
    pub(super) gives_back: Option<PathBuf>,
    pub(super) run: Run<'a>,
    pub(super) costs: Vec<Cost>,
    /// The size of what it writes.
    pub(super) bytes: Option<u64>,
}

/// What the job is to be held against: its name, that of the other, and the largest ratio of time.
pub(super) const PAIRS: [(&str, &str, f64); 12] = [
    ("pack, raw", "QEMU file:", 0.8),
    ("pack, raw", "cp --sparse=always", 1.2),
    ("pack, zstd 1", "zstd -1", 0.9),
    ("pack, zstd 1", "QEMU exec:zstd -1", 0.8),
    ("verify, raw", "openssl dgst -sha256", 0.3),
    ("unpack, zstd 1", "zstd -d", 0.8),
    ("unpack, zstd 1", "QEMU load exec:zstd -d", f64::INFINITY),
    ("unpack, raw", "QEMU load file:", f64::INFINITY),
    ("pack, zstd 3", "zstd -3", f64::INFINITY),
    ("migrate, tcp", "QEMU tcp", 0.7),
    ("migrate, tcp", "QEMU tcp, multifd 2", 2.0),
    ("migrate, tcp, zstd 1", "QEMU tcp", f64::INFINITY),
];

/// The jobs in the order of a round, and what is missing. Those that read what another writes come
/// after it.
pub(super) fn jobs<'a>(files: &'a Files, args: &Args) -> (Vec<Job<'a>>, Vec<String>) {
    let mut list = List { files, jobs: Vec::new() };
    let threads = args.threads.to_string();
    let ours = |words: &[&str]| -> Vec<String> {
        let all = [&[SNAPTOOL], words, &["--threads", &threads, "-q"]].concat();
        all.into_iter().map(str::to_owned).collect()
    };
    let zstd_threads = format!("-T{threads}");
    let zt = zstd_threads.as_str();
    let exec = |command: String| format!("exec:{command}");
    let path = |name: &str| files.path(name).display().to_string();

    let pack = |to: &'static str, how: &'static str| {
        ours(&["pack", "vm.ckp", "-o", to, "--compress", how, "--force"])
    };
    list.command("pack, raw", &pack("raw.snap", "none"), &["raw.snap"], None);
    list.command(
        "cp --sparse=always",
        &["cp", "--sparse=always", "vm.ckp", "cp.ram"],
        &["cp.ram"],
        Some("cp.ram"),
    );
    list.guest("QEMU file:", guest::save, guest::file(&files.path("qemu.raw")), "qemu.raw");
    list.command("pack, zstd 1", &pack("z1.snap", "zstd:1"), &["z1.snap"], None);
    list.command("zstd -1", &["zstd", "-q", "-1", zt, "vm.ckp", "-o", "z1.zst"], &["z1.zst"], None);
    let save = exec(format!("zstd -q -1 {zt} > {}", path("qemu.zst")));
    list.guest("QEMU exec:zstd -1", guest::save, save, "qemu.zst");
    list.command("pack, zstd 3", &pack("z3.snap", "zstd:3"), &["z3.snap"], None);
    list.command("zstd -3", &["zstd", "-q", "-3", zt, "vm.ckp", "-o", "z3.zst"], &["z3.zst"], None);
    list.command("verify, raw", &ours(&["verify", "raw.snap"]), &[], None);
    list.command("verify, zstd 1", &ours(&["verify", "z1.snap"]), &[], None);
    list.command("verify --quick", &ours(&["verify", "--quick", "z1.snap"]), &[], None);
    list.command("openssl dgst -sha256", &["openssl", "dgst", "-sha256", "vm.ckp"], &[], None);
    list.command("sha256sum", &["sha256sum", "vm.ckp"], &[], None);
    let back = ["back.ram", "back.ram.kern", "back.ram.meta"];
    let unpack = |from: &'static str| ours(&["unpack", from, "-o", "back.ram"]);
    list.command("unpack, zstd 1", &unpack("z1.snap"), &back, Some("back.ram"));
    list.command(
        "zstd -d",
        &["zstd", "-dq", "z1.zst", "-o", "zstd.ram"],
        &["zstd.ram"],
        Some("zstd.ram"),
    );
    list.command("unpack, raw", &unpack("raw.snap"), &back, Some("back.ram"));
    let load = exec(format!("zstd -dqc {}", path("qemu.zst")));
    list.guest("QEMU load exec:zstd -d", guest::load, load, "");
    list.guest("QEMU load file:", guest::load, guest::file(&files.path("qemu.raw")), "");
    list.moves("migrate, tcp", "none", &["arrived/vm.ckp"], Some("arrived/vm.ckp"));
    list.guest("QEMU tcp", guest::move_over, String::new(), "");
    list.guest("QEMU tcp, multifd 2", guest::move_over, "2".to_owned(), "");
    list.moves("migrate, tcp, zstd 1", "zstd:1", &["arrived/vm.ckp"], Some("arrived/vm.ckp"));
    list.chosen(args)
}

struct List<'a> {
    files: &'a Files,
    /// With the program that each takes.
    jobs: Vec<(&'static str, Job<'a>)>,
}

impl<'a> List<'a> {
    /// A command, in whose words the names of files are those in the folder.
    fn command(
        &mut self,
        name: &str,
        words: &[impl AsRef<str>],
        writes: &[&str],
        back: Option<&str>,
    ) {
        let files = self.files;
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        let word = |word: &&str| -> OsString {
            let named = ["vm.ckp", "back.ram"].contains(word)
                || [".snap", ".zst", ".ram"].iter().any(|end| word.ends_with(end));
            if named { files.path(word).into() } else { (*word).into() }
        };
        let command: Vec<_> = words.iter().map(word).collect();
        let needs =
            ["cp", "zstd", "openssl", "sha256sum"].into_iter().find(|tool| *tool == words[0]);
        let run: Run<'a> = Box::new(move || cost::of(&command));
        self.add(needs.unwrap_or_default(), name, run, writes, back);
    }

    fn moves(&mut self, name: &str, how: &'static str, writes: &[&str], back: Option<&str>) {
        let files = self.files;
        self.add("", name, Box::new(move || moved::over_tcp(files, how)), writes, back);
    }

    fn guest(
        &mut self,
        name: &str,
        does: fn(&Files, &str) -> anyhow::Result<Cost>,
        uri: String,
        writes: &str,
    ) {
        let files = self.files;
        let writes: &[&str] = if writes.is_empty() { &[] } else { &[writes] };
        self.add(guest::QEMU, name, Box::new(move || does(files, &uri)), writes, None);
    }

    fn add(
        &mut self,
        needs: &'static str,
        name: &str,
        run: Run<'a>,
        writes: &[&str],
        back: Option<&str>,
    ) {
        let (name, costs, bytes) = (name.to_owned(), Vec::new(), None);
        let writes = writes.iter().map(|name| self.files.path(name)).collect();
        let gives_back = back.map(|name| self.files.path(name));
        self.jobs.push((needs, Job { name, writes, gives_back, run, costs, bytes }));
    }

    /// What was asked for and can be run.
    fn chosen(self, args: &Args) -> (Vec<Job<'a>>, Vec<String>) {
        let (mut jobs, mut missing) = (Vec::new(), Vec::new());
        let guest_fits = self.files.size.is_multiple_of(1 << 20)
            && self.files.size < available().unwrap_or(u64::MAX) / 2;
        for (needs, job) in self.jobs {
            if !args.only.is_empty() && !args.only.iter().any(|word| job.name.contains(word)) {
                continue;
            }
            if needs == guest::QEMU && !guest_fits {
                missing.push(format!("{}: a guest with that much memory does not fit", job.name));
            } else if needs.is_empty() || version(needs).is_some() {
                jobs.push(job);
            } else {
                missing.push(format!("{}: {needs} is not installed", job.name));
            }
        }
        (jobs, missing)
    }
}

/// Bytes of memory that can be had.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// The first line that a program says of its version; nothing if it cannot be run.
pub(super) fn version(program: &str) -> Option<String> {
    let word = if program == "openssl" { "version" } else { "--version" };
    let output = Command::new(program).arg(word).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(|line| line.trim_matches(['*', ' ']).to_owned())
}
