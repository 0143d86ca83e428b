//! Which hand-over a `send` is about, by what lies beside its source, and whether it may be one.
//!
//! It knows the journal, the note, and how the files looked when a hand-over began. It reads no
//! memory: that two states are one is known by their content, which the machine of
//! [`crate::core`] compares with [`gone`].

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use snapfmt::Digest;
use snapfmt::part::vm::Vm;
use snaptool::exit::Trouble;
use snaptool::text;

use super::send::Sending;
use super::side::{Machine, Place, next_epoch, resolved};
use crate::handover::{self, SourcePhase, TargetPhase};
use crate::identity::{Epoch, Identity, SESSION_LEN, Session};
use crate::journal::{Entry, Kind, Record};
use crate::transport::Dest;

/// Which hand-over this is, and what is known of it.
pub(super) struct Known {
    pub(super) session: Session,
    pub(super) epoch: Epoch,
    pub(super) handover: Option<handover::Source>,
    /// It has come to its end before; only the target may not know.
    pub(super) over: bool,
}

impl Known {
    /// Whether the journal has records of it.
    pub(super) fn has_begun(&self) -> bool {
        self.handover.as_ref().is_some_and(|it| it.identity().session == self.session)
    }
}

/// What is asked for.
pub(super) struct Asked<'a> {
    pub(super) dest: &'a Dest,
    pub(super) options: &'a Sending,
    pub(super) vm: &'a Vm,
    /// A person has decided something about a hand-over that has begun.
    pub(super) decides: bool,
}

/// Finds out which hand-over this is: the unfinished one of the journal, that of the note, or a new
/// one. Refused is what a person did not mean.
pub(super) fn find(
    place: &Place,
    records: &[Record],
    states: &States,
    asked: &Asked<'_>,
) -> anyhow::Result<Result<Known, Trouble>> {
    let note = place.note()?;
    let peer = note.as_ref().and_then(|note| note.peer.clone());
    let same_peer = asked.options.peer_moved
        || peer.as_ref().is_none_or(|peer| *peer == asked.dest.to_string());
    let Some((before, _)) = handover::Source::replay(records)? else {
        let noted = note.filter(|note| note.is_of(asked.vm) && same_peer);
        return Ok(Ok(match noted.and_then(|note| note.session) {
            Some((session, epoch)) => Known { session, epoch, handover: None, over: false },
            None => fresh(records, None)?,
        }));
    };
    let over = is_over(&before, records);
    let noted = note.and_then(|note| note.session);
    let noted = noted.filter(|noted| over && noted.0 != before.identity().session);
    if let Some((session, epoch)) = noted.filter(|_| same_peer && !asked.decides) {
        // Another one was begun, and not offered yet.
        return Ok(Ok(Known { session, epoch, handover: Some(before), over: false }));
    }
    let peer = peer.map_or("a target".to_owned(), |peer| text::one_line(&peer));
    if over && !asked.decides {
        if let Some(refused) = after(&before, states, &peer, asked.options)? {
            return Ok(Err(refused));
        }
        if asked.options.anew {
            return Ok(Ok(fresh(records, Some(before))?));
        }
    }
    if !same_peer {
        let words = format!("this VM was offered to another target, {peer}");
        let hint = "finish that, or take it back: `migrate resolve SOURCE back --to DEST`; if that \
                    is the same target by another name, --peer-moved says so";
        return Ok(Err(Trouble::new(words).hint(hint)));
    }
    let Identity { session, epoch, .. } = before.identity();
    Ok(Ok(Known { session, epoch, handover: Some(before), over }))
}

fn fresh(records: &[Record], handover: Option<handover::Source>) -> anyhow::Result<Known> {
    let mut bytes = [0; SESSION_LEN];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    let (session, epoch) = (Session::from_bytes(bytes), next_epoch(records));
    Ok(Known { session, epoch, handover, over: false })
}

fn is_over(before: &handover::Source, records: &[Record]) -> bool {
    let session = Session::from_bytes([0; SESSION_LEN]);
    let next = Identity { session, epoch: next_epoch(records), ..before.identity() };
    handover::Source::begin(next, Some(before)).is_ok()
}

/// Why this is not to be done after a hand-over that has ended.
fn after(
    before: &handover::Source,
    states: &States,
    peer: &str,
    options: &Sending,
) -> anyhow::Result<Option<Trouble>> {
    let phase = before.phase();
    let then = states.then(before.identity().session)?;
    let same = then.as_ref().and_then(|then| states.is_now(then));
    // The note may be about a later one.
    let peer = then.as_ref().map_or(peer, |then| &then.peer);
    let went = matches!(phase, SourcePhase::Done | SourcePhase::Superseded);
    if options.anew {
        let stale = went && same == Some(true) && !options.peer_vm_is_gone;
        return Ok(stale.then(|| {
            let words = format!("this state was handed over to {peer}: what is here is stale");
            let hint = "if the VM is lost there, and its disks are as this snapshot left them, \
                        --peer-vm-is-gone hands it over once more";
            Trouble::new(words).hint(hint)
        }));
    }
    if phase != SourcePhase::Done {
        let words = format!("the last hand-over of this VM ended: {}", phase.name());
        return Ok(Some(Trouble::new(words).hint("--anew begins another one")));
    }
    Ok((same == Some(false)).then(|| {
        let words = format!("this is another state than what was handed over to {peer}");
        let hint = "--anew hands this one over; if the target still waits to hear of the earlier \
                    one: `migrate resolve SOURCE forward --to DEST`";
        Trouble::new(words).hint(hint)
    }))
}

/// The contents that went to a target, by the last word on each hand-over: what is here of them is
/// stale.
pub(super) fn gone(records: &[Record]) -> Vec<Digest> {
    let mut last: Vec<Entry> = Vec::new();
    for entry in records.iter().map(|record| record.entry) {
        match last.last_mut() {
            _ if entry.kind == Kind::Settled => {}
            Some(it) if it.identity.session == entry.identity.session => *it = entry,
            _ => last.push(entry),
        }
    }
    let went = [Kind::HandedOver, Kind::Done, Kind::Superseded];
    let went = last.into_iter().filter(|entry| went.contains(&entry.kind));
    went.map(|entry| entry.identity.content).collect()
}

/// Why a source is not one that a first hand-over may begin from: it has another name, and with
/// that another journal; or a target has its own in there.
pub(super) fn not_ours(source: &Path) -> anyhow::Result<Option<Trouble>> {
    let shown = text::path(source);
    let file = resolved(source);
    let data = fs::metadata(&file).with_context(|| shown.clone())?;
    if data.nlink() > 1 {
        let words = format!("{shown} has {} names, and may be handed over by each", data.nlink());
        return Ok(Some(Trouble::new(words).hint("let it have one name: hard links are removed")));
    }
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let place = Place::named(parent.unwrap_or(Path::new(".")));
    if file.file_name().is_none_or(|name| name != "vm.ckp") {
        return Ok(None);
    }
    let words = match Machine::replay(&place.look()?)? {
        Some((Machine::Target(target), _)) => match target.phase() {
            TargetPhase::Claimed => return Ok(None),
            TargetPhase::Kept if target.is_settled() => return Ok(None),
            TargetPhase::Running => "the VM has run from it, and it is stale".to_owned(),
            phase => format!("that hand-over is at {}", phase.name()),
        },
        Some((Machine::Source(_), _)) => return Ok(None),
        None if place.journal().exists() && place.note()?.is_some() => {
            "the VM is still on its way".to_owned()
        }
        None => return Ok(None),
    };
    let words = format!("{shown} was received by migrate, and is not to be sent: {words}");
    let hint = "`migrate status` of its directory says more; a new snapshot goes to another name";
    Ok(Some(Trouble::new(words).hint(hint)))
}

/// How files looked when each hand-over of them began: a line per hand-over.
///
/// Only that something has changed is believed of it.
pub(super) struct States {
    path: PathBuf,
    now: io::Result<String>,
}

/// How files looked, and where the VM went.
struct Then {
    looked: String,
    peer: String,
}

/// No more is read of the file, and no more kept in it.
const MOST: usize = 16 << 10;

impl States {
    /// Those of a source, and how that looks now.
    pub(super) fn of(source: &Path, place: &Place) -> Self {
        Self { path: place.dir().join("states"), now: look(source) }
    }

    /// Whether the files look as they did when that hand-over began, if that is known.
    ///
    /// # Errors
    /// Trouble with reading.
    pub(super) fn same(&self, session: Session) -> anyhow::Result<Option<bool>> {
        Ok(self.then(session)?.and_then(|then| self.is_now(&then)))
    }

    fn is_now(&self, then: &Then) -> Option<bool> {
        self.now.as_ref().ok().map(|now| then.looked == *now)
    }

    /// What is remembered of that hand-over.
    fn then(&self, session: Session) -> anyhow::Result<Option<Then>> {
        let (lines, key) = (self.read()?, session.to_string());
        let found = lines.iter().rev().find_map(|line| {
            let mut words = line.splitn(4, ' ');
            let mut word = || words.next();
            let ours = word()? == key;
            let (ram, kern, peer) = (word()?, word()?, word()?);
            let then = Then { looked: format!("{ram} {kern}"), peer: text::one_line(peer) };
            ours.then_some(then)
        });
        Ok(found)
    }

    fn read(&self) -> anyhow::Result<Vec<String>> {
        let mut text = Vec::new();
        match File::open(&self.path) {
            Ok(file) => file.take(MOST as u64).read_to_end(&mut text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => Err(error),
        }
        .with_context(|| text::path(&self.path))?;
        Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
    }

    /// Remembers how the files look now that a hand-over begins.
    ///
    /// # Errors
    /// If that is not possible.
    pub(super) fn write(&self, session: Session, peer: &str) -> anyhow::Result<()> {
        let Ok(now) = &self.now else { return Ok(()) };
        let mut lines = self.read()?;
        lines.push(format!("{session} {now} {}", text::one_line(peer)));
        let mut left = MOST;
        let fits = |line: &&String| {
            left = left.saturating_sub(line.len() + 1);
            left > 0
        };
        let kept = lines.iter().rev().take_while(fits).count();
        let mut text = String::new();
        for line in lines.iter().skip(lines.len() - kept) {
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "{line}");
        }
        let new = self.path.with_extension("new");
        let write = || {
            let mut options = File::options();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        };
        write().with_context(|| format!("cannot write {}", text::path(&self.path)))
    }
}

/// How the files of a source look: their sizes and times.
fn look(source: &Path) -> io::Result<String> {
    let file = resolved(source);
    let mut kern = file.as_os_str().to_owned();
    kern.push(".kern");
    let shown =
        |data: fs::Metadata| format!("{}@{}.{:09}", data.len(), data.mtime(), data.mtime_nsec());
    let ram = shown(fs::metadata(&file)?);
    // A snapshot in one file has none.
    let kern = fs::metadata(&kern).map_or("-".to_owned(), shown);
    Ok(format!("{ram} {kern}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Role;

    fn record(session: u8, kind: Kind) -> Record {
        let session = Session::from_bytes([session; SESSION_LEN]);
        let content = Digest::of(session.as_bytes());
        let identity = Identity { session, epoch: 1, content };
        Record { sequence: 0, entry: Entry { role: Role::Source, kind, evidence: None, identity } }
    }

    #[test]
    fn a_content_is_gone_by_the_last_word_on_its_hand_over() {
        let gone_of = |kinds: &[(u8, Kind)]| {
            let records: Vec<_> = kinds.iter().map(|(at, kind)| record(*at, *kind)).collect();
            let of = |at: u8| Digest::of(&[at; SESSION_LEN]);
            let gone = gone(&records);
            [1, 2].map(|at| gone.contains(&of(at)))
        };
        use Kind::{Claimed, Done, HandedOver, Resumed, Resuming, Settled, Superseded, Suspended};
        assert_eq!(gone_of(&[(1, Suspended), (1, HandedOver), (1, Done)]), [true, false]);
        let back = [(1, Suspended), (1, Resuming), (1, Resumed), (1, Settled)];
        assert_eq!(gone_of(&back), [false; 2]);
        assert_eq!(gone_of(&[(1, Superseded), (1, Claimed), (2, Suspended)]), [false; 2]);
        assert_eq!(gone_of(&[(1, Done), (2, Suspended), (2, Superseded)]), [true; 2]);
    }

    #[test]
    fn that_files_have_changed_is_known_for_each_hand_over() {
        let dir = std::env::temp_dir().join(format!("states-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (source, place) = (dir.join("vm.ckp"), Place::named(&dir));
        let [first, second] = [1, 2].map(|at| Session::from_bytes([at; SESSION_LEN]));
        let same = |session| States::of(&source, &place).same(session).unwrap();
        fs::write(&source, "one").unwrap();
        assert_eq!(same(first), None);
        States::of(&source, &place).write(first, "unix:a b").unwrap();
        assert_eq!((same(first), same(second)), (Some(true), None));
        let then = States::of(&source, &place).then(first).unwrap();
        assert_eq!(then.map(|then| then.peer).as_deref(), Some("unix:a b"));
        fs::write(&source, "other").unwrap();
        States::of(&source, &place).write(second, "-").unwrap();
        assert_eq!((same(first), same(second)), (Some(false), Some(true)));
        fs::write(dir.join("vm.ckp.kern"), "state").unwrap();
        assert_eq!(same(second), Some(false));
        // However many there were, the last ones are known.
        for _ in 0..400 {
            States::of(&source, &place).write(second, "-").unwrap();
        }
        assert_eq!((same(first), same(second)), (None, Some(true)));
        fs::remove_dir_all(&dir).unwrap();
    }
}
