//! Any message, and whether there is surely nothing wrong with it.

use arbitrary::{Result, Unstructured};
use migrate::handover::{self, Body};
use migrate::stream::Message;
use migrate::stream::message::{
    By, Disk, Facts, Finding, Grade, Have, Hello, Host, Needs, Operation, PartsEnd, Report, Status,
    Trouble,
};
use migrate::{Identity, Session};
use snapfmt::Digest;
use snapfmt::state::host::Hex;

/// Chooses values, and keeps in mind whether one of them may be wrong.
struct Chooser<'a, 'b> {
    u: &'a mut Unstructured<'b>,
    good: bool,
}

pub(super) fn message(u: &mut Unstructured<'_>) -> Result<(Message, bool)> {
    let mut chooser = Chooser { u, good: true };
    let message = chooser.message()?;
    Ok((message, chooser.good))
}

impl Chooser<'_, '_> {
    fn message(&mut self) -> Result<Message> {
        Ok(match self.u.int_in_range(0..=17)? {
            0 => Message::Hello(self.hello()?),
            1 => Message::Facts(Facts { host: self.host()?, needs: self.needs()? }),
            2 => {
                let (host, findings) = (self.host()?, self.some(Self::finding)?);
                Message::Report(Report { host, findings })
            }
            3 => Message::Begin { overrides: self.some(Self::text)? },
            4 => Message::Have(self.have()?),
            5 => Message::State { rehearsal: self.u.arbitrary()? },
            6 => Message::StateEnd(self.end()?),
            7 => Message::StateDone { warnings: self.some(Self::text)? },
            8 => Message::Round { round: self.number()?, parent: self.digest()? },
            9 => Message::RoundEnd {
                round: self.number()?,
                parts: self.end()?,
                stored: self.number()?,
                root: self.digest()?,
            },
            10 => Message::RoundDone { round: self.number()?, root: self.digest()? },
            11 => Message::Ack { parts: self.number()?, stored: self.number()? },
            12 => Message::Handover(self.handover()?),
            13 => Message::Copied { content: self.digest()? },
            14 => Message::Status(self.status()?),
            15 => Message::Ping,
            16 => Message::Error(Trouble {
                code: self.text()?,
                words: self.text()?,
                hint: self.maybe(Self::text)?,
                lines: self.some(Self::text)?,
            }),
            _ => Message::Bye,
        })
    }

    fn hello(&mut self) -> Result<Hello> {
        let versions = if self.u.ratio(7, 8)? {
            (1..=self.u.int_in_range(1..=16)?).collect()
        } else {
            self.good = false;
            self.u.arbitrary()?
        };
        let features = if self.u.ratio(3, 4)? {
            vec!["dirty-log".to_owned(); self.u.int_in_range(0..=1)?]
        } else {
            self.good = false;
            self.some(Self::text)?
        };
        let by = match self.u.int_in_range(0..=4)? {
            0 => By::Source(Operation::Plan),
            1 => By::Source(Operation::Status),
            2 => By::Source(Operation::Copy),
            3 => {
                let (session, epoch) = (self.session()?, self.number()?);
                By::Source(Operation::Migrate { session, epoch })
            }
            _ => By::Target { record: self.maybe(Self::text)? },
        };
        Ok(Hello { versions, producer: self.text()?, features, by })
    }

    fn host(&mut self) -> Result<Host> {
        let mut host = Host::default();
        let facts = &mut host.facts;
        facts.cpu_family = self.u.arbitrary()?;
        facts.xcr0 = self.u.arbitrary::<Option<u64>>()?.map(|mask| Hex(mask | 1));
        facts.tsc_frequency = self.u.arbitrary()?;
        facts.virtual_interrupt_delivery = self.u.arbitrary()?;
        if self.u.ratio(1, 8)? {
            self.good = false;
            facts.schema = self.u.int_in_range(0..=2)?;
            facts.page_size = self.u.arbitrary()?;
            facts.linear_bits = self.u.arbitrary()?;
        }
        facts.os = self.maybe(Self::text)?;
        if self.u.ratio(1, 4)? {
            host.facts.unknown.insert("asids".to_owned(), self.text()?);
        }
        host.bhyve = self.maybe(Self::text)?;
        (host.memory, host.room) = (self.maybe(Self::number)?, self.maybe(Self::number)?);
        host.disks = self.some(Self::disk)?;
        Ok(host)
    }

    fn disk(&mut self) -> Result<Disk> {
        let (path, size) = (self.text()?, self.number()?);
        Ok(Disk { path, size, identity: self.maybe(Self::text)? })
    }

    fn needs(&mut self) -> Result<Needs> {
        Ok(Needs {
            name: self.text()?,
            arch: self.text()?,
            ncpus: self.number()?,
            memsize: self.number()?,
            stored: self.number()?,
            disks: self.some(Self::disk)?,
        })
    }

    fn finding(&mut self) -> Result<Finding> {
        let grades = [Grade::Same, Grade::Works, Grade::MayFail, Grade::Refused];
        Ok(Finding {
            subject: self.text()?,
            grade: *self.u.choose(&grades)?,
            source: self.maybe(Self::text)?,
            target: self.maybe(Self::text)?,
            reason: self.text()?,
            option: self.maybe(Self::text)?,
        })
    }

    fn have(&mut self) -> Result<Have> {
        let root = self.digest()?;
        let block = 1 << self.u.int_in_range(16..=22)?;
        let roots = match self.u.int_in_range(0..=8)? {
            0 => {
                return Ok(Have { root, block, first: 0, roots: vec![], last: true });
            }
            1 => 4096,
            few => few,
        };
        let (first, last) = (self.number()?, self.u.arbitrary()?);
        let have = Have { root, block, first, roots: vec![root; roots], last };
        if self.u.ratio(7, 8)? {
            return Ok(have);
        }
        self.good = false;
        let (block, roots) = (self.number()?, vec![root; self.u.int_in_range(0..=1)? * 4097]);
        Ok(Have { block, roots, ..have })
    }

    fn handover(&mut self) -> Result<handover::Message> {
        let (session, epoch, content) = (self.session()?, self.number()?, self.digest()?);
        let bodies = [
            Body::Offer,
            Body::Ready,
            Body::Commit,
            Body::Owner,
            Body::Running,
            Body::Kept,
            Body::Done,
            Body::Release,
            Body::Released,
            Body::NoRecord,
            Body::Claimed(self.number()?),
            Body::Superseded,
        ];
        let identity = Identity { session, epoch, content };
        Ok(handover::Message { identity, body: *self.u.choose(&bodies)? })
    }

    fn status(&mut self) -> Result<Status> {
        Ok(Status {
            phase: self.text()?,
            standing: self.text()?,
            vm: self.maybe(Self::text)?,
            session: self.maybe(Self::session)?,
            epoch: self.maybe(Self::number)?,
            content: self.maybe(Self::digest)?,
            question: self.maybe(Self::text)?,
        })
    }

    fn end(&mut self) -> Result<PartsEnd> {
        Ok(PartsEnd { parts: self.number()?, digest: self.digest()? })
    }

    fn number(&mut self) -> Result<u64> {
        self.u.arbitrary()
    }

    fn digest(&mut self) -> Result<Digest> {
        Ok(Digest::from_bytes([self.u.arbitrary()?; 32]))
    }

    fn session(&mut self) -> Result<Session> {
        Ok(Session::from_bytes([self.u.arbitrary()?; 16]))
    }

    /// Some text; one with a NUL cannot be sent, nor can one that is too long.
    fn text(&mut self) -> Result<String> {
        if self.u.ratio(1, 64)? {
            self.good = false;
            return Ok("n".repeat(self.u.int_in_range(1000..=70_000)?));
        }
        let length = self.u.int_in_range(0..=12)?;
        let text = String::from_utf8_lossy(self.u.bytes(length.min(self.u.len()))?).into_owned();
        self.good &= !text.contains('\0');
        Ok(text)
    }

    fn maybe<T>(&mut self, make: impl Fn(&mut Self) -> Result<T>) -> Result<Option<T>> {
        if self.u.arbitrary()? { make(self).map(Some) } else { Ok(None) }
    }

    fn some<T>(&mut self, make: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        (0..self.u.int_in_range(0..=3)?).map(|_| make(self)).collect()
    }
}
