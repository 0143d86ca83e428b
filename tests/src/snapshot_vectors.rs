//! The vectors of whole snapshot files: made from [`spec_rules`](crate::spec_rules), written to and
//! read from `spec/vectors/snapshot`.

use std::collections::BTreeSet;

use crate::spec_rules::{Sound, cases, sound_extensions, sound_plans};
use crate::vector_files::{Vector, slug};

/// The name of their folder.
pub const FOLDER: &str = "snapshot";

/// The layer that a fault of this kind belongs to; `rule` is the one that a wrong value breaks.
///
/// # Panics
/// If no file alone can have such a fault.
#[must_use]
pub fn layer(id: &str, rule: &str) -> &'static str {
    match id {
        "not-a-snapshot" | "magic" => "magic",
        "limit" => "limit",
        "digest" => "digest",
        "truncated" | "version" | "missing-features" | "padding" | "unknown-part" | "order"
        | "trailing" => "layout",
        "nvlist" | "pair" => "nvlist",
        // The fields of a frame say where the rest of a part is.
        "value" if rule.starts_with("§4.") => "layout",
        "value" | "disagree" | "fields" | "layout" | "zstd" | "meta" => "consistency",
        _ => panic!("{id} belongs to no layer"),
    }
}

fn sound(what: &str, content: Option<String>, parent: Option<&str>, bytes: Vec<u8>) -> Vector {
    let (name, parent) = (sound_name(what), parent.map(sound_name));
    // The trailer's last two fields are the root and its own digest (§7.3).
    let root = hex::encode(&bytes[bytes.len() - 64..bytes.len() - 32]);
    let mut header = vec![("name", &*name), ("expect", "ok"), ("what", what), ("root", &root)];
    header.extend(parent.as_deref().map(|parent| ("parent", parent)));
    header.extend(content.as_deref().map(|content| ("content", content)));
    Vector::new(&header, bytes)
}

/// The name of a sound vector.
fn sound_name(what: &str) -> String {
    format!("ok-{}", slug(what))
}

/// The vectors as the tables give them, in the order of the files.
#[must_use]
pub fn fresh() -> Vec<Vector> {
    let (mut vectors, mut names) = (Vec::new(), BTreeSet::new());
    for Sound { what, plan, parent, .. } in sound_plans() {
        let content = Some(hex::encode(plan.content()));
        vectors.push(sound(what, content, parent, plan.forge()));
    }
    for (what, bytes) in sound_extensions() {
        vectors.push(sound(what, None, None, bytes));
    }
    for case in cases() {
        let stem = format!("{}-{}", case.rule, slug(&case.what));
        let numbered = (2..).map(|number| format!("{stem}-{number}"));
        let name = std::iter::once(stem.clone()).chain(numbered).find(|n| !names.contains(n));
        let name = name.unwrap();
        names.insert(name.clone());
        let rule = format!("§{}", case.rule);
        let said = if case.says.starts_with('§') { case.says } else { &rule };
        let parent = case.parent.map(sound_name);
        let mut header = vec![
            ("name", &*name),
            ("expect", layer(case.id, said)),
            ("rule", &rule),
            ("section", case.section),
            ("what", &case.what),
        ];
        header.extend(parent.as_deref().map(|parent| ("parent", parent)));
        vectors.push(Vector::new(&header, case.file));
    }
    vectors.sort_by_key(Vector::file);
    vectors
}
