//! Sound files, with everything that the spec allows.

use crate::forge::{Extent, Fields, List, Plan, Record, Value};

use super::{fields, head, header, known, memory, number, pair, parts, piece_of, plan};

/// The plan of a sound file.
pub struct Sound {
    /// What is special about it.
    pub what: &'static str,
    /// The plan.
    pub plan: Plan,
    /// Of a delta, what is special about its parent.
    pub parent: Option<&'static str>,
}

fn full(what: &'static str, plan: Plan) -> Sound {
    Sound { what, plan, parent: None }
}

/// Plans of sound files.
#[must_use]
pub fn sound_plans() -> Vec<Sound> {
    [machines(), parts_of(), memories(), records(), deltas()].into_iter().flatten().collect()
}

/// The files of a chain up to the sound plan of this name, the full one first.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn chain(what: &str) -> Vec<Vec<u8>> {
    let plans = sound_plans();
    let sound = plans.iter().find(|sound| sound.what == what).unwrap();
    let mut files = sound.parent.map(chain).unwrap_or_default();
    files.push(sound.plan.forge());
    files
}

fn machines() -> Vec<Sound> {
    vec![
        full("the small file", Plan::small()),
        full("the small file in generation A", Plan::small_a()),
        full("the small file, compressed", Plan::small_zstd()),
        full("another architecture", plan(|p| p.arch = "arm64".to_owned())),
        full("the longest name of an architecture", plan(|p| p.arch = "_9z".repeat(10) + "a")),
        full("the UUID of the VM, partly in upper case", {
            plan(|p| p.vm_uuid = Some("FFFFFFFF-4455-6677-8899-aabbccddeeff".to_owned()))
        }),
        full("a VM without a name", plan(|p| p.name.clear())),
        full("a name of 255 bytes", plan(|p| p.name = "n".repeat(255))),
        full("1024 vCPUs", plan(|p| p.ncpus = 1024)),
        full("memflags 2^32-1", plan(|p| p.memflags = u64::from(u32::MAX))),
    ]
}

fn parts_of() -> Vec<Sound> {
    let unknown = List::new().number("n", 1);
    let carried = (0x8000_1234, unknown.clone(), vec![7; 100], 4096);
    let of = List::new().text("vendor", &"v".repeat(63)).bytes("more", &[0xff]);
    let (bound, private) =
        ((0xc000_0077, unknown.clone(), vec![1], 1), (0xa000_0077, of, vec![2; 9], 1));
    let host = (0x8000_0004, unknown, Vec::new(), 1);
    vec![
        full("a MAP part for each extent", plan(|p| p.per_map = 1)),
        full("no CONFIG part", plan(|p| p.config = None)),
        full("no META part", plan(|p| p.described = false)),
        full("no META part, records in another order", {
            plan(|p| {
                p.described = false;
                p.records.reverse();
            })
        }),
        full(
            "memory only",
            plan(|p| {
                p.described = false;
                p.config = None;
                p.records.clear();
            }),
        ),
        full("a part that is bound to the file, and private ones on both sides of memory", {
            plan(|p| {
                p.optional = vec![bound, private.clone()];
                p.late = vec![private];
            })
        }),
        full("optional parts without records and memory", {
            plan(|p| {
                p.described = false;
                p.records.clear();
                p.extents.clear();
                p.late = vec![carried.clone(), carried.clone()];
            })
        }),
        full("HOST and an optional part that is not known", {
            plan(|p| p.optional = vec![host, carried.clone()])
        }),
        full("an optional part after memory", plan(|p| p.late = vec![carried.clone()])),
        full("an optional part before records and two after memory", {
            plan(|p| {
                p.optional = vec![carried.clone()];
                p.late = vec![carried.clone(), carried.clone()];
            })
        }),
        full("an optional part after records, without memory", {
            plan(|p| {
                p.extents.clear();
                p.late = vec![carried];
            })
        }),
    ]
}

fn memories() -> Vec<Sound> {
    vec![
        full("no extents", plan(|p| p.extents.clear())),
        full("pages that are not aligned", plan(|p| p.align = 1)),
        full("a block of 4 MiB whose pages are all data", {
            plan(|p| {
                p.zstd = true;
                p.segments[0].1 = 4 << 20;
                p.extents[0].size = 4 << 20;
                p.extents[0].pages = (0..1024).map(|n| (n, vec![n as u8 | 1; 4096])).collect();
            })
        }),
        full("memory up to 2^52", {
            plan(|p| p.segments = vec![(0, 40 * 4096), (1 << 32, (1 << 52) - (1 << 32))])
        }),
    ]
}

fn records() -> Vec<Sound> {
    let fields = |what, zstd, fields: &Fields| {
        let plan = fields::plan(fields);
        full(what, Plan { zstd, ..plan })
    };
    let (sample, bulky) = (fields::sample(), fields::bulky());
    let only =
        |list: List| Fields { list, widths: Vec::new(), chunks: Vec::new(), ..sample.clone() };
    vec![
        full("no records", plan(|p| p.records.clear())),
        full("an empty record", plan(|p| p.records[1].bytes.clear())),
        fields("a record as fields of a layout that is not known", false, &sample),
        fields("a record as fields, in a compressed file", true, &sample),
        fields("a record as fields with bulk", false, &bulky),
        fields("a record as fields with bulk, compressed", true, &bulky),
        fields("a record as fields without numbers", false, &{
            only(List::new().bytes("bytes", &[7; 9]))
        }),
        fields("an empty record as fields", false, &only(List::new())),
        fields("a record as fields of a layout that is known", false, &known::vatpic()),
        fields("a record as fields of a layout that is known, with bulk", false, &known::fbuf()),
        full("a record as fields of a version of a layout that is not known", {
            known::unknown_version()
        }),
    ]
}

fn deltas() -> Vec<Sound> {
    const SMALL: &str = "the small file";
    const XOR: &str = "a delta with differences";
    let over = |parent, what, plan| Sound { parent: Some(parent), ..full(what, plan) };
    let delta = |change: fn(&mut Plan)| {
        let mut plan = Plan::small_delta();
        change(&mut plan);
        plan
    };
    let mut second = Plan::small_xor().child();
    second.extents = vec![Extent::new(0, &[(1, 6), (3, 7)]), Extent::new(1 << 32, &[(3, 8)])];
    for (extent, page) in [(0, 1), (0, 3), (1, 3)] {
        // Differences from a difference, from a page that is inherited twice, from a zero page.
        second.extents[extent].xor.insert(page);
    }
    let mut sizes = Plan::small_xor().child();
    let mut large = Extent { size: 256 << 10, ..Extent::new(0, &[(2, 6), (33, 8)]) };
    large.xor.insert(2);
    large.zero.extend([1, 39]);
    sizes.extents = vec![large];
    let mut same = Plan::small().child();
    same.records.push(Record::new("devices", "new@pci.0.4.0", vec![1]));
    vec![
        over(SMALL, "a delta", Plan::small_delta()),
        over(SMALL, XOR, Plan::small_xor()),
        over(XOR, "a delta to a delta", second),
        over(XOR, "a delta in blocks of other sizes", sizes),
        over(SMALL, "a delta without extents", same),
        over(SMALL, "a delta of zero pages", delta(|p| drop(p.extents.remove(0)))),
        over(SMALL, "a delta whose zero page was zero before", {
            delta(|p| p.extents[0].zero.extend([7]))
        }),
        over(SMALL, "a delta with a data page of zeros", {
            delta(|p| drop(p.extents[0].pages.insert(4, vec![0; 4096])))
        }),
        over(SMALL, "a delta with a data page that did not change", {
            delta(|p| drop(p.extents[0].pages.insert(1, crate::forge::plan::page(1))))
        }),
        over(SMALL, "a delta that changes nothing", Plan::small().child()),
        over(SMALL, "a delta without META", Plan { described: false, ..Plan::small_xor() }),
        over(SMALL, "a delta whose pages are not aligned", delta(|p| p.align = 1)),
        over(SMALL, "a delta with a MAP part for each extent", delta(|p| p.per_map = 1)),
        over(SMALL, "a delta with an optional part after memory", {
            delta(|p| p.late = vec![(0x8000_1234, List::new(), vec![1], 1)])
        }),
        over(SMALL, "a delta with a block that lies in RAM in part", {
            delta(|p| {
                let mut edge = Extent::new(0x20000, &[(7, 9)]);
                edge.zero.insert(0);
                p.extents.insert(1, edge);
            })
        }),
    ]
}

/// Sound files with what is new in a place that is open for it.
#[must_use]
pub fn sound_extensions() -> Vec<(&'static str, Vec<u8>)> {
    let head = head(|head| {
        head.list.set("a-new-pair", number(1));
        head.list.set("compatible", Value::Texts(vec!["shiny".to_owned()]));
    });
    let parent = crate::forge::forge_with(&Plan::small_delta(), &mut |step| {
        if let crate::forge::Step::Head(head) = step
            && let Some((_, Value::List(list))) =
                head.list.pairs.iter_mut().find(|(name, _)| name == "parent")
        {
            list.drop("uuid");
            list.set("a-new-pair", number(1));
        }
    });
    let config = pair(0x8000_0003, "a-new-pair", number(1));
    let zeros = plan(|p| drop(p.extents[0].pages.insert(4, vec![0; 4096])));
    let windowed = piece_of(&Plan::small_zstd(), 32, |piece| {
        piece.payload = memory::windowed(&piece.payload, 16);
    });
    vec![
        ("a pair and a compatible feature that are not known in the header block", head),
        ("a pair that is not known, and no UUID, in what a delta says of its parent", parent),
        ("a pair that is not known in CONFIG", config),
        ("a stored page of zeros", zeros.forge()),
        ("32768 values in .meta", parts::valued(32768)),
        ("65536 pairs and elements of a list", header::elements(65536)),
        ("a window of 64 MiB", windowed),
    ]
}
