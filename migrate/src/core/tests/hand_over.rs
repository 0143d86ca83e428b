//! Where the connection leads into the hand-over and out of it, on both sides (§4.2, §8).

use super::*;
use crate::handover::{Question, Refused, Resolve};

fn at_source(input: handover::Input) -> SourceInput {
    SourceInput::Handover(input)
}

fn at_target(input: handover::Input) -> TargetInput {
    TargetInput::Handover(input)
}

fn written_by_source(actions: &[SourceAction]) -> Vec<Kind> {
    let kind = |action: &SourceAction| match action {
        SourceAction::Handover(handover::Action::Write(entry)) => Some(entry.kind),
        _ => None,
    };
    actions.iter().filter_map(kind).collect()
}

fn written_by_target(actions: &[TargetAction]) -> Vec<Kind> {
    let kind = |action: &TargetAction| match action {
        TargetAction::Handover(handover::Action::Write(entry)) => Some(entry.kind),
        _ => None,
    };
    actions.iter().filter_map(kind).collect()
}

const WRITTEN: handover::Input = handover::Input::Written;

#[test]
fn the_source_offers_when_suspended_is_durable_and_leaves_when_done_is() {
    let (mut source, actions) = source_in(SourcePhase::HandingOver);
    assert_eq!(written_by_source(&actions), [Kind::Suspended]);
    assert_eq!(sent_by_source(&actions), [""; 0]);
    assert_eq!(sent_by_source(&source.handle(NOW, at_source(WRITTEN))), ["OFFER"]);
    let actions = source.handle(NOW, to_source(ready(content(zero()))));
    assert_eq!(written_by_source(&actions), [Kind::HandedOver]);
    assert_eq!(sent_by_source(&source.handle(NOW, at_source(WRITTEN))), ["COMMIT"]);
    for body in [Body::Owner, Body::Running] {
        source.handle(NOW, to_source(said(body, content(zero()))));
    }
    let actions = source.handle(NOW, at_source(WRITTEN));
    assert_eq!(sent_by_source(&actions), ["DONE", "BYE"]);
    let actions = source.handle(NOW, to_source(Message::Bye));
    assert_eq!(end_of_source(&actions), Some(&Outcome::Done));
}

#[test]
fn the_target_begins_when_all_is_synced_and_leaves_when_settled_is_durable() {
    let mut target = target_in(TargetPhase::Syncing);
    assert!(target.handover().is_none());
    let actions = target.handle(NOW, TargetInput::Synced);
    assert_eq!(
        (written_by_target(&actions), sent_by_target(&actions)),
        (vec![Kind::Ready], vec![])
    );
    assert_eq!(sent_by_target(&target.handle(NOW, at_target(WRITTEN))), ["READY"]);
    let actions = target.handle(NOW, to_target(said(Body::Commit, content(zero()))));
    assert_eq!(written_by_target(&actions), [Kind::Owner]);
    let actions = target.handle(NOW, at_target(WRITTEN));
    assert_eq!(sent_by_target(&actions), ["OWNER"]);
    let actions = target.handle(NOW, at_target(WRITTEN));
    assert_eq!(actions, [TargetAction::Handover(handover::Action::Start)]);
    target.handle(NOW, at_target(handover::Input::Guest(Guest::Ran)));
    assert_eq!(sent_by_target(&target.handle(NOW, at_target(WRITTEN))), ["RUNNING"]);
    let actions = target.handle(NOW, to_target(said(Body::Done, content(zero()))));
    assert_eq!(written_by_target(&actions), [Kind::Settled]);
    // The source has said all; this side has not yet written all.
    assert_eq!(target.handle(NOW, to_target(Message::Bye)), []);
    let actions = target.handle(NOW, at_target(WRITTEN));
    assert_eq!(sent_by_target(&actions), ["BYE"]);
    assert_eq!(end_of_target(&actions), Some(&Outcome::Done));
}

#[test]
fn another_content_is_no_hand_over_on_either_side() {
    let other = Digest::of(b"other");
    let mut target = target_after(13);
    let actions = target.handle(NOW, to_target(said(Body::Offer, other)));
    assert_eq!(code(end_of_target(&actions)), "content");
    assert!(target.handover().is_none());
    // A snapshot that was changed since it was offered.
    let handover = source_journal(&[Kind::Suspended]);
    let mut source = source_of(Migration { handover, ..migration() });
    let mut way = way_of_source();
    way.truncate(7);
    drive_source(&mut source, way.into_iter().map(|(input, _)| input).collect());
    let root = Digest::of(b"other memory");
    let sent = SourceInput::RoundSent { end: end(), stored: 0, root };
    let done = to_source(Message::RoundDone { round: 0, root });
    let actions = drive_source(&mut source, vec![sent, done]);
    assert_eq!(code(end_of_source(&actions)), "content");
    assert_eq!(written_by_source(&actions), []);
}

#[test]
fn nothing_is_offered_of_a_rehearsal_or_of_half_a_machine() {
    let offer = to_target(said(Body::Offer, content(zero())));
    for steps in 2..13 {
        let actions = target_after(steps).handle(NOW, offer.clone());
        assert_eq!(code(end_of_target(&actions)), "order", "{steps}");
    }
    let mut target = target_after(13);
    let inputs = vec![
        to_target(Message::State { rehearsal: true }),
        TargetInput::Part(device()),
        to_target(Message::StateEnd(end_of(&[&device()]))),
        TargetInput::StateKept { records: records(), warnings: vec![] },
        offer,
    ];
    assert_eq!(code(end_of_target(&drive_target(&mut target, inputs))), "order");
}

#[test]
fn an_offer_that_is_taken_back_while_it_is_synced_makes_no_record() {
    let mut target = target_in(TargetPhase::Syncing);
    let actions = target.handle(NOW, to_target(said(Body::Release, content(zero()))));
    assert_eq!(sent_by_target(&actions), ["NO-RECORD"]);
    assert_eq!(target.handle(NOW, TargetInput::Synced), []);
    assert!(target.handover().is_none());
}

#[test]
fn a_record_on_either_side_leads_to_the_hand_over_at_once() {
    let handover = source_journal(&[Kind::Suspended]);
    let mut source = source_of(Migration { handover, ..migration() });
    let hello = |record| vec![SourceInput::Connected, to_source(hello_of_target(record))];
    assert_eq!(sent_by_source(&drive_source(&mut source, hello(Some("Ready")))), ["OFFER"]);
    let handover = source_journal(&[Kind::Suspended, Kind::HandedOver]);
    let mut source = source_of(Migration { handover, ..migration() });
    assert_eq!(sent_by_source(&drive_source(&mut source, hello(None))), ["COMMIT"]);
    // Suspended, and a target that knows nothing: all is sent.
    let handover = source_journal(&[Kind::Suspended]);
    let mut source = source_of(Migration { handover, ..migration() });
    assert_eq!(sent_by_source(&drive_source(&mut source, hello(None))), ["FACTS"]);
    // This journal has lost what it promised.
    let mut source = source_of(migration());
    let actions = drive_source(&mut source, hello(Some("Ready")));
    assert_eq!(code(end_of_source(&actions)), "journal");

    let handover = target_journal(&[Kind::Ready]);
    let mut target = Target::new(TargetConfig { handover, ..target_config() });
    let hello = to_target(hello_of_source(migrates()));
    let actions = drive_target(&mut target, vec![TargetInput::Connected, hello]);
    assert_eq!(sent_by_target(&actions), ["HELLO", "READY"]);
    let TargetAction::Send(Message::Hello(hello)) = &actions[0] else { panic!() };
    assert_eq!(hello.by, By::Target { record: Some("Ready".to_owned()) });
}

#[test]
fn a_target_without_a_record_says_so_and_the_source_asks_a_person() {
    let mut target = target_in(TargetPhase::Comparing);
    let actions = target.handle(NOW, to_target(said(Body::Commit, content(zero()))));
    assert_eq!(sent_by_target(&actions), ["NO-RECORD"]);
    let handover = source_journal(&[Kind::Suspended, Kind::HandedOver]);
    let mut source = source_of(Migration { handover, ..migration() });
    let hello = vec![SourceInput::Connected, to_source(hello_of_target(None))];
    drive_source(&mut source, hello);
    let actions = source.handle(NOW, to_source(said(Body::NoRecord, content(zero()))));
    assert_eq!(sent_by_source(&actions), ["ERROR"]);
    assert_eq!(end_of_source(&actions), Some(&Outcome::Ask(Question::GivenUp)));
}

#[test]
fn a_message_of_another_hand_over_ends_the_connection() {
    let identity = Identity { session: other_session(), ..identity() };
    let message = |body| Message::Handover(handover::Message { identity, body });
    let (mut source, _) = source_in(SourcePhase::HandingOver);
    source.handle(NOW, at_source(WRITTEN));
    let actions = source.handle(NOW, to_source(message(Body::Ready)));
    assert_eq!(code(end_of_source(&actions)), "session");
    for steps in [2, 13, 15] {
        let actions = target_after(steps).handle(NOW, to_target(message(Body::Offer)));
        assert_eq!(code(end_of_target(&actions)), "session");
    }
}

#[test]
fn a_vm_that_was_released_is_back_on_both_sides() {
    let handover = source_journal(&[Kind::Suspended, Kind::HandedOver]);
    let mut source = source_of(Migration { handover, ..migration() });
    let hello = to_source(hello_of_target(Some("Released")));
    drive_source(&mut source, vec![SourceInput::Connected, hello]);
    let actions = source.handle(NOW, to_source(said(Body::Released, content(zero()))));
    assert_eq!(written_by_source(&actions), [Kind::Resuming]);
    let actions = source.handle(NOW, at_source(WRITTEN));
    assert!(actions.contains(&SourceAction::Handover(handover::Action::Start)));
    source.handle(NOW, at_source(handover::Input::Guest(Guest::Ran)));
    assert_eq!(sent_by_source(&source.handle(NOW, at_source(WRITTEN))), ["BYE"]);
    let actions = source.handle(NOW, to_source(Message::Bye));
    assert_eq!(end_of_source(&actions), Some(&Outcome::Back));

    let mut target = target_in(TargetPhase::HandingOver);
    target.handle(NOW, at_target(WRITTEN));
    target.handle(NOW, to_target(said(Body::Release, content(zero()))));
    let actions = target.handle(NOW, at_target(WRITTEN));
    assert_eq!(sent_by_target(&actions), ["RELEASED"]);
    assert!(actions.contains(&TargetAction::Handover(handover::Action::Destroy)));
    assert!(target.held().is_none());
    let actions = target.handle(NOW, to_target(Message::Bye));
    assert_eq!(end_of_target(&actions), Some(&Outcome::Back));
}

#[test]
fn a_vm_that_was_taken_back_before_the_target_had_a_record_is_back() {
    let (mut source, _) = source_in(SourcePhase::HandingOver);
    let back = at_source(handover::Input::Resolve(Resolve::Back));
    let ran = at_source(handover::Input::Guest(Guest::Ran));
    let written = || at_source(WRITTEN);
    let actions = drive_source(&mut source, vec![written(), back, written(), ran, written()]);
    // The target may have become READY meanwhile: it has to say so, or that it has not.
    assert_eq!(sent_by_source(&actions), ["RELEASE"]);
    assert_eq!(source.phase(), SourcePhase::HandingOver);
    let actions = source.handle(NOW, to_source(said(Body::NoRecord, content(zero()))));
    assert_eq!(sent_by_source(&actions), ["BYE"]);
    let actions = source.handle(NOW, to_source(Message::Bye));
    assert_eq!(end_of_source(&actions), Some(&Outcome::Back));
}

#[test]
fn a_hand_over_without_a_connection_asks_a_person_and_says_nothing() {
    let handover = source_journal(&[Kind::Suspended, Kind::HandedOver]);
    let mut source = source_of(Migration { handover, ..migration() });
    let hello = to_source(hello_of_target(None));
    drive_source(&mut source, vec![SourceInput::Connected, hello]);
    let actions = source.handle(NOW, SourceInput::Closed(Closed::Ended));
    let ask = handover::Action::Ask(Question::PeerUnreachable);
    assert_eq!(actions, [SourceAction::Handover(ask), SourceAction::End(Outcome::Cut)]);
    let actions = source.handle(NOW, at_source(handover::Input::Resolve(Resolve::Back)));
    assert_eq!(sent_by_source(&actions), [""; 0]);

    let mut target = target_in(TargetPhase::HandingOver);
    target.handle(NOW, at_target(WRITTEN));
    let actions = target.handle(NOW, TargetInput::Closed(Closed::Ended));
    assert_eq!(actions, [TargetAction::Handover(ask), TargetAction::End(Outcome::Cut)]);
    let actions = target.handle(NOW, at_target(handover::Input::Resolve(Resolve::Back)));
    assert_eq!(sent_by_target(&actions), [""; 0]);
}

#[test]
fn a_start_of_unknown_outcome_ends_the_connection_with_the_question() {
    let mut target = target_in(TargetPhase::HandingOver);
    let commit = to_target(said(Body::Commit, content(zero())));
    let written = || at_target(WRITTEN);
    let actions = drive_target(
        &mut target,
        vec![
            written(),
            commit,
            written(),
            written(),
            at_target(handover::Input::Guest(Guest::Unknown)),
        ],
    );
    assert_eq!(end_of_target(&actions), Some(&Outcome::Ask(Question::GuestUnknown)));
    assert_eq!(sent_by_target(&actions), ["ERROR"]);
    // The answer needs no connection; the next one hears of it.
    target.handle(NOW, at_target(handover::Input::Guest(Guest::Ran)));
    target.handle(NOW, at_target(WRITTEN));
    let hello = to_target(hello_of_source(migrates()));
    let actions = drive_target(&mut target, vec![TargetInput::Connected, hello]);
    assert_eq!(sent_by_target(&actions), ["HELLO", "RUNNING"]);
}

#[test]
fn running_from_a_target_that_never_had_commit_is_a_dispute() {
    let (mut source, _) = source_in(SourcePhase::HandingOver);
    source.handle(NOW, at_source(WRITTEN));
    let actions = source.handle(NOW, to_source(said(Body::Running, content(zero()))));
    assert_eq!(end_of_source(&actions), Some(&Outcome::Ask(Question::Disputed)));
}

#[test]
fn a_journal_that_fails_ends_the_process_part() {
    let (mut source, _) = source_in(SourcePhase::HandingOver);
    let actions = source.handle(NOW, at_source(handover::Input::WriteFailed));
    assert_eq!(sent_by_source(&actions), ["ERROR"]);
    assert_eq!(end_of_source(&actions), Some(&Outcome::JournalFailed));
    let mut target = target_in(TargetPhase::HandingOver);
    let actions = target.handle(NOW, at_target(handover::Input::WriteFailed));
    assert_eq!(sent_by_target(&actions), ["ERROR"]);
    assert_eq!(end_of_target(&actions), Some(&Outcome::JournalFailed));
}

#[test]
fn a_person_is_answered_with_and_without_a_connection() {
    let back = handover::Input::Resolve(Resolve::Back);
    let handover = source_journal(&[Kind::Suspended]);
    let mut source = source_of(Migration { handover, ..migration() });
    let actions = source.handle(NOW, at_source(back));
    assert_eq!(actions, [SourceAction::Refused(Refused::Unconfirmed)]);
    let mut source = source_of(migration());
    let actions = source.handle(NOW, at_source(back));
    assert_eq!(actions, [SourceAction::Refused(Refused::NotAwaited)]);

    let handover = target_journal(&[Kind::Ready]);
    let mut target = Target::new(TargetConfig { handover, ..target_config() });
    let actions = target.handle(NOW, at_target(back));
    assert_eq!(written_by_target(&actions), [Kind::Released]);
    let actions = target.handle(NOW, at_target(WRITTEN));
    assert_eq!(actions, [TargetAction::Handover(handover::Action::Destroy)]);
}

#[test]
fn an_earlier_hand_over_that_is_not_over_is_found_before_anything_is_said() {
    let handover = source_journal(&[Kind::Suspended]);
    for (session, epoch) in [(other_session(), 2), (session(), 2)] {
        let handover = handover.clone();
        let mut source = source_of(Migration { session, epoch, handover, ..migration() });
        let actions = source.handle(NOW, SourceInput::Connected);
        assert_eq!(code(end_of_source(&actions)), "journal");
    }
    let handover = source_journal(&[Kind::Suspended, Kind::HandedOver, Kind::Done]);
    let mut source =
        source_of(Migration { session: other_session(), epoch: 2, handover, ..migration() });
    assert_eq!(sent_by_source(&source.handle(NOW, SourceInput::Connected)), ["HELLO"]);
    // What its files are kept for is no matter of the new one.
    let expired = at_source(handover::Input::KeepExpired);
    assert_eq!(source.handle(NOW, expired), [SourceAction::Refused(Refused::NotAwaited)]);
}

#[test]
fn what_a_target_without_a_record_holds_is_taken_back_and_nothing_is_sent() {
    let handover = source_journal(&[Kind::Suspended]);
    let mut source = source_of(Migration { handover, back: true, ..migration() });
    source.handle(NOW, SourceInput::Connected);
    let heard = source.handle(NOW, to_source(hello_of_target(None)));
    assert_eq!(sent_by_source(&heard), [""; 0]);
    let back = at_source(handover::Input::Resolve(Resolve::Back));
    assert_eq!(written_by_source(&source.handle(NOW, back)), [Kind::Resuming]);
    source.handle(NOW, at_source(WRITTEN));
    let ran = at_source(handover::Input::Guest(Guest::Ran));
    assert_eq!(written_by_source(&source.handle(NOW, ran)), [Kind::Resumed]);
    assert_eq!(sent_by_source(&source.handle(NOW, at_source(WRITTEN))), ["BYE"]);
    let actions = source.handle(NOW, to_source(Message::Bye));
    assert_eq!(end_of_source(&actions), Some(&Outcome::Back));
}

#[test]
fn what_was_never_offered_is_not_taken_back() {
    let mut source = source_of(Migration { back: true, ..migration() });
    source.handle(NOW, SourceInput::Connected);
    let actions = source.handle(NOW, to_source(hello_of_target(None)));
    assert_eq!(code(end_of_source(&actions)), "order");
}

#[test]
fn a_state_that_went_to_a_target_is_not_offered_again() {
    let mut source = source_of(Migration { gone: vec![content(zero())], ..migration() });
    let mut last = Vec::new();
    for (input, _) in way_of_source() {
        last = source.handle(NOW, input);
    }
    assert_eq!(code(end_of_source(&last)), "content");
    assert_eq!(written_by_source(&last), []);
    assert!(source.handover().is_none());
}
