//! How long is waited, on both sides (§11.3, §11.4).

use super::*;

const THIRD: Duration = Duration::from_secs(10);

#[test]
fn a_side_that_is_silent_for_a_third_of_the_time_says_that_it_is_there() {
    for (_, phase) in
        way_of_source().into_iter().filter(|(_, phase)| *phase < SourcePhase::HandingOver)
    {
        let (mut source, _) = source_in(phase);
        assert_eq!(source.deadline(), Some(NOW + THIRD), "{phase:?}");
        assert_eq!(source.handle(NOW + THIRD / 2, SourceInput::Tick), []);
        let actions = source.handle(NOW + THIRD, SourceInput::Tick);
        assert_eq!(sent_by_source(&actions), ["PING"]);
        assert_eq!(source.deadline(), Some(NOW + 2 * THIRD));
    }
    for steps in 2..way_of_target().len() {
        let mut target = target_after(steps);
        assert_eq!(target.deadline(), Some(NOW + THIRD));
        let actions = target.handle(NOW + THIRD, TargetInput::Tick);
        assert_eq!(sent_by_target(&actions), ["PING"]);
    }
}

#[test]
fn a_hand_over_says_again_what_it_says_since_the_peer_may_have_been_writing() {
    let (mut source, _) = source_in(SourcePhase::HandingOver);
    source.handle(NOW, SourceInput::Handover(handover::Input::Written));
    let actions = source.handle(NOW + THIRD, SourceInput::Tick);
    assert_eq!(sent_by_source(&actions), ["OFFER"]);
    let mut target = target_in(TargetPhase::HandingOver);
    // A record is being written: nothing of it is said.
    let actions = target.handle(NOW + THIRD, TargetInput::Tick);
    assert_eq!(sent_by_target(&actions), ["PING"]);
    target.handle(NOW + THIRD, TargetInput::Handover(handover::Input::Written));
    let actions = target.handle(NOW + 2 * THIRD, TargetInput::Tick);
    assert_eq!(sent_by_target(&actions), ["READY"]);
}

#[test]
fn a_peer_of_which_nothing_comes_is_gone_in_every_phase() {
    for (_, phase) in way_of_source() {
        let (mut source, _) = source_in(phase);
        source.handle(NOW + TIMEOUT / 2, SourceInput::Progress);
        let actions = source.handle(NOW + TIMEOUT, SourceInput::Tick);
        assert_eq!(end_of_source(&actions), Some(&Outcome::TimedOut), "{phase:?}");
        assert!(sent_by_source(&actions).contains(&"ERROR"));
        assert_eq!(source.deadline(), None);
    }
    for steps in 1..=way_of_target().len() {
        let mut target = target_after(steps);
        target.handle(NOW + TIMEOUT / 2, TargetInput::Progress);
        let actions = target.handle(NOW + TIMEOUT, TargetInput::Tick);
        assert_eq!(end_of_target(&actions), Some(&Outcome::TimedOut));
        assert_eq!(target.deadline(), None);
    }
}

#[test]
fn a_peer_that_does_not_read_is_gone_however_much_it_says() {
    let (mut source, _) = source_in(SourcePhase::SendingRound);
    let late = NOW + TIMEOUT / 2;
    source.handle(late, to_source(Message::Ping));
    source.handle(late, SourceInput::Heard);
    let actions = source.handle(NOW + TIMEOUT, SourceInput::Tick);
    assert_eq!(end_of_source(&actions), Some(&Outcome::TimedOut));
    let mut target = target_in(TargetPhase::TakingRound);
    target.handle(late, to_target(Message::Ping));
    target.handle(late, TargetInput::Heard);
    let actions = target.handle(NOW + TIMEOUT, TargetInput::Tick);
    assert_eq!(end_of_target(&actions), Some(&Outcome::TimedOut));
}

#[test]
fn bytes_and_pings_keep_a_connection_for_ever() {
    let (mut source, _) = source_in(SourcePhase::SendingRound);
    let mut target = target_in(TargetPhase::TakingRound);
    for step in 1..100 {
        let now = NOW + step * THIRD;
        assert_eq!(end_of_source(&source.handle(now, to_source(Message::Ping))), None);
        assert_eq!(end_of_source(&source.handle(now, SourceInput::Progress)), None);
        assert_eq!(end_of_target(&target.handle(now, TargetInput::Heard)), None);
        assert_eq!(end_of_target(&target.handle(now, TargetInput::Progress)), None);
    }
}

#[test]
fn a_copy_says_nothing_to_the_source_and_waits_only_while_it_reads() {
    let mut target = Target::new(target_config());
    let hello = to_target(hello_of_source(Operation::Copy));
    drive_target(&mut target, vec![TargetInput::Connected, hello]);
    assert_eq!(target.deadline(), Some(NOW + TIMEOUT));
    drive_target(&mut target, vec![begin(), vm_part(&vm())]);
    assert_eq!((target.reads(), target.deadline()), (false, None));
    let late = NOW + 10 * TIMEOUT;
    assert_eq!(target.handle(late, TargetInput::Opened { root: zero(), blocks: None }), []);
    assert_eq!(target.deadline(), Some(late + TIMEOUT));
    let mut source = source_for(Task::Copy(vm()), fine);
    source.handle(NOW, SourceInput::Connected);
    source.handle(NOW + TIMEOUT, SourceInput::Progress);
    assert_eq!(source.phase(), SourcePhase::SendingState);
    let actions = source.handle(NOW + 2 * TIMEOUT, SourceInput::Tick);
    assert_eq!(end_of_source(&actions), Some(&Outcome::TimedOut));
}

#[test]
fn after_bye_nothing_is_said_and_the_wait_has_an_end() {
    let mut source = source_for(Task::Plan(Box::new(facts())), fine);
    let inputs = [SourceInput::Connected, to_source(hello_of_target(None)), to_source(report())];
    drive_source(&mut source, inputs.into());
    assert_eq!(source.phase(), SourcePhase::Leaving);
    assert_eq!(source.deadline(), Some(NOW + TIMEOUT));
    let actions = source.handle(NOW + TIMEOUT, SourceInput::Tick);
    assert_eq!(actions, [SourceAction::End(Outcome::Done)]);
}
