//! The VM of a bhyve without a guest: memory that tests write to, and a log of written pages.

use std::fs::File;
use std::os::unix::fs::FileExt;

use migrate::bhyve::primitives::Doing;
use migrate::vm::Written;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::nvlist::{Builder, Nvlist, OwnedValue};

use super::Said;

/// Pages of low memory; not a multiple of 8, so that a bitmap has spare bits.
const LOW: u64 = 11 * 4096;
/// Pages above 4 GiB.
const HIGH: u64 = 8 * 4096;
const HIGH_BASE: u64 = 1 << 32;

/// What goes wrong with the next command.
#[derive(Clone, Debug, Default)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// A device forbids primitives, by name.
    Device(&'static str),
    /// The command is done, and its reply is lost.
    ReplyLost,
    /// These bytes come instead of a reply.
    Garbage(Vec<u8>),
    /// This list comes instead of a reply.
    Instead(Nvlist),
    /// `suspend` cannot write, and the guest is in this state after it.
    Full(Doing),
}

/// The VM.
pub struct Machine {
    /// Whether the process is there.
    pub alive: bool,
    /// What came in.
    pub requests: Vec<Nvlist>,
    /// What goes wrong next.
    pub trouble: Trouble,
    /// What the guest does.
    pub guest: Doing,
    map: MemoryMap,
    ram: File,
    next: u64,
    /// The latest mark, and what was written since.
    latest: Option<(u64, Written)>,
    /// The mark before, and what was told of the time between the two.
    before: Option<(u64, Written)>,
}

/// The text of `.meta`.
pub(super) fn meta() -> Vec<u8> {
    format!(
        "{{\n  \"basic metadata\": {{\n    \"ncpus\": 1,\n    \"vmname\": \"vm\",\n    \
         \"memsize\": {},\n    \"memflags\": 0\n  }}\n,\n  \"kern_structs\": [\n    {{\n      \
         \"device\": \"vhpet\",\n      \"size\": 284,\n      \"file_offset\": 0\n    }}\n  ]\n,\n  \
         \"devices\": [\n    {{\n      \"device\": \"atkbdc\",\n      \"size\": 141,\n      \
         \"file_offset\": 284\n    }}\n  ]\n}}\n",
        LOW + HIGH
    )
    .into_bytes()
}

/// A string of a list.
pub(super) fn text(list: &Nvlist, name: &str) -> Option<String> {
    match list.get(name) {
        Some(OwnedValue::String(text)) => String::from_utf8(text.clone()).ok(),
        _ => None,
    }
}

/// Why a command is refused: a name of an error, and what it concerns.
pub(super) struct Refused(pub(super) &'static str, pub(super) &'static str);

impl Machine {
    pub(super) fn new() -> Self {
        let segments = [Segment { gpa: 0, len: LOW }, Segment { gpa: HIGH_BASE, len: HIGH }];
        let ram = tempfile::tempfile().expect("a file");
        ram.set_len(LOW + HIGH).expect("a file of that length");
        Self {
            alive: true,
            requests: Vec::new(),
            trouble: Trouble::None,
            guest: Doing::Running,
            map: MemoryMap::new(segments.to_vec()).expect("a memory map"),
            ram,
            next: 0x5eed,
            latest: None,
            before: None,
        }
    }

    pub(super) fn ram(&self) -> File {
        self.ram.try_clone().expect("another descriptor")
    }

    pub(super) fn kern(&self) -> Vec<u8> {
        vec![0x5a; 425]
    }

    /// All of memory, as bhyve writes it.
    ///
    /// # Panics
    /// If it cannot be read.
    #[must_use]
    pub fn memory(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(LOW + HIGH).expect("a small guest")];
        self.ram.read_exact_at(&mut bytes, 0).expect("memory");
        bytes
    }

    /// Writes to a page, as a guest does that runs.
    ///
    /// # Panics
    /// If there is no such page.
    pub fn write(&mut self, gpa: u64, byte: u8) {
        let offset = if gpa < LOW { gpa } else { gpa - HIGH_BASE + LOW };
        self.ram.write_all_at(&[byte], offset).expect("memory");
        if let Some((_, log)) = &mut self.latest {
            assert!(log.insert(gpa), "a page of the guest");
        }
    }

    pub(super) fn primitive(
        &mut self,
        cmd: &str,
        list: &Nvlist,
        directory: Option<std::os::fd::BorrowedFd<'_>>,
    ) -> Said {
        let trouble = std::mem::take(&mut self.trouble);
        if let Trouble::Garbage(bytes) = trouble {
            return Said::Raw(bytes);
        }
        if let Trouble::Instead(list) = trouble {
            return Said::Answer(list);
        }
        let allowed: &[&str] = match cmd {
            "dirty" => &["cmd", "since", "stop"],
            "suspend" => &["cmd", "filename", "fddir"],
            _ => &["cmd"],
        };
        let unknown = |pair: &&snapfmt::nvlist::OwnedPair| {
            !allowed.iter().any(|name| name.as_bytes() == pair.name)
        };
        let done = match list.pairs().iter().find(unknown) {
            Some(_) => Err(Refused("EINVAL", "an unknown pair")),
            None => match cmd {
                "primitives" => self.offer(&trouble),
                "dirty" => self.dirty(list),
                "suspend" => self.suspend(list, directory, &trouble),
                "resume" => self.resume(),
                "destroy" => self.destroy(),
                _ => Err(Refused("EOPNOTSUPP", "the command")),
            },
        };
        let (reply, memory) = match done {
            Ok(reply) => reply,
            Err(Refused(code, what)) => {
                let reply = Nvlist::builder().string("error", "it cannot be done");
                (reply.string("code", code).string("what", what), false)
            }
        };
        let reply = reply.string("guest", self.guest.name()).build().expect("a list");
        match trouble {
            Trouble::ReplyLost => Said::Nothing,
            _ if memory => Said::Memory(reply),
            _ => Said::Answer(reply),
        }
    }

    fn offer(&self, trouble: &Trouble) -> Result<(Builder, bool), Refused> {
        if let Trouble::Device(name) = trouble {
            return Err(Refused("EOPNOTSUPP", name));
        }
        let mut offset = 0;
        let segment = |segment: &Segment| {
            let list = Nvlist::builder()
                .number("gpa", segment.gpa)
                .number("len", segment.len)
                .number("offset", offset);
            offset += segment.len;
            list
        };
        let segments: Vec<_> = self.map.segments().iter().map(segment).collect();
        let reply = Nvlist::builder().number("primitives", 1);
        Ok((reply.nvlist_array("segments", segments).descriptor("memory", 0), true))
    }

    fn dirty(&mut self, list: &Nvlist) -> Result<(Builder, bool), Refused> {
        let stop = match list.get("stop") {
            None | Some(OwnedValue::Bool(false)) => false,
            Some(OwnedValue::Bool(true)) => true,
            Some(_) => return Err(Refused("EINVAL", "stop")),
        };
        let since = match list.get("since") {
            None => None,
            Some(OwnedValue::Number(since)) if !stop => Some(*since),
            Some(_) => return Err(Refused("EINVAL", "since")),
        };
        if stop {
            (self.latest, self.before) = (None, None);
            return Ok((Nvlist::builder(), false));
        }
        let told = match (since, self.latest.take(), self.before.take()) {
            (None, ..) => None,
            (Some(since), Some((mark, log)), _) if since == mark => Some((mark, log)),
            (Some(since), Some((_, log)), Some((mark, mut told))) if since == mark => {
                told.merge(&log);
                Some((mark, told))
            }
            (Some(_), latest, before) => {
                (self.latest, self.before) = (latest, before);
                return Err(Refused("ESTALE", "since"));
            }
        };
        let mark = self.next;
        self.next += 1;
        self.latest = Some((mark, Written::none(&self.map)));
        let mut reply = Nvlist::builder().number("mark", mark);
        if let Some((_, told)) = &told {
            let list = |(segment, bitmap): (Segment, &[u8])| {
                Nvlist::builder().number("gpa", segment.gpa).binary("bitmap", bitmap)
            };
            reply = reply.nvlist_array("dirty", told.bitmaps().map(list));
        }
        self.before = told;
        Ok((reply, false))
    }
}
