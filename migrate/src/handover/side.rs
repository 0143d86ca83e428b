//! What both sides keep in the same way: the record on its way, the connection, who is believed.

use super::event::{Action, Refused};
use super::message::{Body, Message};
use crate::identity::{Epoch, Identity};
use crate::journal::{Entry, Evidence, Kind, Record, Role};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Side {
    pub(super) role: Role,
    pub(super) identity: Identity,
    /// The highest epoch that either side has claimed, or the identity's.
    pub(super) highest: Epoch,
    /// The record that is not durable yet. Until it is, nothing else happens.
    pub(super) writing: Option<Entry>,
    pub(super) connected: bool,
    /// Since this process began, nobody can have claimed the VM at the peer without lying: it wrote
    /// the journal's first record itself, or has heard from a peer that had not been claimed.
    pub(super) confirmed: bool,
    /// The same for ever: the peer's journal has an end from which it cannot be claimed.
    pub(super) settled: bool,
    /// The epoch at which the peer says that it owns the VM, against what this side knows.
    pub(super) dispute: Option<Epoch>,
    /// The peer has given the VM up, and this side does not have it.
    pub(super) nobody: bool,
    pub(super) halted: bool,
}

impl Side {
    pub(super) fn new(role: Role, identity: Identity) -> Self {
        Self {
            role,
            identity,
            highest: identity.epoch,
            writing: None,
            connected: false,
            confirmed: true,
            settled: false,
            dispute: None,
            nobody: false,
            halted: false,
        }
    }

    /// After a restart nothing is known but what is durable.
    pub(super) fn forget(&mut self) {
        self.writing = None;
        self.connected = false;
        self.confirmed = false;
        self.dispute = None;
        self.nobody = false;
        self.halted = false;
    }

    pub(super) fn trusted(&self) -> bool {
        self.confirmed || self.settled
    }

    pub(super) fn entry(&self, kind: Kind) -> Entry {
        Entry { role: self.role, kind, evidence: None, identity: self.identity }
    }

    /// Asks for a record. Whoever calls this has seen that none is on its way.
    pub(super) fn write(&mut self, entry: Entry) -> Vec<Action> {
        self.writing = Some(entry);
        vec![Action::Write(entry)]
    }

    pub(super) fn write_kind(&mut self, kind: Kind) -> Vec<Action> {
        self.write(self.entry(kind))
    }

    pub(super) fn write_superseded(&mut self, by: Epoch) -> Vec<Action> {
        let identity = Identity { epoch: by, ..self.identity };
        self.write(Entry { identity, ..self.entry(Kind::Superseded) })
    }

    pub(super) fn write_claim(&mut self, evidence: Evidence) -> Result<Vec<Action>, Refused> {
        let epoch = self.highest.checked_add(1).ok_or(Refused::LastEpoch)?;
        let identity = Identity { epoch, ..self.identity };
        let evidence = Some(evidence);
        Ok(self.write(Entry { identity, evidence, ..self.entry(Kind::Claimed) }))
    }

    /// The peer can no longer claim the VM; remembered once.
    pub(super) fn settle(&mut self) -> Vec<Action> {
        self.dispute = None;
        if self.settled { Vec::new() } else { self.write_kind(Kind::Settled) }
    }

    /// What the records that both sides have in common change.
    pub(super) fn enter(&mut self, entry: &Entry) {
        self.highest = self.highest.max(entry.identity.epoch);
        self.nobody = false;
        match entry.kind {
            Kind::Claimed => (self.confirmed, self.settled, self.dispute) = (true, false, None),
            Kind::Superseded | Kind::Released => self.dispute = None,
            Kind::Settled => (self.settled, self.dispute) = (true, None),
            _ => {}
        }
    }

    /// Both sides own the VM, it seems. The first time, the peer is told what this side says.
    pub(super) fn contest(&mut self, epoch: Epoch, say: Vec<Action>) -> Vec<Action> {
        self.highest = self.highest.max(epoch);
        if self.dispute.replace(epoch).is_some() { Vec::new() } else { say }
    }

    /// A message to the peer, if there is a connection.
    pub(super) fn send(&self, body: Body) -> Vec<Action> {
        let message = Message { identity: self.identity, body };
        if self.connected { vec![Action::Send(message)] } else { Vec::new() }
    }

    /// Whether a message is about this hand-over.
    pub(super) fn check(&self, message: &Message) -> Result<(), Refused> {
        let Identity { session, epoch, content } = message.identity;
        if (session, epoch) != (self.identity.session, self.identity.epoch) {
            return Err(Refused::OtherSession);
        }
        // Only READY tells a content that is still to be compared.
        if content != self.identity.content && message.body != Body::Ready {
            return Err(Refused::OtherContent);
        }
        Ok(())
    }

    /// A claim needs a peer that cannot be heard; after fencing, it may still look connected.
    pub(super) fn check_evidence(&self, evidence: Evidence) -> Result<(), Refused> {
        if evidence == Evidence::PeerIsOff && self.connected {
            return Err(Refused::PeerIsOn);
        }
        Ok(())
    }

    /// Whether a record of a journal can belong to this hand-over.
    pub(super) fn has(&self, record: &Record) -> bool {
        let Identity { session, epoch, content } = record.entry.identity;
        let epoch_fits = match record.entry.kind {
            Kind::Claimed => epoch > self.highest,
            Kind::Superseded => epoch >= self.identity.epoch,
            _ => epoch == self.identity.epoch,
        };
        session == self.identity.session && content == self.identity.content && epoch_fits
    }
}
