//! §5.4.11: fields that give the record, and are not those of a layout that is in `layouts.md`.
//!
//! Each file is sound to whoever does not know the layout. The pairs are those of `layouts.md`, by
//! hand.

use crate::forge::{Fields, List, Plan, Value};

use super::fields::{VRTC, plan};
use super::{Case, case, number};

/// A number that is -1 in so many bytes, its sign carried on.
const MINUS_ONE: u64 = u64::MAX;

/// The two interrupt controllers, one pin of which is asserted less than never.
pub(super) fn vatpic() -> Fields {
    let pic = |base: u64| {
        let counts = vec![0, MINUS_ONE, 2, 0, 0, 0, 0, 0];
        List::new()
            .number("atpic->ready", 1)
            .number("atpic->icw_num", 0)
            .number("atpic->rd_cmd_reg", 0)
            .number("atpic->aeoi", 0)
            .number("atpic->poll", 0)
            .number("atpic->rotate", 0)
            .number("atpic->sfn", 0)
            .number("atpic->irq_base", base)
            .number("atpic->request", 0xff)
            .number("atpic->service", 0)
            .number("atpic->mask", 0xfb)
            .number("atpic->smm", 0)
            .with("atpic->acnt", Value::Numbers(counts))
            .number("atpic->lowprio", MINUS_ONE)
            .number("atpic->intr_raised", 0)
    };
    let list = List::new()
        .with("pics", Value::Lists(vec![pic(0x30), pic(0x38)]))
        .with("vatpic->elc", Value::Numbers(vec![0, 0x0c]));
    let widths = [1, 4, 4, 1, 1, 1, 1, 4, 1, 1, 1, 1, 4, 4, 1];
    let widths = [&widths[..], &widths, &[1]].concat();
    Fields { layout: "vatpic".to_owned(), version: 1, list, widths, chunks: Vec::new() }
}

/// A framebuffer of 8 KiB behind PCI configuration space without messages: its bytes are bulk.
pub(super) fn fbuf() -> Fields {
    let msi = [
        ("pi->pi_msi.enabled", 4),
        ("pi->pi_msi.addr", 8),
        ("pi->pi_msi.msg_data", 8),
        ("pi->pi_msi.maxmsgnum", 4),
        ("pi->pi_msix.enabled", 4),
        ("pi->pi_msix.table_bar", 4),
        ("pi->pi_msix.pba_bar", 4),
        ("pi->pi_msix.table_offset", 4),
        ("pi->pi_msix.table_count", 4),
        ("pi->pi_msix.pba_offset", 4),
        ("pi->pi_msix.pba_size", 4),
        ("pi->pi_msix.function_mask", 4),
    ];
    let config: Vec<u8> = [0x3a, 0x5d, 0x11, 0x40].into_iter().chain([0; 252]).collect();
    let bar = |kind: u64, size: u64, addr: u64| {
        List::new()
            .number("pi->pi_bar[i].type", kind)
            .number("pi->pi_bar[i].size", size)
            .number("pi->pi_bar[i].addr", addr)
    };
    let mut bars = vec![bar(2, 0x2000, 0xc000_0000)];
    bars.resize(7, bar(0, 0, 0));
    let list = msi.iter().fold(List::new(), |list, (name, _)| list.number(name, 0));
    let list = list
        .bytes("pi->pi_cfgdata", &config)
        .with("bars", Value::Lists(bars))
        .with("fbuf_sc->fb_base", Value::Null);
    let widths = msi.iter().map(|(_, width)| *width).chain([4, 8, 8].repeat(7)).collect();
    let chunks = vec![(0..8192_u32).map(|n| (n / 64) as u8).collect()];
    Fields { layout: "fbuf-pci452".to_owned(), version: 1, list, widths, chunks }
}

/// The plan's file with other fields, which give the same record.
fn with(sound: &Fields, change: impl Fn(&mut Fields)) -> Vec<u8> {
    let mut fields = sound.clone();
    change(&mut fields);
    assert_eq!(fields.record(), sound.record(), "the record has to stay what it is");
    plan(&fields).forge()
}

fn pics(fields: &mut Fields) -> &mut Vec<List> {
    match &mut fields.list.pairs[0].1 {
        Value::Lists(lists) => lists,
        other => panic!("{other:?} for lists"),
    }
}

fn renamed(list: &mut List, from: &str, to: &str) {
    let pair = list.pairs.iter_mut().find(|(name, _)| name == from).unwrap();
    pair.0 = to.to_owned();
}

pub(super) fn known() -> Vec<Case> {
    let (pic, fb) = (vatpic(), fbuf());
    let says = |what: &str, says: &'static str, file: Vec<u8>| {
        case("5.4.11", what, ("layout", says, VRTC), file)
    };
    let name = "atpic->irq_base";
    vec![
        says("a field of another name", "pics[1]/irq_base stands where atpic->irq_base belongs", {
            with(&pic, |fields| renamed(&mut pics(fields)[1], name, "irq_base"))
        }),
        says("a list of another name", "chips stands where pics belongs", {
            with(&pic, |fields| renamed(&mut fields.list, "pics", "chips"))
        }),
        says("a signed number that is extended by zeros", "lowprio is 0xffffffff, not", {
            with(&pic, |fields| pics(fields)[0].set("atpic->lowprio", number(0xffff_ffff)))
        }),
        says("a number without sign that is extended by its sign", "is 0xffffffffffffffff, not", {
            with(&pic, |fields| pics(fields)[0].set("atpic->request", number(MINUS_ONE)))
        }),
        says("an element that is extended by zeros", "acnt is 0xffffffff, not", {
            with(&pic, |fields| {
                let counts = vec![0, 0xffff_ffff, 2, 0, 0, 0, 0, 0];
                pics(fields)[1].set("atpic->acnt", Value::Numbers(counts));
            })
        }),
        says("bytes for an array of numbers", "vatpic->elc is of type binary", {
            with(&pic, |fields| {
                fields.list.set("vatpic->elc", Value::Bytes(vec![0, 0x0c]));
                fields.widths.pop();
            })
        }),
        says("one number for two", "vatpic->elc is of type number", {
            with(&pic, |fields| {
                fields.list.set("vatpic->elc", number(0x0c00));
                *fields.widths.last_mut().unwrap() = 2;
            })
        }),
        says("an array of other widths", "vatpic->elc is of 1 elements, not of 2", {
            with(&pic, |fields| {
                fields.list.set("vatpic->elc", Value::Numbers(vec![0x0c00]));
                *fields.widths.last_mut().unwrap() = 2;
            })
        }),
        says("two lists for an array of lists", "pics is of 1 elements, not of 2", {
            with(&pic, |fields| {
                let second = pics(fields).pop().unwrap();
                fields.list.pairs.insert(1, ("more".to_owned(), Value::Lists(vec![second])));
            })
        }),
        says("a list around a field", "outer stands where vatpic->elc belongs", {
            with(&pic, |fields| {
                let (name, value) = fields.list.pairs.pop().unwrap();
                let inner = List::new().with(&name, value);
                fields.list.pairs.push(("outer".to_owned(), Value::List(inner)));
            })
        }),
        says("an empty list more", "nothing is of type nvlist, not absent", {
            with(&pic, |fields| {
                fields.list.pairs.push(("nothing".to_owned(), Value::List(List::new())));
            })
        }),
        says("a record that its layout cannot have", "116 bytes, not 118", {
            let mut short = pic.clone();
            short.list.drop("vatpic->elc");
            short.widths.pop();
            plan(&short).forge()
        }),
        says("an empty group that is there", "msix_table stands where fbuf_sc->fb_base belongs", {
            with(&fb, |fields| {
                let empty = ("msix_table".to_owned(), Value::List(List::new()));
                let last = fields.list.pairs.len() - 1;
                fields.list.pairs.insert(last, empty);
            })
        }),
        says("bulk for what is short", "pi->pi_cfgdata is of type null", {
            with(&fb, |fields| {
                let Some(Value::Bytes(config)) = fields.list.get("pi->pi_cfgdata").cloned() else {
                    panic!("no configuration space");
                };
                fields.list.set("pi->pi_cfgdata", Value::Null);
                fields.chunks.insert(0, config);
            })
        }),
        says("bytes for bulk", "fbuf_sc->fb_base is of type binary, not of type null", {
            with(&fb, |fields| {
                let chunk = fields.chunks.pop().unwrap();
                fields.list.set("fbuf_sc->fb_base", Value::Bytes(chunk));
            })
        }),
    ]
}

/// A record of a layout of another version, with a name of its own for a field.
pub(super) fn unknown_version() -> Plan {
    let mut fields = vatpic();
    fields.version = 2;
    renamed(&mut fields.list, "vatpic->elc", "level_triggered");
    plan(&fields)
}
