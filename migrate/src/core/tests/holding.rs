//! What a target holds already: how it says so, and what may not be written over it (§6.3, §10).

use super::*;
use crate::core::blocks::{Holding, messages};

fn blocks(size: u64, map: &MemoryMap) -> Blocks {
    let count = Blocks::count(map, size);
    Blocks { size, roots: (0..count).map(|n| Digest::of(&n.to_le_bytes())).collect() }
}

#[test]
fn blocks_are_those_that_have_ram_once_each() {
    let segments = [(0x3000, 0x1000), (0x8000, 0x20000), (0x100_0000, 0x10000)];
    let segments = segments.map(|(gpa, len)| Segment { gpa, len }).to_vec();
    let map = MemoryMap::new(segments).unwrap();
    let addresses: Vec<_> = Blocks::addresses(&map, 0x10000).collect();
    assert_eq!(addresses, [0, 0x10000, 0x20000, 0x100_0000]);
    assert_eq!(Blocks::count(&map, 0x10000), 4);
    assert_eq!(Blocks::count(&map, 0x200_0000), 1);
}

#[test]
fn what_a_target_holds_comes_as_it_was_said_however_much_it_is() {
    for size in [1 << 20, 4096 << 16, (4096 << 16) + 4096, 1 << 30] {
        let map = map(size);
        let blocks = blocks(1 << 16, &map);
        let root = blocks.root(&map);
        let mut holding = Holding::default();
        let mut told = Vec::new();
        for have in messages(root, Some(&blocks)) {
            told.extend(holding.take(have, &map).unwrap());
        }
        assert_eq!(told, [(root, Some(blocks))]);
    }
    let [have] = messages(zero(), None).try_into().unwrap();
    assert_eq!(Holding::default().take(have, &vm().memory).unwrap(), Some((zero(), None)));
}

#[test]
fn have_that_does_not_fit_the_machine_or_itself_is_refused() {
    let map = vm().memory;
    let blocks = blocks(1 << 16, &map);
    let good =
        Have { root: blocks.root(&map), block: 1 << 16, first: 0, roots: blocks.roots, last: true };
    assert!(Holding::default().take(good.clone(), &map).is_ok());
    let mut many = good.roots.clone();
    many.push(zero());
    let few = good.roots[1..].to_vec();
    for bad in [
        Have { root: zero(), ..good.clone() },
        Have { block: 1 << 15, ..good.clone() },
        Have { block: (1 << 16) + 1, ..good.clone() },
        Have { block: 1 << 23, ..good.clone() },
        Have { first: 1, ..good.clone() },
        Have { first: u64::MAX, ..good.clone() },
        Have { roots: many, ..good.clone() },
        Have { roots: few, ..good.clone() },
        Have { roots: vec![], ..good.clone() },
        Have { roots: vec![], last: false, ..good.clone() },
    ] {
        assert_eq!(Holding::default().take(bad.clone(), &map).unwrap_err().code, "item", "{bad:?}");
    }
    let mut holding = Holding::default();
    holding.take(Have { last: false, ..good.clone() }, &map).unwrap();
    assert!(holding.take(good, &map).is_err());
}

/// Brings this machine where this is held and this is in the journal.
fn brought(
    vm: &Vm,
    held: Option<Held>,
    handover: Option<handover::Target>,
    operation: Operation,
) -> Vec<TargetAction> {
    let mut target = Target::new(TargetConfig { held, handover, ..target_config() });
    drive_target(&mut target, vec![TargetInput::Connected, to_target(hello_of_source(operation))]);
    if operation != Operation::Copy {
        let (ncpus, memsize) = (vm.ncpus, vm.memory.size());
        let needs = Needs { name: vm.name.clone(), ncpus, memsize, ..needs() };
        target.handle(NOW, to_target(Message::Facts(Facts { needs, ..facts() })));
    }
    drive_target(&mut target, vec![begin(), vm_part(vm)])
}

fn opens(actions: &[TargetAction]) -> bool {
    matches!(actions, [TargetAction::Open { .. }])
}

#[test]
fn memory_of_another_session_or_machine_is_not_written_over() {
    let ours = Held { session: Some((session(), 1)), vm: vm() };
    let theirs = Held { session: Some((other_session(), 1)), vm: vm() };
    let epoch = Held { session: Some((session(), 2)), vm: vm() };
    let (renamed, larger) =
        (Vm { name: "other".to_owned(), ..vm() }, Vm { memory: map(2 * SIZE), ..vm() });
    assert!(opens(&brought(&vm(), None, None, migrates())));
    assert!(opens(&brought(&vm(), Some(ours.clone()), None, migrates())));
    for (vm, held) in [
        (vm(), theirs.clone()),
        (vm(), epoch),
        (renamed.clone(), ours.clone()),
        (larger.clone(), ours.clone()),
    ] {
        let actions = brought(&vm, Some(held), None, migrates());
        assert_eq!(code(end_of_target(&actions)), "session");
    }
    let actions = brought(&vm(), Some(ours), None, Operation::Copy);
    assert_eq!(code(end_of_target(&actions)), "session");
    // A copy is taken over by a hand-over of the same machine.
    let copy = Held { session: None, vm: vm() };
    assert!(opens(&brought(&vm(), Some(copy.clone()), None, migrates())));
    assert!(opens(&brought(&vm(), Some(copy.clone()), None, Operation::Copy)));
    for vm in [renamed, larger] {
        let actions = brought(&vm, Some(copy.clone()), None, migrates());
        assert_eq!(code(end_of_target(&actions)), "session");
    }
}

#[test]
fn what_this_side_owns_or_may_come_to_own_is_not_written_over() {
    let next = Operation::Migrate { session: other_session(), epoch: 2 };
    let held = || Some(Held { session: Some((session(), 1)), vm: vm() });
    for kinds in [
        &[Kind::Ready][..],
        &[Kind::Ready, Kind::Owner],
        &[Kind::Ready, Kind::Owner, Kind::Starting, Kind::Running],
        &[Kind::Ready, Kind::Owner, Kind::Kept, Kind::Settled],
    ] {
        for operation in [next, Operation::Copy] {
            let actions = brought(&vm(), held(), target_journal(kinds), operation);
            assert_eq!(code(end_of_target(&actions)), "session", "{kinds:?}");
        }
    }
    let over = [Kind::Ready, Kind::Owner, Kind::Starting, Kind::Running, Kind::Settled];
    assert!(opens(&brought(&vm(), held(), target_journal(&over), next)));
    let released = target_journal(&[Kind::Ready, Kind::Released]);
    assert!(opens(&brought(&vm(), None, released, next)));
}
