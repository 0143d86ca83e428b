//! What each side of a migration costs by itself, without a connection: a source that reads, hashes
//! and frames a VM's memory, and a target that checks and writes it. `cargo bench -p tests --bench
//! transfer -- RAM [DIR]`: RAM is guest RAM, raw; the target writes in DIR, memory if it is tmpfs.
//!
//! Prints the median of several rounds, and the processor time of both sides.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use migrate::image::{Image, Options};
use migrate::origin::{Form, Origin as _, PartSink, Snapshot};
use migrate::stream::message::Trouble;
use migrate::stream::{Arrived, Decoder, Item, Outgoing};
use snapfmt::part::codec::Compression;
use snaptool::links::Where;
use snaptool::signal::Stop;

const ROUNDS: usize = 7;

struct Parts(Vec<Arrived>);

impl PartSink for Parts {
    fn part(&mut self, part: Outgoing<'static>) -> anyhow::Result<()> {
        let bytes = part.into_pieces().concat();
        let (mut decoder, mut rest) = (Decoder::new(), bytes.as_slice());
        while !rest.is_empty() {
            let space = decoder.space();
            let len = space.len().min(rest.len());
            let (now, later) = rest.split_at(len);
            space[..len].copy_from_slice(now);
            rest = later;
            if let Some(Item::Part(part)) = decoder.filled(len)? {
                self.0.push(part);
            }
        }
        Ok(())
    }
}

struct Nothing;

impl PartSink for Nothing {
    fn part(&mut self, part: Outgoing<'static>) -> anyhow::Result<()> {
        std::hint::black_box(part);
        Ok(())
    }
}

fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// Runs it a few times and prints the median.
fn measure<T>(
    what: &str,
    size: f64,
    mut prepare: impl FnMut() -> T,
    mut run: impl FnMut(T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (mut times, mut spent) = (Vec::new(), 0.0);
    for _ in 0..ROUNDS {
        let prepared = prepare();
        let (begin, before) = (Instant::now(), processor());
        run(prepared)?;
        times.push(begin.elapsed().as_secs_f64());
        spent += processor() - before;
    }
    times.sort_by(f64::total_cmp);
    let (least, median, most) = (times[0], times[ROUNDS / 2], times[ROUNDS - 1]);
    println!(
        "{what:<22} {median:.3} s ({least:.3} to {most:.3}), {:.2} GB/s of data, {:.2} s of processor",
        size / median / 1e9,
        spent / ROUNDS as f64
    );
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let ram = PathBuf::from(args.next().context("usage: transfer RAM [DIR]")?);
    let place = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let temp = tempfile::tempdir_in(place)?;
    let base = tests::sets::wrapped(&ram, temp.path())?;
    let stop = Stop::never();
    for compression in [Compression::None, Compression::Zstd(1)] {
        let form = Form { compression, threads: snaptool::pipeline::Threads::default().count() };
        let origin = Snapshot::open(&base, &Where::default(), form, &stop)?;
        let mut parts = Parts(Vec::new());
        origin.round(None, &mut parts)?;
        let stored: u64 = parts.0.iter().map(Arrived::stored).sum();
        println!("{compression:?}: {} parts, {:.1} MB", parts.0.len(), stored as f64 / 1e6);
        let size = stored as f64;
        measure("source", size, || (), |()| origin.round(None, &mut Nothing).map(drop))?;
        let dir = temp.path().join("vm");
        let open = || {
            let _ = std::fs::remove_dir_all(&dir);
            let (policy, host, stop) = (Default::default(), None, stop.clone());
            let options = Options { threads: form.threads, discard: false, policy, host, stop };
            (Image::open(&dir, origin.vm(), None, options), parts.0.clone())
        };
        measure("target", size, open, |(image, parts)| {
            let mut image = image.map_err(failed)?;
            parts.into_iter().try_for_each(|part| image.apply(part)).map_err(failed)?;
            image.end_round().map(drop).map_err(failed)
        })?;
    }
    Ok(())
}

fn failed(trouble: Trouble) -> anyhow::Error {
    anyhow::anyhow!("{}", trouble.words)
}
