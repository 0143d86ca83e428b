//! Who comes while another source is being answered: told where the target stands, or that it is
//! busy (§4.5).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use tracing::{debug, info};

use super::LAST_WORDS;
use crate::core::{Code, hinted};
use crate::link::{Event, Link};
use crate::stream::message::{By, Hello, Operation, Status, Trouble};
use crate::stream::{Item, Message};
use crate::transport::Connection;

/// More of them at a time are not listened to.
const MOST: usize = 16;

/// What such a visitor is told.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Program and version, for people.
    pub producer: String,
    /// Where the target stands.
    pub status: Status,
    /// How long it may take to say what it wants.
    pub patience: Duration,
}

/// The door: how many stand in it.
#[derive(Clone, Default)]
pub(super) struct Door(Arc<AtomicUsize>);

impl Door {
    /// Has a thread answer a visitor.
    pub(super) fn answer(&self, connection: Connection, answer: Answer) {
        let inside = Inside::enter(&self.0);
        let Some(inside) = inside else {
            info!("a visitor was turned away: there are too many");
            return;
        };
        let work = move || {
            turn_away(connection, answer);
            drop(inside);
        };
        if let Err(error) = thread::Builder::new().name("door".to_owned()).spawn(work) {
            info!(%error, "a visitor was turned away");
        }
    }
}

struct Inside(Arc<AtomicUsize>);

impl Inside {
    fn enter(count: &Arc<AtomicUsize>) -> Option<Self> {
        let inside = Self(count.clone());
        (count.fetch_add(1, Ordering::Relaxed) < MOST).then_some(inside)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers a visitor that nothing else can be done for.
pub fn turn_away(connection: Connection, answer: Answer) {
    let (tell, told) = channel();
    let Ok(link) = Link::start(connection, None, move |event| tell.send(event).is_ok()) else {
        return;
    };
    let begin = Instant::now();
    // One item decides, and nobody waits longer for it than for all others.
    let first = loop {
        match told.recv_timeout(answer.patience.saturating_sub(begin.elapsed())) {
            Ok(Event::Item(item, _)) => match *item {
                Item::Message(message) => break Some(message),
                Item::Part(_) => break None,
            },
            Ok(Event::Heard | Event::Progress) => {}
            _ => break None,
        }
    };
    let said = match first {
        Some(Message::Hello(Hello { by: By::Source(Operation::Status), .. })) => {
            let by = By::Target { record: None };
            let (versions, features) = (vec![1], Vec::new());
            let hello = Hello { versions, producer: answer.producer, features, by };
            vec![Message::Hello(hello), Message::Status(answer.status), Message::Bye]
        }
        Some(Message::Hello(_)) => vec![Message::Error(busy())],
        _ => Vec::new(),
    };
    debug!(answers = said.len(), "a visitor came while another source is answered");
    for message in &said {
        // Whoever is gone is gone.
        let _ = link.outbox().message(message);
    }
    link.close(LAST_WORDS.min(answer.patience));
}

fn busy() -> Trouble {
    let words = "another source is being answered (§4.5)";
    hinted(Code::Busy, words, "try again when that has ended; `migrate status` shows where it is")
}
