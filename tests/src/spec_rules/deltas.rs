//! Chapter 13: deltas alone, and what only their parents show.

use crate::forge::plan::page;
use crate::forge::{Extent, Fact, Head, List, Piece, Plan, Step, Value, forge_with, tree};

use super::memory::first;
use super::{Case, Seek, case, number, piece_of, plan, text};

const HEADER: &str = "header block";
const INDEX: &str = "INDEX part";
const AT_0: &str = "memory extent at GPA 0x0";
const AT_4G: &str = "memory extent at GPA 0x100000000";

fn delta(change: impl FnOnce(&mut Plan)) -> Plan {
    let mut plan = Plan::small_delta();
    change(&mut plan);
    plan
}

/// The plan's file with another header block.
fn head_of(plan: &Plan, change: impl Fn(&mut Head)) -> Vec<u8> {
    forge_with(plan, &mut |step| {
        if let Step::Head(head) = step {
            change(head);
        }
    })
}

/// The small delta with another pair in what it says of its parent.
fn parent(change: impl Fn(&mut List)) -> Vec<u8> {
    head_of(&Plan::small_delta(), |head| {
        let pair = head.list.pairs.iter_mut().find(|(name, _)| name == "parent");
        let Some((_, Value::List(list))) = pair else { unreachable!() };
        change(list);
    })
}

pub(super) fn header() -> Vec<Case> {
    let small = Plan::small_delta();
    let wrong = ("value", "§13.1", HEADER);
    let pair = ("pair", "§5", HEADER);
    let set = |name: &str, value: Value| parent(|list| list.set(name, value.clone()));
    vec![
        case("13.1", "a parent without the feature", wrong, {
            head_of(&small, |head| head.list.drop("incompatible"))
        }),
        case("13.1", "the feature without a parent", wrong, {
            head_of(&small, |head| head.list.drop("parent"))
        }),
        case("13.1", "the feature in a full file", wrong, {
            let feature = Value::Texts(vec!["delta".to_owned()]);
            head_of(&Plan::small(), |head| head.list.set("incompatible", feature.clone()))
        }),
        case("13.1", "the feature among those that may be ignored", wrong, {
            let feature = Value::Texts(vec!["delta".to_owned()]);
            head_of(&small, |head| {
                head.list.drop("incompatible");
                head.list.set("compatible", feature.clone());
            })
        }),
        case("13.1", "a parent that is a text", pair, {
            head_of(&small, |head| head.list.set("parent", text("vm0")))
        }),
        case("13.1.1", "no content", pair, parent(|list| list.drop("content"))),
        case("13.1.1", "content of 31 bytes", pair, set("content", Value::Bytes(vec![1; 31]))),
        case("13.1.1", "content as text", pair, set("content", text(&"a".repeat(64)))),
        case("13.1.2", "a UUID with a g", ("value", "§3", HEADER), {
            set("uuid", text("00112233-4455-6677-8899-aabbccddeefg"))
        }),
        case("13.1.2", "a UUID that is a number", pair, set("uuid", number(1))),
    ]
}

/// The small delta with another bitmap of zero pages in its first extent; of these, so many bits
/// are more than there were.
fn zero(bitmap: &[u8], more: u64) -> Vec<u8> {
    first(&Plan::small_delta(), |piece| {
        piece.list.set("zero", Value::Bytes(bitmap.to_vec()));
        let Fact::Extent { zero, .. } = &mut piece.fact else { unreachable!() };
        *zero += more;
    })
}

pub(super) fn extents() -> Vec<Case> {
    let (small, bits) = (Plan::small_delta(), Value::Bytes(vec![0, 1]));
    let wrong = |rule| ("value", rule, AT_0);
    let edge = |pages: &[(u64, u8)], zero: &[u64]| {
        delta(|p| {
            let mut edge = Extent::new(0x20000, pages);
            edge.zero = zero.iter().copied().collect();
            p.extents.insert(1, edge);
        })
        .forge()
    };
    let at_edge = |rule| ("value", rule, "memory extent at GPA 0x20000");
    let zeros = delta(|p| drop(p.extents.remove(0)));
    let only = |change: fn(&mut Piece)| first(&zeros, change);
    let root = ("digest", "§6.2.8", AT_0);
    let as_full = plan(|p| p.extents.clone_from(&small.extents)).tree().block(0, 64 << 10);
    vec![
        case("13.2", "no bitmap of zero pages", wrong("§13.2"), {
            first(&small, |piece| piece.list.drop("zero"))
        }),
        case("13.2", "a bitmap of zero pages in a full file", wrong("§13.2"), {
            first(&Plan::small(), |piece| piece.list.set("zero", bits.clone()))
        }),
        case("13.2", "a bitmap of differences in a full file", wrong("§13.2"), {
            first(&Plan::small_zstd(), |piece| piece.list.set("xor", Value::Bytes(vec![2, 0])))
        }),
        case("13.2", "zero pages that are a number", ("pair", "§5", AT_0), {
            first(&small, |piece| piece.list.set("zero", number(1)))
        }),
        case("13.2.1", "a page that is data and zero", wrong("§13.2.1"), zero(&[2, 128], 1)),
        case("13.2.1", "a byte less", wrong("§13.2.1"), zero(&[0], 0)),
        case("13.2.1", "a byte more", wrong("§13.2.1"), zero(&[0, 128, 0], 0)),
        case("13.2.1", "no page", at_edge("§13.2.1"), edge(&[], &[])).seek(Seek::Map),
        case("13.2.1", "a zero page outside of all segments", at_edge("§13.2.1"), edge(&[], &[8])),
        case("6.2.3", "a page of a delta outside of all segments", at_edge("§6.2.3"), {
            edge(&[(8, 1)], &[0])
        }),
        case("13.2.1", "zstd without data pages", ("value", "§13.2.1", AT_4G), {
            only(|piece| {
                let root = piece.payload_digest.take().unwrap();
                piece.list.set("encoding", text("zstd"));
                piece.list.set("root", Value::Bytes(root.to_vec()));
                piece.flags = 0;
            })
        }),
        case("13.2.1", "a payload without data pages", ("value", "§6.2.6", AT_4G), {
            only(|piece| piece.payload = vec![0; 4096])
        }),
        case("13.2.1", "no flag without data pages", ("value", "§6.2.6", AT_4G), {
            only(|piece| {
                piece.flags = 0;
                piece.payload_digest = None;
            })
        }),
        case("6.2.10", "leaves without data pages", ("value", "§6.2.10", AT_4G), {
            only(|piece| piece.list.set("leaves", Value::Bytes(vec![1; 32])))
        }),
        case("6.2.8", "another page in a delta", root, {
            first(&small, |piece| piece.payload[17] ^= 1)
        }),
        case("6.2.8", "a root over zeros where pages are inherited", root, {
            first(&small, |piece| piece.payload_digest = Some(as_full))
        }),
        case("6.2.8", "another root without data pages", ("digest", "§6.2.8", AT_4G), {
            only(|piece| piece.payload_digest = Some([1; 32]))
        }),
    ]
}

pub(super) fn differences() -> Vec<Case> {
    let (xor, raw) = (Plan::small_xor(), Plan::small_delta());
    let root = ("digest", "§6.2.8", AT_0);
    let bitmap = |what: &str, bits: &[u8]| {
        let file = first(&xor, |piece| piece.list.set("xor", Value::Bytes(bits.to_vec())));
        case("13.2.2", what, ("value", "§13.2.2", AT_0), file)
    };
    vec![
        bitmap("no page", &[0, 0]),
        bitmap("a byte less", &[2]),
        bitmap("a byte more", &[2, 0, 0]),
        bitmap("a zero page", &[2, 128]),
        bitmap("an inherited page", &[2, 1]),
        case("6.2.10", "no leaves with differences", ("value", "§6.2.10", AT_0), {
            first(&xor, |piece| piece.list.drop("leaves"))
        }),
        case("6.2.8", "leaves with differences that are not the root's", root, {
            first(&xor, |piece| leaf(piece, 0, [1; 32]))
        }),
        case("6.2.8", "another root with differences", root, {
            first(&xor, |piece| piece.list.set("root", Value::Bytes(vec![1; 32])))
        }),
        case("6.2.8", "another page beside differences", root, beside()),
        case("13.2.2", "differences that are a number", ("pair", "§5", AT_0), {
            first(&xor, |piece| piece.list.set("xor", number(2)))
        }),
        case("13.2.2", "raw", ("value", "§13.2.2", AT_0), {
            first(&raw, |piece| piece.list.set("xor", Value::Bytes(vec![2, 0])))
        }),
        case("6.6", "differences that are not zstd", ("zstd", "§6.6", AT_0), {
            first(&xor, |piece| piece.payload = vec![0; 20])
        }),
        case("6.6", "differences of a page less", ("zstd", "another size", AT_0), {
            first(&xor, |piece| piece.payload = zstd::bulk::compress(&[1; 4096], 3).unwrap())
        }),
    ]
}

pub(super) fn tables() -> Vec<Case> {
    let small = Plan::small_delta();
    let index = |change: fn(&mut List)| piece_of(&small, 48, |piece| change(&mut piece.list));
    let differs = |rule, what: &str, says, file| case(rule, what, ("disagree", says, INDEX), file);
    let map = |offset: usize, bytes: [u8; 2]| {
        piece_of(&small, 33, |piece| {
            piece.payload[offset..offset + 2].copy_from_slice(&bytes);
        })
    };
    let state = Value::Bytes(small.memory().root().to_vec());
    let table = ("disagree", "§6.5.1", "MAP part");
    let value = |rule| ("value", rule, "MAP part");
    vec![
        differs("7.1.8", "delta_root", "§7.1.8", {
            index(|list| list.set("delta_root", Value::Bytes(vec![1; 32])))
        })
        .seek(Seek::Map),
        differs("7.1.8", "the memory root for delta_root", "§7.1.8", {
            piece_of(&small, 48, |piece| piece.list.set("delta_root", state.clone()))
        })
        .seek(Seek::Map),
        differs("7.1.8", "pages_inherited", "§7.1", {
            index(|list| list.set("pages_inherited", number(0)))
        }),
        differs("7.1.8", "zero pages for inherited ones", "§7.1.4", {
            index(|list| {
                list.set("pages_zero", number(1));
                list.set("pages_inherited", number(61));
            })
        })
        .seek(Seek::Map),
        case("7.1.8", "no delta_root", ("value", "§7.1.8", INDEX), {
            index(|list| list.drop("delta_root"))
        }),
        case("7.1.8", "no pages_inherited", ("value", "§7.1.8", INDEX), {
            index(|list| list.drop("pages_inherited"))
        }),
        differs("7.1.8", "neither", "§7.1.8", {
            index(|list| {
                list.drop("delta_root");
                list.drop("pages_inherited");
            })
        }),
        case("7.1.8", "delta_root of 31 bytes", ("pair", "32", INDEX), {
            index(|list| list.set("delta_root", Value::Bytes(vec![1; 31])))
        }),
        differs("7.1.2", "content of a delta", "§7.1.2", {
            index(|list| list.set("content", Value::Bytes(vec![1; 32])))
        }),
        differs("7.1.3", "a memory root that its content is not of", "§7.1", {
            index(|list| list.set("memory_root", Value::Bytes(vec![1; 32])))
        }),
        case("6.5.1", "number of zero pages", table, map(30, [2, 0])),
        case("6.5.1", "neither data nor zero pages", value("§"), map(96 + 30, [0, 0])),
        case("6.5.1", "more data and zero pages than the block has", value("§"), map(30, [15, 0])),
    ]
}

pub(super) fn chains() -> Vec<Case> {
    const SMALL: &str = "the small file";
    let other = || plan(|p| drop(p.extents[0].pages.insert(1, page(9))));
    let wrong_parent = delta(|p| p.parent = Some(Box::new(other())));
    let mut inherits = Plan::small().child();
    inherits.records[0].bytes[0] ^= 1;
    inherits.parent = Some(Box::new(other()));
    let arch = delta(|p| p.arch = "arm64".to_owned());
    let map = delta(|p| p.segments[1].1 += 4096);
    let machine = ("disagree", "§13.1.3", HEADER);
    let (small, xor) = (Plan::small_delta(), Plan::small_xor());
    let state = |plan: &Plan, root: [u8; 32]| {
        piece_of(plan, 48, |piece| {
            piece.list.set("memory_root", Value::Bytes(root.to_vec()));
            piece.list.set("content", Value::Bytes(plan.content_of(root).to_vec()));
        })
    };
    // The page that changed, as the difference from another page than the parent's.
    let mut shifted = xor.clone();
    shifted.parent = Some(Box::new(other()));
    let right = Plan::small().content();
    let shifted = head_of(&shifted, |head| {
        let pairs = List::new().bytes("content", &right).text("uuid", &Plan::small().uuid);
        head.list.set("parent", Value::List(pairs));
    });
    // Leaf and root of another page than the difference gives.
    let mut lying = xor.clone();
    lying.extents[0].pages.insert(1, page(8));
    let (root, leaves) = (lying.tree().block(0, 64 << 10), leaves(&lying.extents[0]));
    let delta_root = lying.tree().root();
    let lying = forge_with(&xor, &mut |step| match step {
        Step::Piece(piece) if piece.list.get("xor").is_some() => {
            piece.list.set("root", Value::Bytes(root.to_vec()));
            piece.list.set("leaves", Value::Bytes(leaves.clone()));
            let Fact::Extent { root: listed, .. } = &mut piece.fact else { unreachable!() };
            *listed = root;
        }
        Step::Piece(piece) if piece.kind == 48 => {
            piece.list.set("delta_root", Value::Bytes(delta_root.to_vec()));
        }
        _ => {}
    });
    let content = ("disagree", "§13.1.1", HEADER);
    let block = ("digest", "§6.2.8", AT_0);
    let memory = ("disagree", "§7.1.3", INDEX);
    let inherits_all = Plan { parent: Some(Box::new(Plan::small())), ..inherits.clone() };
    let zeros = Plan { parent: None, ..inherits_all.clone() }.memory().root();
    vec![
        case("13.1.1", "another parent", content, wrong_parent.forge()).over(SMALL),
        case("13.1.1", "another parent of a delta without extents", content, inherits.forge())
            .over(SMALL),
        case("13.1.3", "another architecture", machine, arch.forge()).over(SMALL),
        case("13.1.3", "another memory map", machine, map.forge()).over(SMALL),
        case("13.4", "another memory root", memory, state(&small, [1; 32])).over(SMALL),
        case("13.4", "a memory root with zeros for inherited pages", memory, {
            state(&inherits_all, zeros)
        })
        .over(SMALL),
        case("13.4", "delta_root for the memory root", memory, state(&small, small.tree().root()))
            .over(SMALL),
        case("13.4", "a difference from another page", block, shifted).over(SMALL),
        case("13.4", "root and leaves of another page", block, lying).over(SMALL),
    ]
}

/// Another leaf in the place of number `index`.
fn leaf(piece: &mut Piece, index: usize, leaf: [u8; 32]) {
    let Some(Value::Bytes(leaves)) = piece.list.get("leaves") else { unreachable!() };
    let mut leaves = leaves.clone();
    leaves[32 * index..32 * index + 32].copy_from_slice(&leaf);
    piece.list.set("leaves", Value::Bytes(leaves));
}

/// A delta with differences whose other page has not the leaf that list, root and tables say.
fn beside() -> Vec<u8> {
    let xor = Plan::small_xor();
    let mut said = xor.clone();
    said.extents[0].pages.insert(2, page(8));
    let of = |plan: &Plan| {
        let mut found = None;
        forge_with(plan, &mut |step| {
            if let Step::Piece(piece) = step
                && piece.list.get("xor").is_some()
            {
                found = Some(piece.payload.clone());
            }
        });
        found.unwrap()
    };
    let payload = of(&xor);
    first(&said, |piece| piece.payload.clone_from(&payload))
}

/// The leaves of an extent's data pages.
fn leaves(extent: &Extent) -> Vec<u8> {
    extent.pages.values().flat_map(|page| tree::leaf(page)).collect()
}
