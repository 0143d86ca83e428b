//! Threads that make parts: of the state, of a round.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Context as _;
use snapfmt::part::vm::Vm;
use snaptool::exit;
use snaptool::signal::Stopped;

use crate::core::{Blocks, Code, SourceInput, trouble};
use crate::link::{Outbox, Unsent};
use crate::origin::{Origin, PartSink};
use crate::stream::message::Trouble;
use crate::stream::{Outgoing, PartsDigest};

/// Takes parts to the queue of a connection, and counts them.
struct Sink {
    outbox: Outbox,
    parts: PartsDigest,
    stored: u64,
    scanned: Arc<AtomicU64>,
}

impl PartSink for Sink {
    fn part(&mut self, part: Outgoing<'static>) -> anyhow::Result<()> {
        let (frame, stored) = (part.digest(), part.stored());
        self.outbox.part(part.into_pieces())?;
        self.parts.add(frame);
        self.stored = self.stored.saturating_add(stored);
        Ok(())
    }

    fn scanned(&mut self, bytes: u64) {
        self.scanned.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The VM part, which is small.
pub(super) fn machine(vm: &Vm) -> anyhow::Result<[Vec<u8>; 3]> {
    let part = Outgoing::new(vm.encode().context("the machine cannot be told")?)?;
    Ok(part.into_pieces())
}

/// What makes parts: from where, to where, and whom it tells what came of it.
#[derive(Clone)]
pub(super) struct Maker<T> {
    pub(super) origin: Arc<dyn Origin>,
    pub(super) outbox: Outbox,
    pub(super) scanned: Arc<AtomicU64>,
    pub(super) tell: T,
}

impl<T: FnOnce(SourceInput) + Send + 'static> Maker<T> {
    fn sink(&self) -> Sink {
        let (outbox, scanned) = (self.outbox.clone(), self.scanned.clone());
        Sink { outbox, parts: PartsDigest::new(), stored: 0, scanned }
    }

    /// Sends META, CONFIG and DEVICE parts. What is offered later is `durable` by then.
    pub(super) fn state(self, durable: bool) -> io::Result<()> {
        self.start("state", move |origin, sink| {
            if durable {
                origin.make_durable()?;
            }
            let records = origin.state(sink)?;
            Ok(SourceInput::StateSent { end: sink.parts.end(), records })
        })
    }

    /// Sends what makes the target's memory the VM's.
    pub(super) fn round(self, have: Option<Blocks>) -> io::Result<()> {
        self.scanned.store(0, Ordering::Relaxed);
        self.start("round", move |origin, sink| {
            let root = origin.round(have.as_ref(), sink)?;
            Ok(SourceInput::RoundSent { end: sink.parts.end(), stored: sink.stored, root })
        })
    }

    fn start(
        self,
        name: &str,
        make: impl FnOnce(&dyn Origin, &mut Sink) -> anyhow::Result<SourceInput> + Send + 'static,
    ) -> io::Result<()> {
        let work = move || {
            let mut sink = self.sink();
            match make(self.origin.as_ref(), &mut sink) {
                Ok(input) => (self.tell)(input),
                // Whoever closed the connection knows why, and so does whoever stops the process.
                Err(error) if error.is::<Unsent>() || stopped(&error) => {}
                Err(error) => (self.tell)(SourceInput::Failed(failed(&error))),
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
    }
}

fn stopped(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause.is::<Stopped>() || inner.is_some_and(|inner| inner.is::<Stopped>())
    })
}

/// What the peer is told of an error of this side.
pub(super) fn failed(error: &anyhow::Error) -> Trouble {
    let hint = exit::hints(error).into_iter().next();
    Trouble { hint, ..trouble(Code::Internal, exit::line(error)) }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use snapfmt::Digest;
    use snapfmt::memory::map::{MemoryMap, Segment};
    use snapfmt::part::config::ConfigText;
    use snapfmt::part::device::RecordId;

    use super::*;

    /// A VM on a disk that keeps nothing.
    struct Lost(Vm);

    impl Origin for Lost {
        fn vm(&self) -> &Vm {
            &self.0
        }

        fn stored(&self) -> u64 {
            0
        }

        fn config(&self) -> anyhow::Result<Option<ConfigText>> {
            Ok(None)
        }

        fn make_durable(&self) -> anyhow::Result<()> {
            anyhow::bail!("vm.ckp may not be on its disk")
        }

        fn state(&self, _: &mut dyn PartSink) -> anyhow::Result<Vec<RecordId>> {
            Ok(Vec::new())
        }

        fn round(&self, _: Option<&Blocks>, _: &mut dyn PartSink) -> anyhow::Result<Digest> {
            anyhow::bail!("there is no memory")
        }
    }

    #[test]
    fn a_vm_whose_files_may_not_be_on_their_disk_can_be_copied_and_is_not_offered() {
        let memory = MemoryMap::new(vec![Segment { gpa: 0, len: 1 << 20 }]).unwrap();
        let (arch, name) = ("amd64".to_owned(), "vm".to_owned());
        let vm = Vm { arch, name, ncpus: 1, memflags: 0, memory };
        for offers in [false, true] {
            let (tell, told) = mpsc::channel();
            let maker = Maker {
                origin: Arc::new(Lost(vm.clone())),
                outbox: Outbox::new(),
                scanned: Arc::default(),
                tell: move |input| tell.send(input).unwrap(),
            };
            maker.state(offers).unwrap();
            match told.recv().unwrap() {
                SourceInput::StateSent { .. } => assert!(!offers),
                SourceInput::Failed(trouble) => {
                    assert!(offers && trouble.words.contains("may not be on its disk"));
                }
                _ => panic!("something else"),
            }
        }
    }
}
