//! What was measured, as Markdown.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use super::Args;
use super::cost::Cost;
use super::files::Files;
use super::guest::QEMU;
use super::list::{Job, PAIRS, version};

const GIB: f64 = (1_u64 << 30) as f64;

/// All tables.
pub(super) fn report(args: &Args, files: &Files, jobs: &[Job<'_>], apart: u64) -> String {
    let mut text = String::new();
    machine(&mut text, args, files);
    pairs(&mut text, jobs);
    sizes(&mut text, jobs, apart);
    all(&mut text, files, jobs);
    text
}

fn machine(text: &mut String, args: &Args, files: &Files) {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let _ = writeln!(
        text,
        "{}: {:.2} GiB, {:.0} MiB of it not zero. {} rounds; {}, {processors} processors, \
         Linux {}, {} threads. snaptool {}",
        files.image,
        files.size as f64 / GIB,
        files.nonzero as f64 / GIB * 1024.0,
        args.rounds,
        cpu.trim_start_matches([':', '\t', ' ']),
        kernel.trim(),
        args.threads,
        env!("CARGO_PKG_VERSION"),
    );
    for program in ["cp", "zstd", "openssl", "sha256sum", QEMU] {
        let _ = match version(program) {
            Some(version) => write!(text, "; {version}"),
            None => write!(text, "; no {program}"),
        };
    }
    text.push_str(".\n\n");
}

fn pairs(text: &mut String, jobs: &[Job<'_>]) {
    text.push_str("| what | beside | seconds | theirs | ratio | at most |\n");
    text.push_str("|---|---|---|---|---|---|\n");
    for (ours, theirs, most) in PAIRS {
        let find = |name: &str| jobs.iter().find(|job| job.name == name);
        let (Some(a), Some(b)) = (find(ours), find(theirs)) else { continue };
        let (Some(one), Some(other)) = (Spread::of(a, time), Spread::of(b, time)) else { continue };
        let ratio = one.median / other.median;
        let most = if most.is_finite() { most.to_string() } else { String::new() };
        let _ = writeln!(text, "| {ours} | {theirs} | {one} | {other} | {ratio:.2} | {most} |");
    }
    text.push('\n');
}

fn sizes(text: &mut String, jobs: &[Job<'_>], apart: u64) {
    let bytes = |name: &str| jobs.iter().find(|job| job.name == name).and_then(|job| job.bytes);
    if let (Some(ours), Some(whole)) = (bytes("pack, zstd 1"), bytes("zstd -1")) {
        let _ = writeln!(
            text,
            "Bytes at zstd 1: {ours}; {:.3} times what zstd makes of each MiB by itself ({apart}), \
             {:.3} times what it makes of the whole file ({whole}).\n",
            ours as f64 / apart.max(1) as f64,
            ours as f64 / whole.max(1) as f64,
        );
    }
}

fn all(text: &mut String, files: &Files, jobs: &[Job<'_>]) {
    text.push_str("| run | seconds | GB/s of what is not zero | processor seconds per GiB | ");
    text.push_str("peak MiB | bytes |\n|---|---|---|---|---|---|\n");
    for job in jobs {
        let Some(seconds) = Spread::of(job, time) else { continue };
        let Some(processors) = Spread::of(job, |cost| cost.processors.as_secs_f64()) else {
            continue;
        };
        let speed = files.nonzero as f64 / 1e9 / seconds.median;
        let per = processors.median / (files.size as f64 / GIB);
        let peak = job.costs.iter().filter_map(|cost| cost.memory).max();
        let peak = peak.map_or(String::new(), |bytes| (bytes >> 20).to_string());
        let bytes = job.bytes.map_or(String::new(), |bytes| bytes.to_string());
        let name = &job.name;
        let _ = writeln!(text, "| {name} | {seconds} | {speed:.2} | {per:.3} | {peak} | {bytes} |");
    }
}

fn time(cost: &Cost) -> f64 {
    cost.time.as_secs_f64()
}

/// The middle of what was measured, and its ends.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(job: &Job<'_>, value: impl Fn(&Cost) -> f64) -> Option<Self> {
        let mut values: Vec<_> = job.costs.iter().map(value).collect();
        values.sort_unstable_by(f64::total_cmp);
        let median = *values.get(values.len() / 2)?;
        Some(Self { median, least: *values.first()?, most: *values.last()? })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let show = |seconds: f64| {
            let digits =
                if Duration::from_secs_f64(seconds) < Duration::from_millis(100) { 4 } else { 3 };
            format!("{seconds:.digits$}")
        };
        write!(f, "{} ({} to {})", show(self.median), show(self.least), show(self.most))
    }
}
