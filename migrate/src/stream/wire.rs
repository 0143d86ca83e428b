//! Messages as packed lists and back (§2.9): one struct for each that has pairs, in the order of
//! the specification.
//!
//! What a value may be is `values`' business; both ways go by it, so that nothing is sent that is
//! not taken.

use serde::{Deserialize, Serialize};
use snapfmt::nvlist::from_view;
use snapfmt::nvlist::serde::binary;
use snapfmt::part::pairs;
use snapfmt::{Digest, digest};

use super::error::Fault;
use super::kind::Kind;
use super::message::{
    By, Facts, Have, Hello, Message, Operation, PartsEnd, Report, Status, Trouble,
};
use super::values;
use crate::handover;
use crate::identity::{Epoch, Identity, Session};

/// Others are passed over, here alone: what the peer can besides is not known beforehand.
#[derive(Serialize, Deserialize)]
struct HelloPairs {
    #[serde(default)]
    versions: Vec<u64>,
    producer: String,
    role: String,
    #[serde(default)]
    features: Vec<String>,
    operation: Option<String>,
    session: Option<Session>,
    epoch: Option<Epoch>,
    record: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BeginPairs {
    #[serde(default)]
    overrides: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HavePairs {
    root: Digest,
    block: u64,
    first: u64,
    #[serde(default, with = "binary")]
    roots: Vec<u8>,
    last: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatePairs {
    rehearsal: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateEndPairs {
    parts: u64,
    digest: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateDonePairs {
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoundPairs {
    round: u64,
    parent: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoundEndPairs {
    round: u64,
    parts: u64,
    stored: u64,
    digest: Digest,
    root: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoundDonePairs {
    round: u64,
    root: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AckPairs {
    parts: u64,
    stored: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HandoverPairs {
    session: Session,
    epoch: Epoch,
    content: Digest,
    body: String,
    claim: Option<Epoch>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CopiedPairs {
    content: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusPairs {
    status: Status,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoPairs {}

/// The type of a message and its packed list.
pub(super) fn encode(message: &Message) -> Result<(Kind, Vec<u8>), Fault> {
    values::check(message)?;
    let (kind, nvlist) = pack(message);
    let nvlist = nvlist.map_err(|fault| Fault::Form(Box::new(fault)))?;
    let (found, limit) = (nvlist.len() as u64, kind.limit());
    if found > limit.into() {
        return Err(Fault::Size { found, limit });
    }
    Ok((kind, nvlist))
}

fn pack(message: &Message) -> (Kind, Result<Vec<u8>, snapfmt::Fault>) {
    use pairs::pack;
    match message.clone() {
        Message::Hello(hello) => (Kind::Hello, pack(&HelloPairs::from(hello))),
        Message::Facts(facts) => (Kind::Facts, pack(&facts)),
        Message::Report(report) => (Kind::Report, pack(&report)),
        Message::Begin { overrides } => (Kind::Begin, pack(&BeginPairs { overrides })),
        Message::Have(Have { root, block, first, roots, last }) => {
            let roots = roots.iter().flat_map(Digest::as_bytes).copied().collect();
            (Kind::Have, pack(&HavePairs { root, block, first, roots, last }))
        }
        Message::State { rehearsal } => (Kind::State, pack(&StatePairs { rehearsal })),
        Message::StateEnd(PartsEnd { parts, digest }) => {
            (Kind::StateEnd, pack(&StateEndPairs { parts, digest }))
        }
        Message::StateDone { warnings } => (Kind::StateDone, pack(&StateDonePairs { warnings })),
        Message::Round { round, parent } => (Kind::Round, pack(&RoundPairs { round, parent })),
        Message::RoundEnd { round, parts: PartsEnd { parts, digest }, stored, root } => {
            (Kind::RoundEnd, pack(&RoundEndPairs { round, parts, stored, digest, root }))
        }
        Message::RoundDone { round, root } => {
            (Kind::RoundDone, pack(&RoundDonePairs { round, root }))
        }
        Message::Ack { parts, stored } => (Kind::Ack, pack(&AckPairs { parts, stored })),
        Message::Handover(message) => (Kind::Handover, pack(&HandoverPairs::from(message))),
        Message::Copied { content } => (Kind::Copied, pack(&CopiedPairs { content })),
        Message::Status(status) => (Kind::Status, pack(&StatusPairs { status })),
        Message::Ping => (Kind::Ping, pack(&NoPairs {})),
        Message::Error(trouble) => (Kind::Error, pack(&trouble)),
        Message::Bye => (Kind::Bye, pack(&NoPairs {})),
    }
}

/// The message of a list whose digest has matched.
pub(super) fn decode(kind: Kind, list: &[u8]) -> Result<Message, Fault> {
    let message = unpack(kind, list)?;
    values::check(&message)?;
    Ok(message)
}

fn unpack(kind: Kind, list: &[u8]) -> Result<Message, Fault> {
    Ok(match kind {
        Kind::Hello => Message::Hello(read::<HelloPairs>(list)?.try_into()?),
        Kind::Facts => Message::Facts(read::<Facts>(list)?),
        Kind::Report => Message::Report(read::<Report>(list)?),
        Kind::Begin => {
            let BeginPairs { overrides } = read(list)?;
            Message::Begin { overrides }
        }
        Kind::Have => Message::Have(read::<HavePairs>(list)?.try_into()?),
        Kind::State => {
            let StatePairs { rehearsal } = read(list)?;
            Message::State { rehearsal }
        }
        Kind::StateEnd => {
            let StateEndPairs { parts, digest } = read(list)?;
            Message::StateEnd(PartsEnd { parts, digest })
        }
        Kind::StateDone => {
            let StateDonePairs { warnings } = read(list)?;
            Message::StateDone { warnings }
        }
        Kind::Round => {
            let RoundPairs { round, parent } = read(list)?;
            Message::Round { round, parent }
        }
        Kind::RoundEnd => {
            let RoundEndPairs { round, parts, stored, digest, root } = read(list)?;
            Message::RoundEnd { round, parts: PartsEnd { parts, digest }, stored, root }
        }
        Kind::RoundDone => {
            let RoundDonePairs { round, root } = read(list)?;
            Message::RoundDone { round, root }
        }
        Kind::Ack => {
            let AckPairs { parts, stored } = read(list)?;
            Message::Ack { parts, stored }
        }
        Kind::Handover => Message::Handover(read::<HandoverPairs>(list)?.try_into()?),
        Kind::Copied => {
            let CopiedPairs { content } = read(list)?;
            Message::Copied { content }
        }
        Kind::Status => {
            let StatusPairs { status } = read(list)?;
            Message::Status(status)
        }
        Kind::Ping => read(list).map(|NoPairs {}| Message::Ping)?,
        Kind::Error => Message::Error(read::<Trouble>(list)?),
        Kind::Bye => read(list).map(|NoPairs {}| Message::Bye)?,
    })
}

/// Reads a list; its form first.
fn read<'a, T: Deserialize<'a>>(list: &'a [u8]) -> Result<T, Fault> {
    let view = pairs::view(list).map_err(|fault| Fault::Form(Box::new(fault)))?;
    from_view(view).map_err(|error| Fault::Pairs(error.to_string()))
}

impl From<Hello> for HelloPairs {
    fn from(Hello { versions, producer, features, by }: Hello) -> Self {
        let mut pairs = Self {
            versions,
            producer,
            role: String::new(),
            features,
            operation: None,
            session: None,
            epoch: None,
            record: None,
        };
        match by {
            By::Target { record } => {
                pairs.role = values::TARGET.to_owned();
                pairs.record = record;
            }
            By::Source(operation) => {
                pairs.role = values::SOURCE.to_owned();
                pairs.operation = Some(values::operation_name(operation).to_owned());
                if let Operation::Migrate { session, epoch } = operation {
                    pairs.session = Some(session);
                    pairs.epoch = Some(epoch);
                }
            }
        }
        pairs
    }
}

impl TryFrom<HelloPairs> for Hello {
    type Error = Fault;

    fn try_from(pairs: HelloPairs) -> Result<Self, Fault> {
        let HelloPairs { versions, producer, role, features, operation, .. } = pairs;
        let by = match role.as_str() {
            values::TARGET => {
                values::absent("`operation`", operation.is_some(), "§4.1.3")?;
                values::absent("`session`", pairs.session.is_some(), "§4.1.4")?;
                values::absent("`epoch`", pairs.epoch.is_some(), "§4.1.4")?;
                By::Target { record: pairs.record }
            }
            values::SOURCE => {
                values::absent("`record`", pairs.record.is_some(), "§4.1.5")?;
                let operation = operation.as_deref();
                By::Source(values::operation(operation, (pairs.session, pairs.epoch))?)
            }
            other => return Err(values::role(other)),
        };
        Ok(Self { versions, producer, features, by })
    }
}

impl TryFrom<HavePairs> for Have {
    type Error = Fault;

    fn try_from(pairs: HavePairs) -> Result<Self, Fault> {
        let HavePairs { root, block, first, roots, last } = pairs;
        let (roots, rest) = roots.as_chunks::<{ digest::LEN }>();
        values::whole_roots(rest.len())?;
        let roots = roots.iter().copied().map(Digest::from_bytes).collect();
        Ok(Self { root, block, first, roots, last })
    }
}

impl From<handover::Message> for HandoverPairs {
    fn from(handover::Message { identity, body }: handover::Message) -> Self {
        let claim = match body {
            handover::Body::Claimed(epoch) => Some(epoch),
            _ => None,
        };
        Self {
            session: identity.session,
            epoch: identity.epoch,
            content: identity.content,
            body: body.name().to_ascii_lowercase(),
            claim,
        }
    }
}

impl TryFrom<HandoverPairs> for handover::Message {
    type Error = Fault;

    fn try_from(pairs: HandoverPairs) -> Result<Self, Fault> {
        let HandoverPairs { session, epoch, content, body, claim } = pairs;
        let identity = Identity { session, epoch, content };
        Ok(Self { identity, body: values::body(&body, claim)? })
    }
}
