//! When a record counts, and what a failed sync does.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, symlink};

use migrate::journal::{Error, File, Journal, LEN, Storage};

use crate::disk::{Call, Disk, Torn};
use crate::written;

const NOTHING: Torn = Torn { reached: 0, grown: false };

#[test]
fn a_record_is_written_then_synced_and_the_name_before_both() {
    let mut disk = Disk::default();
    let (mut journal, _) = Journal::open(&mut disk).unwrap();
    journal.append(written()[0]).unwrap();
    assert_eq!(disk.calls, [Call::Read, Call::SyncDir, Call::Write, Call::Sync]);
}

#[test]
fn what_append_has_returned_survives_the_host() {
    let mut disk = Disk::default();
    let (mut journal, _) = Journal::open(&mut disk).unwrap();
    for entry in written() {
        journal.append(entry).unwrap();
    }
    disk.host_died(NOTHING);
    let (_, contents) = Journal::open(&mut disk).unwrap();
    assert_eq!(contents.records.len(), 3);
}

#[test]
fn a_failed_sync_ends_the_journal_for_good() {
    let mut disk = Disk::default();
    disk.fails_sync_in = Some(0);
    let (mut journal, _) = Journal::open(&mut disk).unwrap();
    assert!(matches!(journal.append(written()[0]), Err(Error::Sync(_))));
    // The disk would sync again now, and say that all is well.
    assert!(matches!(journal.append(written()[0]), Err(Error::Ended)));
}

#[test]
fn a_record_that_only_the_cache_has_is_made_durable_before_it_counts() {
    let mut disk = Disk::default();
    let (mut journal, _) = Journal::open(&mut disk).unwrap();
    journal.append(written()[0]).unwrap();
    lose_a_sync(&mut disk);

    // The disk does not have the record, although every later sync succeeds.
    let mut lost = disk.clone();
    lost.sync().unwrap();
    lost.host_died(NOTHING);
    assert_eq!(Journal::open(&mut lost).unwrap().1.records.len(), 1);

    // A process that finds it in the cache believes it, and so has to keep it.
    assert_eq!(Journal::open(&mut disk).unwrap().1.records.len(), 2);
    disk.host_died(NOTHING);
    assert_eq!(Journal::open(&mut disk).unwrap().1.records.len(), 2);
}

#[test]
fn a_journal_whose_last_record_cannot_be_made_durable_does_not_open() {
    let mut disk = Disk::default();
    let (mut journal, _) = Journal::open(&mut disk).unwrap();
    journal.append(written()[0]).unwrap();
    disk.fails_sync_in = Some(0);
    assert!(matches!(Journal::open(&mut disk), Err(Error::Sync(_))));
}

/// Writes the second record; the cache keeps it and the disk does not.
fn lose_a_sync(disk: &mut Disk) {
    // Opening syncs once; the sync after that is the record's.
    disk.fails_sync_in = Some(1);
    let (mut journal, _) = Journal::open(&mut *disk).unwrap();
    assert!(matches!(journal.append(written()[1]), Err(Error::Sync(_))));
}

#[test]
fn a_directory_that_cannot_be_synced_is_an_error_before_any_record() {
    let mut disk = Disk::default();
    disk.fails_sync_dir = true;
    assert!(matches!(Journal::open(&mut disk), Err(Error::Sync(_))));
}

#[test]
fn a_file_keeps_its_records_and_only_its_owner_can_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (mut journal, _) = Journal::open(File::open(&path).unwrap()).unwrap();
    for entry in written() {
        journal.append(entry).unwrap();
    }
    drop(journal);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(&path).unwrap().len(), 3 * LEN as u64);
    let (_, contents) = Journal::open(File::open(&path).unwrap()).unwrap();
    assert_eq!(contents.records.iter().map(|record| record.entry).collect::<Vec<_>>(), written());
}

#[test]
fn one_process_holds_a_journal_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let held = File::open(&path).unwrap();
    assert_eq!(File::open(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(held);
    File::open(&path).unwrap();
}

#[test]
fn a_journal_is_no_link_and_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    symlink(dir.path().join("elsewhere"), &link).unwrap();
    assert!(File::open(&link).is_err());
    assert!(!dir.path().join("elsewhere").exists());
    assert!(File::open(dir.path()).is_err());
}
