//! What an earlier process has received is looked at again before the VM becomes this side's, or is
//! started or kept (`stream.md` §7.3).
//!
//! What the source says then waits; anything else is heard as ever, so that neither side takes the
//! other to be gone. Files that are not what arrived give the VM back, while nothing has run. That
//! they cannot be read says nothing of them: nothing changes, and the same command looks again.

use std::thread;

use tracing::{error, info};

use super::target::{Event, Target};
use crate::core::{Code, TargetInput as Input, trouble};
use crate::handover::{self, Body, Resolve, TargetPhase};
use crate::stream::Message;
use crate::stream::message::Trouble;

impl Target {
    /// Whether the machine may go on to own, keep or start with this.
    pub(super) fn needs_check(&self, message: &Message) -> bool {
        let (Message::Handover(said), Some(handover)) = (message, self.handover()) else {
            return false;
        };
        !self.whole
            && matches!(said.body, Body::Commit | Body::Superseded)
            && matches!(handover.phase(), TargetPhase::Ready | TargetPhase::Owner)
            && said.identity == handover.identity()
    }

    /// Has a thread look at what is here; `message` waits for it.
    pub(super) fn check(&mut self, message: Message) {
        self.waiting = Some((self.number, message));
        self.drive(Input::Heard);
        if self.checking {
            return;
        }
        let content = self.handover().map(|handover| handover.identity().content);
        let Some((check, content)) = self.setup.check.clone().zip(content) else {
            let words = "what an earlier process has received cannot be looked at here";
            return self.checked(Err(trouble(Code::Internal, words)));
        };
        info!("what an earlier process has received is looked at");
        let tell = self.tell.clone();
        let work = move || {
            // The loop may have ended.
            let _ = tell.send(Event::Checked(check(content)));
        };
        match thread::Builder::new().name("check".to_owned()).spawn(work) {
            Ok(_) => self.checking = true,
            Err(error) => {
                let words = format!("cannot start a thread: {error}");
                self.checked(Err(trouble(Code::Internal, words)));
            }
        }
    }

    /// Goes on with what waited, gives the VM back, or stays where it is.
    pub(super) fn checked(&mut self, result: Result<(), Trouble>) {
        self.checking = false;
        let waiting = self.waiting.take();
        let here = |number: u64| number == self.number && self.link.is_some();
        let waiting = waiting.and_then(|(number, message)| here(number).then_some(message));
        match result {
            Ok(()) => {
                self.whole = true;
                if let Some(message) = waiting {
                    self.drive(Input::Message(message));
                }
            }
            Err(trouble) if is_of_the_files(&trouble) => {
                error!(words = %trouble.words, "the VM goes back to the source");
                self.drive(Input::Handover(handover::Input::Resolve(Resolve::Back)));
            }
            // That a person stops this process is told by itself.
            Err(_) if self.setup.options.stop.check().is_err() => {}
            Err(trouble) => {
                error!(words = %trouble.words, "nothing is started or kept");
                if waiting.is_some() {
                    self.drive(Input::Failed(trouble));
                }
            }
        }
    }
}

/// Whether the files are known to be no good.
fn is_of_the_files(trouble: &Trouble) -> bool {
    [Code::Content, Code::State].iter().any(|code| code.name() == trouble.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_of_the_files_themselves_gives_the_vm_back() {
        let given_back = |code| is_of_the_files(&trouble(code, "words"));
        assert!(given_back(Code::Content) && given_back(Code::State));
        for code in [Code::Internal, Code::Room, Code::Stopped, Code::Journal, Code::Timeout] {
            assert!(!given_back(code), "{code:?}");
        }
    }
}
