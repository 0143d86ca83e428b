//! What a journal that was cut, torn or damaged says.

use migrate::handover::{Implausible, Plan, Source, Target};
use migrate::journal::{BYTES, Damage, Entry, Error, Flaw, Journal, Kind, LEN, Record, Role, read};

use crate::disk::Disk;
use crate::{entry, written};

fn bytes(entries: &[Entry]) -> Vec<u8> {
    let records = (0..).zip(entries).map(|(sequence, &entry)| Record { sequence, entry });
    records.flat_map(|record| record.encode()).collect()
}

fn entries(bytes: &[u8]) -> Vec<Entry> {
    read(bytes).unwrap().records.into_iter().map(|record| record.entry).collect()
}

#[test]
fn a_last_record_torn_at_any_byte_is_ignored_and_written_over() {
    let whole = bytes(&written());
    for at in 0..LEN {
        for grown in [false, true] {
            let mut torn = whole[..2 * LEN + at].to_vec();
            torn.resize(if grown { 3 * LEN } else { torn.len() }, 0);
            let contents = read(&torn).unwrap();
            assert_eq!(contents.records.len(), 2, "{at} {grown}");
            assert_eq!(contents.torn, torn.len() - 2 * LEN);

            let mut disk = Disk::with(&torn);
            let (mut journal, _) = Journal::open(&mut disk).unwrap();
            journal.append(written()[2]).unwrap();
            assert_eq!(disk.bytes(), whole, "{at} {grown}");
        }
    }
}

#[test]
fn a_flipped_bit_in_any_complete_record_is_damage_with_its_place() {
    let whole = bytes(&written());
    for bit in 0..whole.len() * 8 {
        let mut bad = whole.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let at = (bit / 8 / LEN * LEN) as u64;
        match read(&bad) {
            Err(Damage::Record { at: found, .. }) => assert_eq!(found, at, "bit {bit}"),
            other => panic!("bit {bit}: {other:?}"),
        }
    }
}

#[test]
fn a_promise_that_was_kept_whole_is_never_taken_for_a_torn_one() {
    // HANDED-OVER with one byte changed: to ignore it would let the source resume.
    let mut bad = bytes(&written()[..2]);
    bad[LEN + 40] ^= 0xff;
    let error = Journal::open(Disk::with(&bad)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "damaged at offset 0x80: the digest of the record does not match its bytes: \
         they were damaged (§5.2.6)"
    );
}

#[test]
fn zeros_in_the_middle_are_damage() {
    let mut bad = bytes(&written());
    bad[LEN..2 * LEN].fill(0);
    assert_eq!(read(&bad), Err(Damage::Leftover { at: LEN as u64 }));
}

#[test]
fn more_than_one_unfinished_record_is_damage() {
    let mut bad = bytes(&written()[..1]);
    bad.resize(LEN + LEN + 1, 0);
    assert_eq!(read(&bad), Err(Damage::Leftover { at: LEN as u64 }));
}

#[test]
fn a_record_twice_or_in_another_place_is_damage() {
    let whole = bytes(&written());
    let twice = [&whole[..LEN], &whole[..LEN]].concat();
    let flaw = Flaw::Sequence { found: 0, wanted: 1 };
    assert_eq!(read(&twice), Err(Damage::Record { at: LEN as u64, flaw }));
}

#[test]
fn a_file_that_is_no_journal_is_named_so() {
    let flaw = Flaw::Magic;
    assert_eq!(read(&[0x20; LEN]), Err(Damage::Record { at: 0, flaw }));
}

#[test]
fn a_journal_longer_than_any_is_refused_without_being_read_whole() {
    let endless = vec![0; BYTES + LEN];
    assert!(matches!(Journal::open(Disk::with(&endless)), Err(Error::Damaged(Damage::TooLong))));
}

#[test]
fn an_empty_journal_has_no_hand_over() {
    assert_eq!(entries(&[]), []);
    assert_eq!(Source::replay(&[]).unwrap(), None);
    assert_eq!(Target::replay(&[], Plan::Start).unwrap(), None);
}

#[test]
fn records_in_an_order_that_nobody_writes_are_refused() {
    let record = |(sequence, entry)| Record { sequence, entry };
    let order = |kinds: &[Kind]| -> Vec<Record> {
        let entries = kinds.iter().map(|&kind| entry(Role::Source, kind));
        (0..).zip(entries).map(record).collect()
    };
    for (kinds, sequence, kind) in [
        (vec![Kind::HandedOver], 0, "HANDED-OVER"),
        (vec![Kind::Suspended, Kind::Done], 1, "DONE"),
        (vec![Kind::Suspended, Kind::Suspended], 1, "SUSPENDED"),
        (vec![Kind::Suspended, Kind::HandedOver, Kind::Resumed], 2, "RESUMED"),
        (vec![Kind::Suspended, Kind::Owner], 1, "OWNER"),
    ] {
        let error = Source::replay(&order(&kinds)).unwrap_err();
        assert_eq!(error, Implausible::Order { sequence, kind });
    }
    let targets = order(&[Kind::Suspended]);
    let error = Target::replay(&targets, Plan::Start).unwrap_err();
    assert_eq!(error, Implausible::Role { sequence: 0 });
}
