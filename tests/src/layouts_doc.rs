//! `spec/layouts.md`, made from the descriptions in `snapfmt::state::layouts`.
//!
//! What is in there is enough to write fields that readers accept which know the layout (§5.4.11).
//! What no table can say stands in `layouts_doc.md` beside this file.

use std::fmt::Write as _;
use std::path::PathBuf;

use snapfmt::bhyve::records::Vendor;
use snapfmt::bhyve::{Generation, Section};
use snapfmt::limits;
use snapfmt::state::{Field, Group, Item, Kind, Layout, Part, Repeat, Shape, Test, layouts};

/// Where the document is.
#[must_use]
pub fn place() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/layouts.md"))
}

/// A piece that one or several layouts have, and the layouts.
struct Piece {
    items: &'static [Item],
    layouts: Vec<&'static Layout>,
    name: String,
}

/// The document.
#[must_use]
pub fn document() -> String {
    let pieces = pieces();
    let mut out = include_str!("layouts_doc.md").to_owned();
    out += "\n## 2 Layouts\n\n";
    out += "| layout | version | records | generations | host | known from | pieces |\n";
    out += "|---|---|---|---|---|---|---|\n";
    for layout in layouts::all() {
        row(layout, &pieces, &mut out);
    }
    out += "\n## 3 Pieces\n";
    for piece in &pieces {
        self::piece(piece, &mut out);
    }
    out
}

/// All pieces, each once, in the order of the layouts.
fn pieces() -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for layout in layouts::all() {
        for items in layout.pieces() {
            match pieces.iter_mut().find(|piece| piece.items == items) {
                Some(piece) => piece.layouts.push(layout),
                None => pieces.push(Piece { items, layouts: vec![layout], name: String::new() }),
            }
        }
    }
    let mut taken: Vec<String> = Vec::new();
    for piece in &mut pieces {
        let plain = name(piece);
        let same = taken.iter().filter(|other| **other == plain).count();
        taken.push(plain.clone());
        piece.name = if same == 0 { plain } else { format!("{plain} {}", same + 1) };
    }
    pieces
}

/// What the names of its layouts have in common: the PCI header, or all the rest.
fn name(piece: &Piece) -> String {
    let split = |layout: &&'static Layout| {
        let words = layout.id.split('-');
        let (pci, rest): (Vec<_>, Vec<_>) = words.partition(|word| word.starts_with("pci"));
        (pci.concat(), rest)
    };
    let all: Vec<_> = piece.layouts.iter().map(split).collect();
    let (pci, words) = &all[0];
    let leads = piece.layouts.iter().all(|layout| layout.pieces().next() == Some(piece.items));
    if leads && !pci.is_empty() && all.iter().all(|(other, _)| other == pci) {
        return pci.clone();
    }
    let common = |other: &Vec<&str>| words.iter().zip(other).take_while(|(a, b)| a == b).count();
    let count = all.iter().map(|(_, other)| common(other)).min().unwrap_or_default();
    words[..count].join("-")
}

fn row(layout: &'static Layout, pieces: &[Piece], out: &mut String) {
    let list = |all: &[Generation]| {
        all.iter().map(|generation| format!("{generation:?}")).collect::<Vec<_>>().join(" ")
    };
    let of = layout.pieces().map(|items| {
        let piece = pieces.iter().find(|piece| piece.items == items).expect("a piece of a layout");
        format!("[{0}](#{1})", piece.name, anchor(&piece.name))
    });
    let known = match list(layout.seen) {
        none if none.is_empty() => "reading".to_owned(),
        seen => format!("snapshots ({seen})"),
    };
    let section = match layout.section {
        Section::Kern => "kernel",
        Section::Device => "device",
    };
    let names = layout.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    let host = layout.vendor.map_or("any", |vendor| match vendor {
        Vendor::Intel => "Intel",
        Vendor::Amd => "AMD",
    });
    let (names, generations) = (names.join(", "), list(layout.generations));
    let of = of.collect::<Vec<_>>().join(", ");
    let (id, version) = (layout.id, layout.version);
    let line = format!(
        "| `{id}` | {version} | {section}: {names} | {generations} | {host} | {known} | {of} |"
    );
    writeln!(out, "{line}").expect("a string");
}

fn anchor(name: &str) -> String {
    format!("piece-{}", name.replace(' ', "-"))
}

fn piece(piece: &Piece, out: &mut String) {
    let name = &piece.name;
    *out += &format!("\n### Piece {name}\n\n| pair | type | width | is | meaning |\n");
    *out += "|---|---|---|---|---|\n";
    let mut inside = Vec::new();
    items(piece.items, 0, &mut inside, out);
    for field in inside {
        let parts: Vec<_> = field.inside.iter().map(part).collect();
        *out += &format!("\nInside `{}`: {}.\n", field.pair_name(), parts.join(", "));
    }
}

fn part(part: &Part) -> String {
    let Part { name, at, len, kind } = part;
    let kind = match kind {
        Kind::Signed => ", signed",
        _ => "",
    };
    format!("`{name}` {at:#x}+{len}{kind}")
}

fn items(items: &'static [Item], depth: usize, inside: &mut Vec<Field>, out: &mut String) {
    for item in items {
        match item {
            Item::Field(field) => {
                line(&shown(field.pair_name(), depth), &of_field(field), field, out);
                if !field.inside.is_empty() {
                    inside.push(*field);
                }
            }
            Item::Shared(shared) => self::items(shared, depth, inside, out),
            Item::Group(group) => match group.items {
                [Item::Field(field)] if group.repeat.many() && is_integer(field) => {
                    let Some((_, width)) = width(field.shape) else { continue };
                    let often = match group.repeat {
                        Repeat::Until(_, value) => {
                            format!("the last element is the first that is {value:#x}")
                        }
                        repeat => often(repeat),
                    };
                    let kind = format!("number array, {often}");
                    let field = Field { label: Some(group.name), ..*field };
                    line(&shown(group.name, depth), &(kind, width.to_string()), &field, out);
                }
                _ => {
                    let kind = of_group(group);
                    let name = shown(group.name, depth);
                    *out += &format!("| {name} | {kind} | | | |\n");
                    self::items(group.items, depth + 1, inside, out);
                }
            },
        }
    }
}

fn shown(name: &str, depth: usize) -> String {
    format!("{}`{name}`", "· ".repeat(depth))
}

fn line(name: &str, (kind, width): &(String, String), field: &Field, out: &mut String) {
    let is = is(field);
    *out += &format!("| {name} | {kind} | {width} | {is} | {} |\n", field.meaning);
}

fn is_integer(field: &Field) -> bool {
    matches!(field.shape, Shape::Int(_))
}

/// How many integers, and how wide.
fn width(shape: Shape) -> Option<(u32, u32)> {
    match shape {
        Shape::Int(width) => Some((1, width.bytes())),
        Shape::Ints(width, count) => Some((count, width.bytes())),
        Shape::Bytes(_) | Shape::Rings(_) | Shape::Rest => None,
    }
}

fn of_field(field: &Field) -> (String, String) {
    let bytes = |len: u32| if len as usize > limits::FIELD_INLINE { "null" } else { "binary" };
    let (kind, width) = match field.shape {
        Shape::Int(_) | Shape::Ints(..) => {
            let (count, width) = width(field.shape).unwrap_or_default();
            let array = matches!(field.shape, Shape::Ints(..));
            (
                if array { format!("number array, {count} elements") } else { "number".to_owned() },
                width,
            )
        }
        Shape::Bytes(len) => return (format!("{}, {len} bytes", bytes(len)), String::new()),
        Shape::Rings(key) => {
            return (format!("null, as long as 1.8 says for `{key}`"), String::new());
        }
        Shape::Rest => {
            let kind = "binary or null (1.4), the rest of the record, a power of two bytes";
            return (kind.to_owned(), String::new());
        }
    };
    (kind, width.to_string())
}

fn of_group(group: &Group) -> String {
    let often = often(group.repeat);
    if group.repeat.many() {
        format!("nvlist array, {often}")
    } else if often.is_empty() {
        "nvlist".to_owned()
    } else {
        format!("nvlist, {often}")
    }
}

fn often(repeat: Repeat) -> String {
    match repeat {
        Repeat::Times(1) => String::new(),
        Repeat::Times(times) => format!("{times} elements"),
        Repeat::Slots => "one element for each virtual CPU (1.7)".to_owned(),
        Repeat::Of(key, most) => format!("as many elements as `{key}` says, up to {most}"),
        Repeat::Told(key, most) => {
            format!("as many elements as `{key}` says further on, up to {most}")
        }
        Repeat::Fill(most) => {
            format!("1 to {most} elements, as many as it takes to the end of the record")
        }
        Repeat::Until(key, value) => {
            format!("the last element is the first whose `{key}` is {value:#x}")
        }
        Repeat::If(Test::Bit(key, bit)) => format!("there if bit {bit} of `{key}` is set"),
        Repeat::If(Test::Not(key, value)) => format!("there if `{key}` is not {value:#x}"),
        Repeat::If(Test::Among(key, list)) => {
            format!("there if some `{list}` before it is what `{key}` is")
        }
    }
}

fn is(field: &Field) -> String {
    let kind = match field.kind {
        Kind::Number => "",
        Kind::Signed => "**signed**",
        Kind::Bool => "yes or no",
        Kind::Bits => "bits",
        Kind::GuestAddress => "guest address",
        Kind::HostPointer => "pointer of the host",
        Kind::HostAddress => "address of the host",
        Kind::Text => "text",
        Kind::Mac => "Ethernet address",
        Kind::Bytes => "bytes",
    };
    let host = if field.host && !matches!(field.kind, Kind::HostPointer | Kind::HostAddress) {
        "host"
    } else {
        ""
    };
    let compared = if field.compared { "compared" } else { "" };
    let words = [kind, host, compared];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
}
