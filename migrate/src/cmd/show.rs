//! How far a migration is: on stderr, as a line for people who wait, or as JSON for programs.
//!
//! ```text
//! {"progress":{"command":"send","input":"vm.ckp","phase":"SendingRound","round":0,
//!   "scanned":4096,"memory":8192,"sent":900,"acked":800,"rate":100,"remaining_ms":41,
//!   "last":false}}
//! ```
//! The line comes after a second, on a terminal that can go back in one, and is gone when all is
//! done. Nothing here touches stdout.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use serde::Serialize;
use snaptool::exit;
use snaptool::text;

use crate::core::SourcePhase;
use crate::driver::{Amount, Show};
use crate::handover::Question;
use crate::stream::message::{Report, Status};

/// What is quicker than this shows no line.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two lines.
const PAUSE: Duration = Duration::from_millis(125);
/// The rate is that of the last few seconds.
const WINDOW: Duration = Duration::from_secs(5);

/// How to tell on stderr what is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum How {
    /// A line on a terminal, once work takes longer than a second.
    #[default]
    Auto,
    /// Not at all.
    None,
    /// A JSON object per line, at most 8 per second, and one at the end.
    Json,
}

/// Tells how far a source is, and keeps what it found out.
#[derive(Debug)]
pub(super) struct Shown {
    command: &'static str,
    input: String,
    how: How,
    begin: Instant,
    next: Option<Instant>,
    drawn: bool,
    phase: SourcePhase,
    amount: Amount,
    pace: Pace,
    quiet: bool,
    /// What two hosts found out.
    pub(super) report: Option<Report>,
    /// Where the target stands.
    pub(super) status: Option<Status>,
}

impl Shown {
    /// For a command and what it sends, whose name is safe to show.
    #[must_use]
    pub(super) fn new(command: &'static str, input: String, how: How, quiet: bool) -> Self {
        let now = Instant::now();
        let next = match how {
            How::Auto if quiet || !can_draw() => None,
            How::Auto => now.checked_add(PATIENCE),
            How::None => None,
            How::Json => Some(now),
        };
        let (phase, amount) = (SourcePhase::Apart, Amount::default());
        let (report, status) = (None, None);
        let (begin, drawn, pace) = (now, false, Pace::default());
        Self { command, input, how, begin, next, drawn, phase, amount, pace, quiet, report, status }
    }

    fn told(&self, last: bool) -> Told<'_> {
        let Amount { round, scanned, memory, sent, acked } = self.amount;
        let rate = self.pace.rate();
        let remaining = self.pace.remaining(memory.saturating_sub(scanned));
        let remaining_ms = remaining.and_then(|left| u64::try_from(left.as_millis()).ok());
        let (command, input, phase) = (self.command, self.input.as_str(), name(self.phase));
        let (scanned, rate) = (scanned.min(memory), rate);
        Told {
            command,
            input,
            phase,
            round,
            scanned,
            memory,
            sent,
            acked,
            rate,
            remaining_ms,
            last,
        }
    }

    fn json(&self, last: bool) {
        if let Ok(mut line) = serde_json::to_vec(&Line { progress: self.told(last) }) {
            line.push(b'\n');
            // With one call, so that lines stay whole. Nobody to tell if stderr is gone.
            let _ = io::stderr().lock().write_all(&line);
        }
    }

    fn words(&self) -> String {
        let Told { scanned, memory, rate, remaining_ms, sent, round, .. } = self.told(false);
        let done = format!("{} of {} of memory", text::size(scanned), text::size(memory));
        let left = remaining_ms.map(|ms| text::duration(Duration::from_millis(ms)));
        let left = left.map_or_else(String::new, |left| format!(", {left} left"));
        match self.phase {
            SourcePhase::SendingRound => format!(
                "round {round}: {done}, {} sent, {}/s{left}",
                text::size(sent),
                text::size(rate)
            ),
            SourcePhase::CheckingRound => "all is sent; the target checks it".to_owned(),
            SourcePhase::SendingState | SourcePhase::CheckingState => {
                "the target checks the state of devices".to_owned()
            }
            SourcePhase::HandingOver => "handing over".to_owned(),
            SourcePhase::Opening => "the target reads what it holds".to_owned(),
            _ => "waiting for the target".to_owned(),
        }
    }

    fn draw(&mut self) {
        let mut words = self.words();
        words.truncate(words.char_indices().nth(78).map_or(words.len(), |(at, _)| at));
        let _ = write!(io::stderr().lock(), "\r\x1b[K{words}");
        self.drawn = true;
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }

    /// Time since it began.
    #[must_use]
    pub(super) fn age(&self) -> Duration {
        self.begin.elapsed()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.clear();
        if self.how == How::Json {
            self.json(true);
        }
    }
}

impl Show for Shown {
    fn phase(&mut self, phase: SourcePhase) {
        if phase != self.phase {
            // The last phase is that of the end.
            self.phase = if phase == SourcePhase::Apart { self.phase } else { phase };
            self.pace = Pace::default();
        }
    }

    fn amount(&mut self, amount: Amount) {
        self.amount = amount;
        self.pace.add(self.begin.elapsed(), amount.scanned, amount.sent);
        let Some(next) = self.next else { return };
        let now = Instant::now();
        if next > now {
            return;
        }
        self.next = now.checked_add(PAUSE);
        match self.how {
            How::Json => self.json(false),
            How::Auto => self.draw(),
            How::None => {}
        }
    }

    fn next(&self) -> Option<Duration> {
        self.next.map(|next| next.saturating_duration_since(Instant::now()))
    }

    fn report(&mut self, report: &Report) {
        self.report = Some(report.clone());
    }

    fn warnings(&mut self, warnings: &[String]) {
        self.clear();
        if !self.quiet {
            for warning in warnings {
                exit::note(&format!("the target: {warning}"));
            }
        }
    }

    fn status(&mut self, status: &Status) {
        self.status = Some(status.clone());
    }

    fn question(&mut self, question: Question) {
        self.clear();
        // That it has to be heard is what is being tried.
        let tries = matches!(question, Question::PeerUnreachable | Question::PeerMayHaveClaimed);
        if !tries {
            exit::warn(&question.to_string());
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    progress: Told<'a>,
}

#[derive(Serialize)]
struct Told<'a> {
    command: &'static str,
    input: &'a str,
    phase: &'static str,
    round: u64,
    scanned: u64,
    memory: u64,
    sent: u64,
    acked: u64,
    rate: u64,
    remaining_ms: Option<u64>,
    last: bool,
}

/// How fast it has been lately.
#[derive(Clone, Debug, Default)]
struct Pace {
    /// Times, with bytes of memory looked at and bytes sent till then.
    seen: std::collections::VecDeque<(Duration, u64, u64)>,
}

impl Pace {
    fn add(&mut self, now: Duration, scanned: u64, sent: u64) {
        while self.seen.len() > 1
            && self.seen.get(1).is_some_and(|(at, _, _)| now.saturating_sub(*at) >= WINDOW)
        {
            self.seen.pop_front();
        }
        self.seen.push_back((now, scanned, sent));
    }

    fn span(&self) -> Option<(Duration, u64, u64)> {
        let (first, last) = (self.seen.front()?, self.seen.back()?);
        let time = last.0.saturating_sub(first.0);
        let scanned = last.1.saturating_sub(first.1);
        (!time.is_zero()).then_some((time, scanned, last.2.saturating_sub(first.2)))
    }

    /// Bytes sent per second.
    fn rate(&self) -> u64 {
        self.span().map_or(0, |(time, _, sent)| {
            let rate = u128::from(sent) * 1000 / time.as_millis().max(1);
            u64::try_from(rate).unwrap_or(u64::MAX)
        })
    }

    /// How long so many bytes of memory take at this pace.
    fn remaining(&self, bytes: u64) -> Option<Duration> {
        let (time, scanned, _) = self.span()?;
        let ms = time.as_millis().checked_mul(bytes.into())?.checked_div(scanned.into())?;
        u64::try_from(ms).ok().map(Duration::from_millis)
    }
}

fn name(phase: SourcePhase) -> &'static str {
    match phase {
        SourcePhase::Apart => "Apart",
        SourcePhase::Greeting => "Greeting",
        SourcePhase::Asking => "Asking",
        SourcePhase::Comparing => "Comparing",
        SourcePhase::Noting => "Noting",
        SourcePhase::Opening => "Opening",
        SourcePhase::SendingState => "SendingState",
        SourcePhase::CheckingState => "CheckingState",
        SourcePhase::SendingRound => "SendingRound",
        SourcePhase::CheckingRound => "CheckingRound",
        SourcePhase::HandingOver => "HandingOver",
        SourcePhase::Leaving => "Leaving",
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
    fn the_pace_is_that_of_the_last_seconds() {
        let mut pace = Pace::default();
        assert_eq!((pace.rate(), pace.remaining(1)), (0, None));
        for second in 0..20 {
            let sent = if second < 10 { second * 1000 } else { 10_000 + (second - 10) * 50 };
            pace.add(Duration::from_secs(second), second * 100, sent);
        }
        assert_eq!(pace.rate(), 50);
        assert_eq!(pace.remaining(1000), Some(Duration::from_secs(10)));
        pace.add(Duration::from_secs(20), 1900, 10_450);
        assert_eq!(pace.remaining(u64::MAX), None);
    }

    #[test]
    fn json_says_what_was_counted() {
        let mut shown = Shown::new("send", "vm".to_owned(), How::None, true);
        shown.phase(SourcePhase::SendingRound);
        let amount = Amount { round: 1, scanned: 9, memory: 8, sent: 3, acked: 2 };
        shown.amount(amount);
        let line = serde_json::to_value(Line { progress: shown.told(false) }).unwrap();
        let expected = serde_json::json!({
            "command": "send", "input": "vm", "phase": "SendingRound", "round": 1, "scanned": 8,
            "memory": 8, "sent": 3, "acked": 2, "rate": 0, "remaining_ms": null, "last": false,
        });
        assert_eq!(line, serde_json::json!({ "progress": expected }));
        assert!(shown.words().starts_with("round 1: 8 B of 8 B of memory, 3 B sent"));
    }
}
