//! A list as JSON. Recursion as deep as the list, which its reader bounds.

use serde_json::{Map, Value as Json, json};
use snapfmt::Digest;
use snapfmt::nvlist::{Value, View};

/// Above this many bytes [`Binaries::Digest`] gives a binary's digest in place of its bytes.
const DIGEST_ABOVE: usize = 4096;

/// How the bytes of long binaries are described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binaries {
    /// By themselves, so that the description can be packed again.
    Full,
    /// By length and SHA-256 above 4096 bytes, as in the test vectors.
    Digest,
}

/// Describes a list. Keys are in the order of the alphabet, pairs in that of the list.
#[must_use]
pub fn describe(view: &View<'_>, binaries: Binaries) -> Json {
    let pairs: Vec<Json> = view
        .pairs()
        .map(|pair| {
            let mut fields = Map::new();
            text(&mut fields, "name", pair.name);
            fields.insert("type".into(), pair.value.kind().name().into());
            value(&mut fields, &pair.value, binaries);
            Json::Object(fields)
        })
        .collect();
    json!({ "flags": view.flags().bits(), "pairs": pairs })
}

/// Bytes as text if they are UTF-8, in hexadecimal under another key if not.
fn text(fields: &mut Map<String, Json>, key: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => fields.insert(key.into(), text.into()),
        Err(_) => fields.insert(format!("{key}_hex"), hex::encode(bytes).into()),
    };
}

fn string_item(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "hex": hex::encode(bytes) }),
    }
}

fn value(fields: &mut Map<String, Json>, value: &Value<'_>, binaries: Binaries) {
    let described: Json = match value {
        Value::Null => return,
        Value::String(bytes) => return text(fields, "value", bytes),
        Value::Binary(bytes) if binaries == Binaries::Digest && bytes.len() > DIGEST_ABOVE => {
            fields.insert("value_len".into(), bytes.len().into());
            fields.insert("value_sha256".into(), Digest::of(bytes).to_string().into());
            return;
        }
        Value::Binary(bytes) => {
            fields.insert("value_hex".into(), hex::encode(bytes).into());
            return;
        }
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => number.to_string().into(),
        Value::Nvlist(view) => describe(view, binaries),
        Value::Descriptor(index) => (*index).into(),
        Value::BoolArray(items) => items.clone().collect(),
        Value::NumberArray(items) => items.clone().map(|number| number.to_string()).collect(),
        Value::StringArray(items) => items.clone().map(string_item).collect(),
        Value::NvlistArray(items) => items.clone().map(|view| describe(&view, binaries)).collect(),
        Value::DescriptorArray(items) => items.clone().collect(),
    };
    fields.insert("value".into(), described);
}
