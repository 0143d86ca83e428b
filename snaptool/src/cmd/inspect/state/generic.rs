//! Records in no words of their own, and the table of every field.

use std::io::{self, Write};

use snapfmt::state::{Child, Fields, Scope};

use super::super::table::Table;
use super::View;
use super::page::Page;
use super::path::places;
use super::show::shown;
use super::words;

/// What every PCI device has begins so.
const PCI: &str = "pi->";
const GROUPS: [&str; 2] = ["bars", "msix_table"];

/// Shows the fields as they are described, each with what it is for.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    let own = |child: Child<'_, '_>| match child {
        Child::Field(field) => !field.key().starts_with(PCI),
        Child::Group(group) => !group.group().is_some_and(|group| GROUPS.contains(&group.name)),
    };
    if !view.root.children().any(own) {
        return;
    }
    page.head("fields");
    walk(view.root, true, page);
}

fn walk(scope: Scope<'_, '_>, outermost: bool, page: &mut Page) {
    for child in scope.children() {
        match child {
            // Those of PCI were shown.
            Child::Field(field) if outermost && field.key().starts_with(PCI) => {}
            Child::Field(field) => {
                let meaning = field.definition().meaning;
                let meaning =
                    if meaning.is_empty() { String::new() } else { format!("  ({meaning})") };
                page.pair(field.key(), format!("{}{meaning}", shown(&field)));
            }
            Child::Group(group) => {
                let name = group.group().map_or("", |group| group.name);
                if outermost && GROUPS.contains(&name) {
                    continue;
                }
                page.head(&format!("{name} {}", group.index()));
                walk(group, false, page);
            }
        }
    }
}

/// Every field: where it is, what it is called, its value in hex and decimal, what it is for; and
/// what can be told apart in it.
pub(super) fn table(
    fields: &Fields<'_>,
    vcpu: Option<u32>,
    mark: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    let heading = ["offset", "len", "vcpu", "field", "hex", "value", "meaning"];
    let mut table = Table::new(&heading, &[true, true, true, false, true, false, false]);
    for place in places(fields) {
        let field = place.field;
        if vcpu.is_some() && field.vcpu() != vcpu {
            continue;
        }
        let definition = field.definition();
        let owner = field.vcpu().map_or_else(String::new, |vcpu| vcpu.to_string());
        let hex = |number: Option<u64>| number.map_or_else(String::new, |n| format!("{n:#x}"));
        // A label takes the place of a name that says nothing; both belong to the field.
        let name = match definition.label {
            Some(_) => format!("{} ({})", place.path, definition.name),
            None => place.path,
        };
        table.row([
            format!("{:#x}", field.offset()),
            field.len().to_string(),
            owner.clone(),
            name,
            hex(field.u64()),
            value(&field),
            definition.meaning.to_owned(),
        ]);
        for part in field.parts() {
            table.row([
                format!("{:#x}", field.offset().saturating_add(part.part.at.into())),
                part.part.len.to_string(),
                owner.clone(),
                format!("  .{}", part.part.name),
                hex(part.u64()),
                words::part(&part),
                String::new(),
            ]);
        }
    }
    let mut text = Vec::new();
    table.print(&mut text)?;
    for line in String::from_utf8_lossy(&text).lines() {
        writeln!(out, "{mark}{line}")?;
    }
    Ok(())
}

/// The number in decimal, or what there is of bytes; and its words.
fn value(field: &snapfmt::state::FieldRef<'_, '_>) -> String {
    use snapfmt::state::Kind;
    match (field.definition().kind, field.u64()) {
        (Kind::Bits | Kind::HostPointer | Kind::HostAddress | Kind::GuestAddress, Some(number)) => {
            let words = shown(field);
            let words = words.split_once(' ').map(|(_, words)| format!(" {words}"));
            format!("{number}{}", words.unwrap_or_default())
        }
        _ => shown(field),
    }
}
