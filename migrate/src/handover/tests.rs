//! Single steps; what follows from them all is explored in `tests`.

use snapfmt::Digest;

use super::*;
use crate::identity::{Identity, SESSION_LEN, Session};
use crate::journal::{Entry, Evidence, Kind, Record};

fn identity() -> Identity {
    let session = Session::from_bytes([1; SESSION_LEN]);
    Identity { session, epoch: 1, content: Digest::of(b"content") }
}

fn said(body: Body) -> Input {
    Input::Message(Message { identity: identity(), body })
}

fn kinds(actions: &[Action]) -> Vec<Kind> {
    let kind = |action: &Action| match action {
        Action::Write(entry) => Some(entry.kind),
        _ => None,
    };
    actions.iter().filter_map(kind).collect()
}

fn bodies(actions: &[Action]) -> Vec<Body> {
    let body = |action: &Action| match action {
        Action::Send(message) => Some(message.body),
        _ => None,
    };
    actions.iter().filter_map(body).collect()
}

fn source(inputs: &[Input]) -> Source {
    let (mut source, _) = Source::begin(identity(), None).unwrap();
    inputs.iter().for_each(|&input| drop(source.handle(input).unwrap()));
    source
}

fn target(inputs: &[Input]) -> Target {
    let (mut target, _) = Target::begin(identity(), Plan::Start, None).unwrap();
    inputs.iter().for_each(|&input| drop(target.handle(input).unwrap()));
    target
}

fn replayed(entries: &[Entry]) -> Vec<Record> {
    (0..).zip(entries).map(|(sequence, &entry)| Record { sequence, entry }).collect()
}

const UP: [Input; 2] = [Input::Connected, Input::Written];

#[test]
fn commit_is_said_when_handed_over_is_durable_and_not_before() {
    let mut source = source(&UP);
    let actions = source.handle(said(Body::Ready)).unwrap();
    assert_eq!((kinds(&actions), bodies(&actions)), (vec![Kind::HandedOver], vec![]));
    assert_eq!(source.standing(), Standing::No);
    assert_eq!(bodies(&source.handle(Input::Written).unwrap()), [Body::Commit]);
}

#[test]
fn commit_is_said_on_every_connection() {
    let mut source = source(&UP);
    for input in [said(Body::Ready), Input::Written, Input::Disconnected] {
        source.handle(input).unwrap();
    }
    assert_eq!(source.question(), Some(Question::PeerUnreachable));
    assert_eq!(bodies(&source.handle(Input::Connected).unwrap()), [Body::Commit]);
}

#[test]
fn another_content_than_offered_is_never_committed() {
    let mut source = source(&UP);
    let other = Identity { content: Digest::of(b"other"), ..identity() };
    let ready = Message { identity: other, body: Body::Ready };
    assert_eq!(kinds(&source.handle(Input::Message(ready)).unwrap()), [Kind::Resuming]);
}

#[test]
fn nothing_is_started_before_owner_and_starting_are_durable() {
    let mut target = target(&UP);
    assert_eq!(kinds(&target.handle(said(Body::Commit)).unwrap()), [Kind::Owner]);
    assert_eq!(target.standing(), Standing::No);
    let actions = target.handle(Input::Written).unwrap();
    assert_eq!((bodies(&actions), kinds(&actions)), (vec![Body::Owner], vec![Kind::Starting]));
    assert!(!actions.contains(&Action::Start));
    assert_eq!(target.handle(Input::Written).unwrap(), [Action::Start]);
}

#[test]
fn ready_outlasts_every_timeout_and_asks_a_person() {
    let mut target = target(&UP);
    for _ in 0..100 {
        let actions = target.handle(Input::Timeout).unwrap();
        assert_eq!(bodies(&actions), [Body::Ready]);
        assert!(actions.contains(&Action::Ask(Question::PeerUnreachable)));
        assert_eq!(target.phase(), TargetPhase::Ready);
    }
}

#[test]
fn a_failed_write_halts_and_nothing_else_is_heard() {
    let mut source = source(&[Input::Connected]);
    let actions = source.handle(Input::WriteFailed).unwrap();
    assert_eq!(actions, [Action::Halt, Action::Ask(Question::JournalFailed)]);
    assert_eq!(source.handle(said(Body::Ready)), Err(Refused::Halted));
}

#[test]
fn messages_of_another_hand_over_or_side_are_refused() {
    let mut target = target(&UP);
    let before = target.clone();
    let session = Session::from_bytes([9; SESSION_LEN]);
    for (identity, refused) in [
        (Identity { session, ..identity() }, Refused::OtherSession),
        (Identity { epoch: 2, ..identity() }, Refused::OtherSession),
        (Identity { content: Digest::of(b"other"), ..identity() }, Refused::OtherContent),
    ] {
        let message = Message { identity, body: Body::Commit };
        assert_eq!(target.handle(Input::Message(message)), Err(refused));
    }
    assert_eq!(target.handle(said(Body::Ready)), Err(Refused::WrongRole));
    assert_eq!(target, before);
}

#[test]
fn a_peer_that_is_connected_is_not_off() {
    let claim = |evidence| Input::Resolve(Resolve::Claim(evidence));
    let mut target = target(&UP);
    assert_eq!(target.handle(claim(Evidence::PeerIsOff)), Err(Refused::PeerIsOn));
    target.handle(Input::Disconnected).unwrap();
    let actions = target.handle(claim(Evidence::PeerIsOff)).unwrap();
    let [Action::Write(entry)] = actions.as_slice() else { panic!("{actions:?}") };
    assert_eq!((entry.kind, entry.identity.epoch), (Kind::Claimed, 2));
}

#[test]
fn the_way_back_ends_where_the_guest_may_have_run() {
    let back = Input::Resolve(Resolve::Back);
    let owner = [UP.as_slice(), &[said(Body::Commit), Input::Written, Input::Written]].concat();
    let mut target = target(&owner);
    assert_eq!(target.handle(back), Err(Refused::Starting));
    target.handle(Input::Guest(Guest::Unknown)).unwrap();
    assert_eq!(target.question(), Some(Question::GuestUnknown));
    assert_eq!(target.handle(back), Err(Refused::NoWayBack));
    assert_eq!(bodies(&target.handle(said(Body::Release)).unwrap()), [Body::Owner]);

    let done = [UP.as_slice(), &[said(Body::Ready), Input::Written, said(Body::Running)]].concat();
    let mut source = source(&[done.as_slice(), &[Input::Written]].concat());
    assert_eq!(source.handle(back), Err(Refused::NoWayBack));
}

#[test]
fn a_restarted_source_takes_nothing_back_before_it_has_heard_from_the_target() {
    let (_, actions) = Source::begin(identity(), None).unwrap();
    let [Action::Write(entry)] = actions.as_slice() else { panic!("{actions:?}") };
    let (mut source, actions) = Source::replay(&replayed(&[*entry])).unwrap().unwrap();
    assert_eq!(actions, [Action::Ask(Question::PeerMayHaveClaimed)]);
    assert_eq!(source.handle(Input::Resolve(Resolve::Back)), Err(Refused::Unconfirmed));
    source.handle(Input::Connected).unwrap();
    source.handle(said(Body::NoRecord)).unwrap();
    assert_eq!(kinds(&source.handle(Input::Resolve(Resolve::Back)).unwrap()), [Kind::Resuming]);
}

#[test]
fn files_are_destroyed_only_after_the_stated_time() {
    let done = [said(Body::Ready), Input::Written, said(Body::Running)];
    let mut source = source(&[UP.as_slice(), &done].concat());
    assert_eq!(source.handle(Input::KeepExpired), Err(Refused::NotAwaited));
    assert!(source.handle(Input::Written).unwrap().contains(&Action::Keep));
    assert_eq!(source.handle(Input::KeepExpired).unwrap(), [Action::Destroy]);
}

#[test]
fn another_hand_over_begins_only_when_the_last_one_is_over_and_with_a_higher_epoch() {
    let next = Identity { session: Session::from_bytes([2; SESSION_LEN]), epoch: 2, ..identity() };
    let taken_back = [Input::Timeout, Input::Written, Input::Guest(Guest::Ran), Input::Written];
    let mut source = source(&[UP.as_slice(), &taken_back].concat());
    // The target may be READY still, and be claimed.
    assert_eq!(Source::begin(next, Some(&source)).unwrap_err(), Refused::Unfinished);
    source.handle(said(Body::Released)).unwrap();
    source.handle(Input::Written).unwrap();
    assert!(source.is_settled());
    let same_epoch = Identity { epoch: 1, ..next };
    assert_eq!(Source::begin(same_epoch, Some(&source)).unwrap_err(), Refused::Unfinished);
    assert!(Source::begin(next, Some(&source)).is_ok());
}

#[test]
fn a_journal_may_hold_several_hand_overs() {
    let next = Identity { session: Session::from_bytes([2; SESSION_LEN]), epoch: 2, ..identity() };
    let entry = |kind, identity| Entry {
        role: crate::journal::Role::Target,
        kind,
        evidence: None,
        identity,
    };
    let first = [Kind::Ready, Kind::Released].map(|kind| entry(kind, identity()));
    let entries = [first.as_slice(), &[entry(Kind::Ready, next)]].concat();
    let (target, _) = Target::replay(&replayed(&entries), Plan::Start).unwrap().unwrap();
    assert_eq!((target.identity(), target.phase()), (next, TargetPhase::Ready));
    let unfinished = [entry(Kind::Ready, identity()), entry(Kind::Ready, next)];
    assert!(Target::replay(&replayed(&unfinished), Plan::Start).is_err());
}
