//! Measures `snaptool` beside the tools that people use for the same job.
//!
//! All work on the same RAM file, in one folder on memory-backed storage, in turn: every round runs
//! each of them once, so that what else the machine does falls on all alike. The first round is not
//! counted, and what comes back in it is compared with what went in. What is not installed is said,
//! and left out.

pub mod cost;
mod files;
mod guest;
mod image;
mod list;
mod moved;
mod table;

use std::path::PathBuf;

use snaptool::signal::Stop;

use self::cost::Cost;
use self::files::Files;
use self::list::Job;

/// What can be said on the command line.
#[derive(Debug, clap::Parser)]
#[command(name = "peers")]
pub struct Args {
    /// A file of guest RAM, as `bhyvectl --suspend` writes it, or one that is made here: zero:SIZE,
    /// random:SIZE, text:SIZE, or sparse:SIZE, with 1 MiB of text in each GiB. SIZE is as 1G.
    image: String,
    /// How often each is run and counted.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Where to work: on storage that is memory.
    #[arg(long, default_value = "/dev/shm")]
    dir: PathBuf,
    /// Run only what has one of these words in its name.
    #[arg(long)]
    only: Vec<String>,
    /// The number of threads of `snaptool`, and of zstd.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// Runs all, and prints what came of it as tables.
///
/// # Errors
/// Anything that fails, and an output that is not what it has to be.
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<()> {
    let files = Files::lay_out(&args.image, &args.dir)?;
    let (mut jobs, missing) = list::jobs(&files, args);
    for what in &missing {
        eprintln!("left out: {what}");
    }
    for round in 0..=args.rounds {
        for job in &mut jobs {
            stop.check()?;
            job.clean();
            eprintln!("round {round} of {}: {}", args.rounds, job.name);
            let cost = (job.run)()?;
            if round == 0 {
                job.check(&files)?;
            } else {
                job.costs.push(cost);
            }
        }
    }
    let each = files.compressed_apart(1, 1 << 20)?;
    print!("{}", table::report(args, &files, &jobs, each));
    Ok(())
}

/// Runs one job; a job that is not only a command does it in its own way.
type Run<'a> = Box<dyn FnMut() -> anyhow::Result<Cost> + 'a>;

impl Job<'_> {
    fn clean(&self) {
        for path in &self.writes {
            // The first time there is none.
            let _ = std::fs::remove_file(path);
        }
    }

    /// What came back is what went in.
    fn check(&mut self, files: &Files) -> anyhow::Result<()> {
        if let Some(ram) = &self.gives_back {
            anyhow::ensure!(files.is_ram(ram)?, "{}: not what went in", self.name);
        }
        if let Some(path) = self.writes.first() {
            self.bytes = Some(std::fs::metadata(path)?.len());
        }
        Ok(())
    }
}
