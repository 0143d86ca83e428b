//! Where a field stands in its record: the groups around it, and its name there.

use snapfmt::state::{Child, FieldRef, Fields, Scope};

/// A field and where it stands.
pub(in crate::cmd) struct Place<'f, 'a> {
    /// The groups around it that are there several times, as `queues[1]`, and its name, which is
    /// unique there. The slot of a virtual CPU is not named: the field has its number.
    pub(in crate::cmd) path: String,
    pub(in crate::cmd) field: FieldRef<'f, 'a>,
}

/// All fields with their places, in the order of their bytes.
pub(in crate::cmd) fn places<'f, 'a>(fields: &'f Fields<'a>) -> Vec<Place<'f, 'a>> {
    let mut places = Vec::with_capacity(fields.len());
    walk(fields.root(), "", &mut places);
    places
}

/// Groups are as deep as the descriptions, which are ours.
fn walk<'f, 'a>(scope: Scope<'f, 'a>, prefix: &str, places: &mut Vec<Place<'f, 'a>>) {
    for child in scope.children() {
        match child {
            Child::Field(field) => {
                let path = format!("{prefix}{}", field.definition().pair_name());
                places.push(Place { path, field });
            }
            Child::Group(inner) => match inner.group() {
                Some(group) if group.repeat.many() && group.name != "vcpus" => {
                    let prefix = format!("{prefix}{}[{}] ", group.name, inner.index());
                    walk(inner, &prefix, places);
                }
                _ => walk(inner, prefix, places),
            },
        }
    }
}
