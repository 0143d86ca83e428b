//! How far long work is: one line on stderr, for people who wait.
//!
//! It appears after a second, only on a terminal, and never touches stdout. It has no colours, so
//! it has nothing to do for `NO_COLOR`; on a terminal that cannot go back in a line (`TERM=dumb`),
//! and with `--quiet`, it never appears.

use std::io::{self, IsTerminal as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is quicker than this shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// Redraws per second.
const RATE: u8 = 8;

/// A count of bytes done. Threads may share it; dropping it removes the line.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// When to appear; `None` once that is decided.
    appear: Mutex<Option<Instant>>,
}

impl Progress {
    /// Starts counting. `label` is a word or two; `total` is unknown for a pipe.
    #[must_use]
    pub fn new(label: &'static str, total: Option<u64>, quiet: bool) -> Self {
        Self::with_patience(label, total, if quiet || !can_draw() { None } else { Some(PATIENCE) })
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
        Self { bar, appear: Mutex::new(appear) }
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
            *appear = None;
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(RATE));
        }
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
        self.bar.finish_and_clear();
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
}
