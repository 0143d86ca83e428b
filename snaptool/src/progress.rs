//! How far long work is: on stderr, as one line for people who wait, or as JSON for programs.
//!
//! The line appears after a second, only on a terminal, and never touches stdout. It has no
//! colours, so it has nothing to do for `NO_COLOR`; on a terminal that cannot go back in a line
//! (`TERM=dumb`), and with `--quiet`, it never appears.
//!
//! JSON comes wherever stderr goes, an object per line, a few per second, and one at the end:
//!
//! ```text
//! {"progress":{"command":"pack","input":"vm.ckp","done":4096,"total":8192,"last":false}}
//! ```

use std::io::{self, IsTerminal as _, Read, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// What is quicker than this shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// Redraws per second.
const RATE: u8 = 8;

/// Between two lines of JSON.
const PAUSE: Duration = Duration::from_millis(1000 / RATE as u64);

/// What a command that takes its time lets its users say about progress.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Options {
    /// How to tell on stderr what is done.
    #[arg(long = "progress", value_enum, default_value_t = How::Auto, value_name = "HOW")]
    how: How,
}

/// A way to tell progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum How {
    /// A line on a terminal, once work takes longer than a second.
    #[default]
    Auto,
    /// Not at all.
    None,
    /// A JSON object per line, at most 8 per second, and one at the end of each input whose memory
    /// is read.
    Json,
}

impl Options {
    /// The mode for a command's work on an input, whose name is safe to show.
    #[must_use]
    pub fn of(self, command: &'static str, input: &str) -> Mode {
        match self.how {
            How::Auto => Mode::Terminal,
            How::None => Mode::None,
            How::Json => Mode::Json(Work { command, input: input.to_owned() }),
        }
    }
}

/// Whom progress is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nobody.
    None,
    /// People, if they sit at a terminal and have waited for a while.
    Terminal,
    /// Programs.
    Json(Work),
}

impl Mode {
    /// Tells nobody who did not ask for it, if it is to be quiet.
    #[must_use]
    pub fn quiet(self, quiet: bool) -> Self {
        if quiet && self == Self::Terminal { Self::None } else { self }
    }
}

impl From<bool> for Mode {
    /// Whether to be quiet.
    fn from(quiet: bool) -> Self {
        Self::Terminal.quiet(quiet)
    }
}

/// What a line of JSON is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Work {
    command: &'static str,
    input: String,
}

/// A line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    progress: Told<'a>,
}

/// What it says.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    work: &'a Work,
    done: u64,
    total: Option<u64>,
    last: bool,
}

impl Told<'_> {
    /// With one call, so that lines stay whole. Nobody to tell if stderr is gone.
    fn tell(self) {
        if let Ok(mut line) = serde_json::to_vec(&Line { progress: self }) {
            line.push(b'\n');
            let _ = io::stderr().lock().write_all(&line);
        }
    }
}

/// A count of bytes done. Threads may share it; dropping it removes the line, or writes the last.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    work: Option<Work>,
    /// When to appear; `None` once that is decided. With JSON: when to write the next line.
    appear: Mutex<Option<Instant>>,
}

impl Progress {
    /// Starts counting. `label` is a word or two; `total` is unknown for a pipe; `mode` may be
    /// given as whether to be quiet.
    #[must_use]
    pub fn new(label: &'static str, total: Option<u64>, mode: impl Into<Mode>) -> Self {
        match mode.into() {
            Mode::Json(work) => {
                let mut progress = Self::with_patience(label, total, Some(PAUSE));
                progress.work = Some(work);
                progress
            }
            Mode::Terminal if can_draw() => Self::with_patience(label, total, Some(PATIENCE)),
            Mode::Terminal | Mode::None => Self::with_patience(label, total, None),
        }
    }

    fn with_patience(label: &'static str, total: Option<u64>, patience: Option<Duration>) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let template = match total {
            Some(_) => "{msg} [{bar:24}] {percent:>3}% of {binary_total_bytes}, {eta} left",
            None => "{msg} {binary_bytes} so far, {binary_bytes_per_sec}",
        };
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        bar.set_message(label);
        let appear = patience.and_then(|patience| Instant::now().checked_add(patience));
        Self { bar, work: None, appear: Mutex::new(appear) }
    }

    /// A counter that never shows.
    #[must_use]
    pub fn hidden() -> Self {
        Self::with_patience("", None, None)
    }

    /// Counts bytes that are done. Cheap, but call it per extent rather than per page.
    pub fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
        // Another thread is deciding: then this one need not.
        if let Ok(mut appear) = self.appear.try_lock()
            && appear.is_some_and(|at| at <= Instant::now())
        {
            match &self.work {
                Some(work) => {
                    self.told(work, false).tell();
                    *appear = Instant::now().checked_add(PAUSE);
                }
                None => {
                    *appear = None;
                    self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(RATE));
                }
            }
        }
    }

    /// Counts what is read of `input`.
    pub fn reading<R: Read>(&self, input: R) -> Counted<'_, R> {
        Counted { input, progress: self }
    }

    fn told<'a>(&self, work: &'a Work, last: bool) -> Told<'a> {
        let total = self.bar.length();
        // What is damaged is read a second time.
        let done = self.done().min(total.unwrap_or(u64::MAX));
        Told { work, done, total, last }
    }

    /// How many bytes were counted.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.bar.position()
    }

    /// Runs something that writes to the terminal, with the line out of its way.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(work) = &self.work {
            self.told(work, true).tell();
        }
        self.bar.finish_and_clear();
    }
}

/// An input whose bytes are counted as they are read.
#[derive(Debug)]
pub struct Counted<'a, R> {
    input: R,
    progress: &'a Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buf)?;
        self.progress.add(count as u64);
        Ok(count)
    }
}

fn can_draw() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    io::stderr().is_terminal() && !dumb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_whether_shown_or_not() {
        for total in [None, Some(10), Some(0)] {
            let progress = Progress::with_patience("packing", total, Some(Duration::ZERO));
            progress.add(7);
            progress.add(7);
            assert_eq!(progress.done(), 14);
            assert!(progress.appear.lock().unwrap().is_none());
        }
    }

    #[test]
    fn quiet_never_decides_to_appear() {
        let progress = Progress::new("packing", Some(10), true);
        progress.add(7);
        assert!(progress.appear.lock().unwrap().is_none());
        assert!(progress.bar.is_hidden());
        assert_eq!(progress.aside(|| 3), 3);
    }

    #[test]
    fn quiet_silences_only_what_nobody_asked_for() {
        let mode = |how, quiet| Options { how }.of("pack", "a").quiet(quiet);
        let json = Mode::Json(Work { command: "pack", input: "a".to_owned() });
        assert_eq!(mode(How::Auto, false), Mode::from(false));
        assert_eq!(mode(How::Auto, true), Mode::from(true));
        assert_eq!(mode(How::Auto, true), mode(How::None, false));
        assert_eq!([mode(How::Json, false), mode(How::Json, true)], [json.clone(), json]);
    }

    #[test]
    fn what_json_says_is_what_was_counted() {
        for total in [None, Some(14)] {
            let work = Work { command: "pack", input: "a\"b".to_owned() };
            let progress = Progress::new("packing", total, Mode::Json(work.clone()));
            let read = io::copy(&mut progress.reading(&[0; 9][..]), &mut io::sink()).unwrap();
            progress.add(5);
            let line = serde_json::to_value(Line { progress: progress.told(&work, true) }).unwrap();
            let expected = serde_json::json!({
                "command": "pack", "input": "a\"b", "done": read + 5, "total": total, "last": true,
            });
            assert_eq!(line, serde_json::json!({ "progress": expected }));
        }
    }
}
