//! What people and programs get to know of a run while it lasts.

use std::time::Duration;

use crate::core::SourcePhase;
use crate::handover::Question;
use crate::stream::message::{Report, Status};

/// How far a source is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// The number of the round that is on its way, or was the last.
    pub round: u64,
    /// Bytes of memory that were looked at in it, sent or not.
    pub scanned: u64,
    /// Bytes of memory that there are.
    pub memory: u64,
    /// Bytes that were written to the connection.
    pub sent: u64,
    /// Bytes of payloads that the target has checked and written in this round.
    pub acked: u64,
}

/// Whom a source tells how it goes. Nothing here may wait.
pub trait Show {
    /// It stands here now.
    fn phase(&mut self, phase: SourcePhase);
    /// It has come so far; asked for when `next` is over.
    fn amount(&mut self, amount: Amount);
    /// When it wants to know again, from now.
    fn next(&self) -> Option<Duration>;
    /// What two hosts found out about each other.
    fn report(&mut self, report: &Report);
    /// What rules warn of at the target.
    fn warnings(&mut self, warnings: &[String]);
    /// Where the target stands.
    fn status(&mut self, status: &Status);
    /// What a person has to decide.
    fn question(&mut self, question: Question);
}
