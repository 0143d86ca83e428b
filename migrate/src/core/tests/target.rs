//! The target: what it takes when, and what it refuses. Its mirror is `source.rs`.

use super::*;

#[test]
fn nothing_is_said_before_the_source_has_said_hello() {
    let mut target = Target::new(target_config());
    assert_eq!(target.handle(NOW, TargetInput::Connected), []);
    let actions = target.handle(NOW, to_target(hello_of_source(migrates())));
    assert_eq!(sent_by_target(&actions), ["HELLO"]);
}

#[test]
fn a_source_with_no_version_in_common_is_refused() {
    let mut target = target_in(TargetPhase::Greeting);
    let Message::Hello(hello) = hello_of_source(migrates()) else { panic!() };
    let hello = Message::Hello(Hello { versions: vec![2, 3], ..hello });
    let actions = target.handle(NOW, to_target(hello));
    assert_eq!(code(end_of_target(&actions)), "version");
}

#[test]
fn two_targets_refuse_each_other() {
    let mut target = target_in(TargetPhase::Greeting);
    let actions = target.handle(NOW, to_target(hello_of_target(None)));
    assert_eq!(code(end_of_target(&actions)), "order");
}

#[test]
fn what_is_not_next_is_refused_as_order_in_every_phase() {
    use TargetPhase::{
        CheckingState, Compared, Comparing, Greeting, HandingOver, Receiving, TakingRound,
        TakingState,
    };
    let named: [(Message, &[TargetPhase]); 8] = [
        (hello_of_source(migrates()), &[Greeting]),
        (Message::Facts(facts()), &[Comparing]),
        (Message::Begin { overrides: vec![] }, &[Compared]),
        (Message::State { rehearsal: false }, &[Receiving]),
        (Message::StateEnd(end_of(&[&device()])), &[TakingState]),
        (Message::Round { round: 0, parent: zero() }, &[Receiving]),
        (round_end(zero()), &[TakingRound]),
        (report(), &[]),
    ];
    for (message, places) in named {
        for steps in 1..=way_of_target().len() {
            let mut target = target_after(steps);
            let phase = target.phase();
            // The first parts are due, and the second round has another number.
            if places.contains(&phase) && [TakingState, Receiving].contains(&phase) {
                continue;
            }
            let actions = target.handle(NOW, to_target(message.clone()));
            if places.contains(&phase) {
                assert!(end_of_target(&actions).is_none(), "{message:?} in {phase:?}");
            } else {
                assert_eq!(code(end_of_target(&actions)), "order", "{message:?} in {phase:?}");
                assert_eq!(sent_by_target(&actions), ["ERROR"]);
            }
        }
    }
    assert!([CheckingState, HandingOver].iter().all(|&phase| target_in(phase).phase() == phase));
}

#[test]
fn a_plan_is_answered_and_makes_nothing() {
    let facts = to_target(Message::Facts(facts()));
    let hello = to_target(hello_of_source(Operation::Plan));
    let inputs = || vec![TargetInput::Connected, hello.clone(), facts.clone()];
    let mut target = Target::new(TargetConfig { judge: refusing, ..target_config() });
    let actions = drive_target(&mut target, inputs());
    let report = Report { host: Host::default(), findings: vec![finding(Some("tsc"))] };
    assert_eq!(actions, [TargetAction::Send(Message::Report(report))]);
    let actions = target.handle(NOW, to_target(Message::Bye));
    assert_eq!(sent_by_target(&actions), ["BYE"]);
    assert_eq!(end_of_target(&actions), Some(&Outcome::Done));
    drive_target(&mut target, inputs());
    let actions = target.handle(NOW, begin());
    assert_eq!(code(end_of_target(&actions)), "order");
}

/// Comes to BEGIN with these findings, and these overrides.
fn compared(judge: Judge, overrides: &[&str]) -> Vec<TargetAction> {
    let mut target = target_from(TargetConfig { judge, ..target_config() }, 3);
    let overrides = overrides.iter().map(|&it| it.to_owned()).collect();
    target.handle(NOW, to_target(Message::Begin { overrides }))
}

#[test]
fn begin_is_refused_while_a_finding_is_unless_a_person_accepts_it() {
    assert_eq!(compared(fine, &[]), []);
    assert_eq!(code(end_of_target(&compared(refusing, &["other"]))), "facts");
    assert_eq!(compared(refusing, &["tsc"]), []);
    assert_eq!(code(end_of_target(&compared(never, &["tsc", ""]))), "facts");
}

#[test]
fn another_machine_than_the_hosts_were_compared_for_is_refused() {
    let other = Vm { ncpus: 2, ..vm() };
    let actions = target_in(TargetPhase::Beginning).handle(NOW, vm_part(&other));
    assert_eq!(code(end_of_target(&actions)), "facts");
    let actions = target_in(TargetPhase::Beginning).handle(NOW, vm_part(&vm()));
    let session = Some((session(), 1));
    assert_eq!(actions, [TargetAction::Open { vm: vm(), session }]);
}

#[test]
fn a_part_that_was_not_announced_is_refused() {
    for steps in 1..=way_of_target().len() {
        let mut target = target_after(steps);
        let phase = target.phase();
        for (part, place) in [
            (arrived(vm().encode().unwrap()), TargetPhase::Beginning),
            (device(), TargetPhase::TakingState),
        ] {
            let actions = target.clone().handle(NOW, TargetInput::Part(part));
            if phase != place {
                assert_eq!(code(end_of_target(&actions)), "item", "{phase:?}");
            }
        }
        assert!(target.handle(NOW, TargetInput::Tick).is_empty());
    }
}

#[test]
fn parts_that_were_lost_or_doubled_are_found_by_their_digest() {
    for parts in [vec![], vec![device(), device()]] {
        let mut target = target_after(7);
        assert_eq!(target.phase(), TargetPhase::TakingState);
        for part in parts {
            let actions = target.handle(NOW, TargetInput::Part(part));
            assert!(matches!(actions[..], [TargetAction::Keep(_)]));
        }
        let end = Message::StateEnd(end_of(&[&device()]));
        assert_eq!(code(end_of_target(&target.handle(NOW, to_target(end)))), "item");
    }
    let mut target = target_in(TargetPhase::TakingRound);
    let parts = end_of(&[&device()]);
    let end = Message::RoundEnd { round: 0, parts, stored: 0, root: zero() };
    assert_eq!(code(end_of_target(&target.handle(NOW, to_target(end)))), "item");
}

#[test]
fn a_round_of_another_memory_or_number_is_refused() {
    let other = Digest::of(b"another VM");
    for (round, parent, why) in [(0, other, "root"), (1, zero(), "order")] {
        let mut target = target_after(10);
        let actions = target.handle(NOW, to_target(Message::Round { round, parent }));
        assert_eq!(code(end_of_target(&actions)), why);
    }
    let mut target = target_in(TargetPhase::TakingRound);
    let end = Message::RoundEnd { round: 1, parts: end(), stored: 0, root: zero() };
    assert_eq!(code(end_of_target(&target.handle(NOW, to_target(end)))), "order");
}

#[test]
fn memory_that_is_not_what_it_should_be_after_a_round_is_refused() {
    let mut target = target_in(TargetPhase::CheckingRound);
    let actions = target.handle(NOW, TargetInput::RoundApplied { root: Digest::of(b"other") });
    assert_eq!(code(end_of_target(&actions)), "root");
    // What is held stays held.
    assert!(target.held().is_some());
}

#[test]
fn a_status_is_answered_with_where_it_stands() {
    let mut target = target_from(target_config(), 6);
    assert_eq!((target.status().phase.as_str(), target.status().epoch), ("receiving", Some(1)));
    target.handle(NOW, TargetInput::Closed(Closed::Ended));
    let hello = to_target(hello_of_source(Operation::Status));
    let actions = drive_target(&mut target, vec![TargetInput::Connected, hello]);
    assert_eq!(sent_by_target(&actions), ["HELLO", "STATUS", "BYE"]);
    let actions = target.handle(NOW, to_target(Message::Bye));
    assert_eq!(end_of_target(&actions), Some(&Outcome::Done));
    assert_eq!(target_in(TargetPhase::HandingOver).status().phase, "Begun");
    assert_eq!(Target::new(target_config()).status().phase, "idle");
}

/// A copy up to where COPIED is said.
fn copying() -> Target {
    let mut target = Target::new(target_config());
    let mut silent = |inputs: Vec<TargetInput>| {
        for input in inputs {
            let actions = target.handle(NOW, input);
            assert_eq!(sent_by_target(&actions), [""; 0]);
        }
        target.reads()
    };
    let part = TargetInput::Part(device());
    let hello = to_target(hello_of_source(Operation::Copy));
    assert!(!silent(vec![TargetInput::Connected, hello, begin(), vm_part(&vm())]));
    let state = to_target(Message::State { rehearsal: false });
    let end_of_state = to_target(Message::StateEnd(end_of(&[&device()])));
    let opened = TargetInput::Opened { root: zero(), blocks: None };
    assert!(!silent(vec![opened, state, part, end_of_state]));
    let round = to_target(Message::Round { round: 0, parent: zero() });
    let kept = TargetInput::StateKept { records: records(), warnings: vec![] };
    assert!(!silent(vec![kept, round, to_target(round_end(zero()))]));
    assert!(silent(vec![TargetInput::RoundApplied { root: zero() }]));
    target
}

#[test]
fn a_copy_is_published_when_it_is_whole_durable_and_was_ended_by_bye() {
    let copied = to_target(Message::Copied { content: content(zero()) });
    let mut target = copying();
    assert_eq!(target.handle(NOW, copied.clone()), [TargetAction::Sync]);
    assert_eq!(target.handle(NOW, TargetInput::Synced), []);
    let actions = target.handle(NOW, to_target(Message::Bye));
    assert_eq!(actions, [TargetAction::Publish, TargetAction::End(Outcome::Done)]);
    assert!(target.handover().is_none());

    let mut target = copying();
    drive_target(&mut target, vec![copied, TargetInput::Synced]);
    let actions = target.handle(NOW, TargetInput::Closed(Closed::Ended));
    assert_eq!(actions, [TargetAction::End(Outcome::Cut)]);

    let mut target = copying();
    let copied = Message::Copied { content: Digest::of(b"other") };
    let actions = target.handle(NOW, to_target(copied));
    assert_eq!(code(end_of_target(&actions)), "content");
    assert_eq!(sent_by_target(&actions), [""; 0]);
}

#[test]
fn a_connection_that_ends_is_cut_in_every_phase_and_the_next_one_begins_anew() {
    for steps in 1..=way_of_target().len() {
        for closed in [Closed::Ended, Closed::Broken] {
            let mut target = target_after(steps);
            let actions = target.handle(NOW, TargetInput::Closed(closed));
            assert_eq!(end_of_target(&actions), Some(&Outcome::Cut));
            assert_eq!(target.phase(), TargetPhase::Apart);
            target.handle(NOW, TargetInput::Connected);
            let actions = target.handle(NOW, to_target(hello_of_source(migrates())));
            assert_eq!(sent_by_target(&actions)[0], "HELLO");
        }
    }
}

#[test]
fn what_a_peer_or_a_driver_cannot_do_ends_the_connection_with_its_reason() {
    for steps in 1..=way_of_target().len() {
        let why = trouble(Code::Room, "no room");
        let actions = target_after(steps).handle(NOW, to_target(Message::Error(why.clone())));
        assert_eq!(actions.last(), Some(&TargetAction::End(Outcome::Peer(why.clone()))));
        assert_eq!(sent_by_target(&actions), [""; 0]);
        for input in [TargetInput::Failed(why.clone()), TargetInput::Garbled(why.clone())] {
            let actions = target_after(steps).handle(NOW, input);
            assert_eq!(sent_by_target(&actions), ["ERROR"]);
            assert_eq!(code(end_of_target(&actions)), "room");
        }
        let actions = target_after(steps).handle(NOW, TargetInput::Stop);
        assert_eq!(sent_by_target(&actions), ["ERROR"]);
        assert_eq!(code(end_of_target(&actions)), "stopped");
    }
}
