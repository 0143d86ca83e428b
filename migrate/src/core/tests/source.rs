//! The source: what it sends when, and what it refuses. Its mirror is `target.rs`.

use super::*;

#[test]
fn hello_is_the_first_thing_said() {
    let (_, actions) = source_in(SourcePhase::Greeting);
    let [SourceAction::Send(Message::Hello(hello))] = actions.as_slice() else {
        panic!("{actions:?}")
    };
    assert_eq!(hello.by, By::Source(migrates()));
}

#[test]
fn a_target_with_no_version_in_common_is_refused() {
    let (mut source, _) = source_in(SourcePhase::Greeting);
    let Message::Hello(hello) = hello_of_target(None) else { panic!() };
    let hello = Message::Hello(Hello { versions: vec![2, 3], ..hello });
    let actions = source.handle(NOW, to_source(hello));
    assert_eq!(code(end_of_source(&actions)), "version");
}

#[test]
fn two_sources_refuse_each_other() {
    let (mut source, _) = source_in(SourcePhase::Greeting);
    let actions = source.handle(NOW, to_source(hello_of_source(migrates())));
    assert_eq!(code(end_of_source(&actions)), "order");
}

#[test]
fn what_is_not_next_is_refused_as_order_in_every_phase() {
    let named: [(Message, &[SourcePhase]); 8] = [
        (hello_of_target(None), &[SourcePhase::Greeting]),
        (report(), &[SourcePhase::Comparing]),
        (have_nothing(), &[SourcePhase::Opening]),
        (Message::StateDone { warnings: vec![] }, &[SourcePhase::CheckingState]),
        (Message::RoundDone { round: 0, root: zero() }, &[SourcePhase::CheckingRound]),
        (
            Message::Ack { parts: 1, stored: 1 },
            &[SourcePhase::SendingRound, SourcePhase::CheckingRound],
        ),
        (Message::Bye, &[]),
        (Message::Facts(facts()), &[]),
    ];
    for (message, places) in named {
        for (_, phase) in way_of_source() {
            let (mut source, _) = source_in(phase);
            let actions = source.handle(NOW, to_source(message.clone()));
            if places.contains(&phase) {
                assert!(end_of_source(&actions).is_none(), "{message:?} in {phase:?}");
            } else {
                assert_eq!(code(end_of_source(&actions)), "order", "{message:?} in {phase:?}");
                assert_eq!(sent_by_source(&actions), ["ERROR"]);
            }
        }
    }
}

#[test]
fn a_plan_ends_with_the_report_and_makes_no_note() {
    let mut source = source_for(Task::Plan(Box::new(facts())), refusing);
    let inputs = [SourceInput::Connected, to_source(hello_of_target(None)), to_source(report())];
    let actions = drive_source(&mut source, inputs.into());
    let [SourceAction::Report(shown), SourceAction::Send(Message::Bye)] = actions.as_slice() else {
        panic!("{actions:?}")
    };
    assert_eq!(shown.findings, [finding(Some("tsc"))]);
    let actions = source.handle(NOW, to_source(Message::Bye));
    assert_eq!(end_of_source(&actions), Some(&Outcome::Done));
}

/// Comes to REPORT with these findings of either side, and these overrides.
fn compared(judge: Judge, findings: Vec<Finding>, overrides: &[&str]) -> Vec<SourceAction> {
    let overrides = overrides.iter().map(|&it| it.to_owned()).collect();
    let task = Task::Migrate(Box::new(Migration { overrides, ..migration() }));
    let mut source = source_for(task, judge);
    let report = Message::Report(Report { host: Host::default(), findings });
    let inputs = [SourceInput::Connected, to_source(hello_of_target(None)), to_source(report)];
    drive_source(&mut source, inputs.into())
}

#[test]
fn no_begin_is_said_while_either_side_refuses_unless_a_person_accepts_it() {
    let noted =
        |actions: Vec<SourceAction>| matches!(actions.last(), Some(SourceAction::Note { .. }));
    assert!(noted(compared(fine, vec![], &[])));
    for (judge, findings) in [(refusing as Judge, vec![]), (fine, vec![finding(Some("tsc"))])] {
        let actions = compared(judge, findings.clone(), &["other"]);
        assert_eq!(code(end_of_source(&actions)), "facts");
        assert!(noted(compared(judge, findings, &["tsc"])));
    }
    let actions = compared(never, vec![], &["tsc", ""]);
    assert_eq!(code(end_of_source(&actions)), "facts");
}

#[test]
fn begin_is_said_when_the_note_is_durable_and_not_before() {
    let (mut source, actions) = source_in(SourcePhase::Noting);
    assert_eq!(sent_by_source(&actions), [""; 0]);
    let actions = source.handle(NOW, SourceInput::Noted);
    assert_eq!(sent_by_source(&actions), ["BEGIN"]);
    assert_eq!(actions.last(), Some(&SourceAction::SendVm));
}

#[test]
fn the_state_goes_before_the_memory_and_the_round_says_what_it_changes() {
    let (_, actions) = source_in(SourcePhase::SendingState);
    assert_eq!(sent_by_source(&actions), ["STATE"]);
    let (_, actions) = source_in(SourcePhase::SendingRound);
    let round = Message::Round { round: 0, parent: zero() };
    assert!(actions.contains(&SourceAction::Send(round)), "{actions:?}");
    assert_eq!(actions.last(), Some(&SourceAction::SendRound { round: 0, have: None }));
}

#[test]
fn only_what_the_target_does_not_hold_is_asked_to_be_sent() {
    let (mut source, _) = source_in(SourcePhase::Opening);
    let roots: Vec<_> = (0..16).map(|n| Digest::of(&[n])).collect();
    let blocks = Blocks { size: 1 << 16, roots };
    let root = blocks.root(&vm().memory);
    let first = blocks.roots[..7].to_vec();
    let have =
        |first, roots, last| Message::Have(Have { root, block: 1 << 16, first, roots, last });
    source.handle(NOW, to_source(have(0, first, false)));
    assert_eq!(source.phase(), SourcePhase::Opening);
    source.handle(NOW, to_source(have(7, blocks.roots[7..].to_vec(), true)));
    let sent = SourceInput::StateSent { end: end(), records: records() };
    let done = to_source(Message::StateDone { warnings: vec![] });
    let actions = drive_source(&mut source, vec![sent, done]);
    let asked = SourceAction::SendRound { round: 0, have: Some(blocks) };
    assert_eq!(actions.last(), Some(&asked));
    let round = Message::Round { round: 0, parent: root };
    assert!(actions.contains(&SourceAction::Send(round)));
}

#[test]
fn a_round_that_was_applied_to_other_memory_is_never_offered() {
    for done in [
        Message::RoundDone { round: 0, root: Digest::of(b"other") },
        Message::RoundDone { round: 1, root: zero() },
    ] {
        let (mut source, _) = source_in(SourcePhase::CheckingRound);
        let actions = source.handle(NOW, to_source(done));
        assert_eq!(code(end_of_source(&actions)), "root");
        assert!(source.handover().is_none());
    }
}

#[test]
fn a_status_is_shown_and_answered_by_bye() {
    let mut source = source_for(Task::Status, fine);
    let status = Target::new(target_config()).status();
    let status = to_source(Message::Status(status));
    let inputs = vec![SourceInput::Connected, to_source(hello_of_target(None)), status];
    let actions = drive_source(&mut source, inputs);
    assert!(matches!(actions[0], SourceAction::Status(_)));
    assert_eq!(sent_by_source(&actions), ["BYE"]);
    let actions = source.handle(NOW, to_source(Message::Bye));
    assert_eq!(end_of_source(&actions), Some(&Outcome::Done));
}

#[test]
fn a_copy_waits_for_no_answer_and_ends_with_its_content() {
    let mut source = source_for(Task::Copy(vm()), fine);
    let actions = source.handle(NOW, SourceInput::Connected);
    assert_eq!(sent_by_source(&actions), ["HELLO", "BEGIN", "STATE"]);
    let sent = SourceInput::StateSent { end: end(), records: records() };
    let actions = source.handle(NOW, sent);
    assert_eq!(sent_by_source(&actions), ["STATE-END", "ROUND"]);
    let sent = SourceInput::RoundSent { end: end(), stored: 0, root: zero() };
    let actions = source.handle(NOW, sent);
    assert_eq!(sent_by_source(&actions), ["ROUND-END", "COPIED", "BYE"]);
    let copied = Message::Copied { content: content(zero()) };
    assert!(actions.contains(&SourceAction::Send(copied)));
    assert_eq!(end_of_source(&actions), Some(&Outcome::Done));
    assert!(source.handover().is_none());
}

#[test]
fn a_connection_that_ends_is_cut_in_every_phase_and_the_next_one_begins_anew() {
    for (_, phase) in way_of_source() {
        for closed in [Closed::Ended, Closed::Broken] {
            let (mut source, _) = source_in(phase);
            let actions = source.handle(NOW, SourceInput::Closed(closed));
            assert_eq!(end_of_source(&actions), Some(&Outcome::Cut), "{phase:?}");
            assert_eq!(source.phase(), SourcePhase::Apart);
            let actions = source.handle(NOW, SourceInput::Connected);
            assert_eq!(sent_by_source(&actions), ["HELLO"]);
        }
    }
}

#[test]
fn what_a_peer_or_a_driver_cannot_do_ends_the_connection_with_its_reason() {
    for (_, phase) in way_of_source() {
        let why = trouble(Code::Room, "no room");
        let (mut source, _) = source_in(phase);
        let actions = source.handle(NOW, to_source(Message::Error(why.clone())));
        assert_eq!(actions.last(), Some(&SourceAction::End(Outcome::Peer(why.clone()))));
        assert_eq!(sent_by_source(&actions), [""; 0]);
        for input in [SourceInput::Failed(why.clone()), SourceInput::Garbled(why.clone())] {
            let (mut source, _) = source_in(phase);
            let actions = source.handle(NOW, input);
            assert_eq!(sent_by_source(&actions), ["ERROR"]);
            assert_eq!(code(end_of_source(&actions)), "room");
        }
        let (mut source, _) = source_in(phase);
        let actions = source.handle(NOW, SourceInput::Stop);
        assert_eq!(sent_by_source(&actions), ["ERROR"]);
        assert_eq!(code(end_of_source(&actions)), "stopped");
    }
}
