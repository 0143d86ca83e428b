//! A list from its JSON description. Strict: an unknown key is an error, not a typing mistake that
//! goes unnoticed. Recursion is bounded by the depth a list may have.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json};
use snapfmt::limits;
use snapfmt::nvlist::{self, Flags, Nvlist, OwnedValue, Type};

/// Brackets inside each other that the JSON reader takes; three or four make a nested list.
const JSON_DEPTH: usize = 127;

/// What is wrong with a description, and where.
#[derive(Debug, thiserror::Error)]
#[error("{fault}{}", if at.is_empty() { String::new() } else { format!(" at {at}") })]
pub struct DescriptionError {
    /// What is wrong.
    pub fault: DescriptionFault,
    /// Where, as a JSON pointer.
    pub at: String,
}

/// What is wrong with a description.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionFault {
    /// The text is not JSON.
    #[error("not JSON: {0}")]
    Json(serde_json::Error),
    /// More nesting than can be read.
    #[error("nested more than {limit} {what} deep")]
    TooDeep {
        /// What is nested.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// Something else than what belongs there.
    #[error("{0} wanted")]
    Wanted(&'static str),
    /// A key is missing.
    #[error("no \"{0}\"")]
    Absent(&'static str),
    /// A key that does not belong there.
    #[error("unknown key \"{}\"", .0.escape_debug())]
    UnknownKey(String),
    /// A type that does not exist.
    #[error("unknown type \"{}\"", .0.escape_debug())]
    UnknownType(String),
    /// A binary described by its digest only.
    #[error("the description has only the digest of these bytes, not the bytes")]
    DigestOnly,
    /// The list does not take the pair.
    #[error("{}", .0.kind)]
    List(nvlist::Error),
}

use DescriptionFault as Fault;

/// Where in the description, kept as links on the stack and written out only for an error.
#[derive(Clone, Copy)]
enum At<'a> {
    Root,
    Key(&'a At<'a>, &'static str),
    Item(&'a At<'a>, usize),
}

impl At<'_> {
    fn pointer(&self, out: &mut String) {
        match self {
            Self::Root => {}
            Self::Key(parent, key) => {
                parent.pointer(out);
                out.push('/');
                out.push_str(key);
            }
            Self::Item(parent, index) => {
                parent.pointer(out);
                // Writing to a string does not fail.
                let _ = write!(out, "/{index}");
            }
        }
    }

    fn fault(&self, fault: Fault) -> DescriptionError {
        let mut at = String::new();
        self.pointer(&mut at);
        DescriptionError { fault, at }
    }
}

type Result<T> = std::result::Result<T, DescriptionError>;

/// The list of a description given as JSON text.
///
/// # Errors
///
/// The text is not JSON, or as [`parse_description`].
pub fn parse_text(text: &str) -> Result<Nvlist> {
    let json = serde_json::from_str(text).map_err(|error| {
        let too_deep = Fault::TooDeep { what: "brackets", limit: JSON_DEPTH };
        let fault = if brackets(text) > JSON_DEPTH { too_deep } else { Fault::Json(error) };
        At::Root.fault(fault)
    })?;
    parse_description(&json)
}

/// How deep the brackets of a JSON text are inside each other.
fn brackets(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The list of a description.
///
/// # Errors
///
/// The first thing in it that is not as the description format says, or a pair that the list does
/// not take.
pub fn parse_description(json: &Json) -> Result<Nvlist> {
    list(json, &At::Root, limits::NVLIST_DEPTH)
}

/// Lists may be nested `depth` deep from here.
fn list(json: &Json, at: &At<'_>, depth: usize) -> Result<Nvlist> {
    let Some(below) = depth.checked_sub(1) else {
        let (what, limit) = ("lists", limits::NVLIST_DEPTH);
        return Err(at.fault(Fault::TooDeep { what, limit }));
    };
    let fields = Fields::of(json, at, &["flags", "pairs"])?;
    let flags = fields.need("flags")?;
    let bits = flags.as_u64().and_then(|bits| u8::try_from(bits).ok());
    let flags = bits
        .and_then(Flags::from_bits)
        .ok_or_else(|| At::Key(at, "flags").fault(Fault::Wanted("a number from 0 to 3")))?;
    let mut built = Nvlist::with_flags(flags);
    let at = At::Key(at, "pairs");
    for (i, pair) in array(fields.need("pairs")?, &at)?.iter().enumerate() {
        let at = At::Item(&at, i);
        let fields = Fields::of(
            pair,
            &at,
            &["name", "name_hex", "type", "value", "value_hex", "value_len", "value_sha256"],
        )?;
        let name = fields.bytes("name", "name_hex")?;
        let value = value(&fields, below)?;
        built.add(name, value).map_err(|error| at.fault(Fault::List(error)))?;
    }
    Ok(built)
}

fn value(fields: &Fields<'_>, depth: usize) -> Result<OwnedValue> {
    let at = At::Key(fields.at, "value");
    let name = fields.need("type")?;
    let name = name
        .as_str()
        .ok_or_else(|| At::Key(fields.at, "type").fault(Fault::Wanted("the name of a type")))?;
    let kind = Type::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| At::Key(fields.at, "type").fault(Fault::UnknownType(name.to_owned())))?;
    fields.value_keys(match kind {
        Type::Null => &[],
        Type::String => &["value", "value_hex"],
        Type::Binary => &["value_hex", "value_len", "value_sha256"],
        _ => &["value"],
    })?;
    let json = || fields.need("value");
    Ok(match kind {
        Type::Null => OwnedValue::Null,
        Type::Bool => OwnedValue::Bool(boolean(json()?, &at)?),
        Type::Number => OwnedValue::Number(number(json()?, &at)?),
        Type::String => OwnedValue::String(fields.bytes("value", "value_hex")?),
        Type::Nvlist => OwnedValue::Nvlist(list(json()?, &at, depth)?),
        Type::Descriptor => OwnedValue::Descriptor(index(json()?, &at)?),
        Type::Binary => OwnedValue::Binary(binary(fields)?),
        Type::BoolArray => OwnedValue::BoolArray(items(json()?, &at, boolean)?),
        Type::NumberArray => OwnedValue::NumberArray(items(json()?, &at, number)?),
        Type::StringArray => OwnedValue::StringArray(items(json()?, &at, string)?),
        Type::NvlistArray => {
            OwnedValue::NvlistArray(items(json()?, &at, |json, at| list(json, at, depth))?)
        }
        Type::DescriptorArray => OwnedValue::DescriptorArray(items(json()?, &at, index)?),
    })
}

fn binary(fields: &Fields<'_>) -> Result<Vec<u8>> {
    if fields.get("value_hex").is_none() && fields.get("value_sha256").is_some() {
        return Err(fields.at.fault(Fault::DigestOnly));
    }
    unhex(fields.need("value_hex")?, &At::Key(fields.at, "value_hex"))
}

fn array<'j>(json: &'j Json, at: &At<'_>) -> Result<&'j [Json]> {
    json.as_array().map(Vec::as_slice).ok_or_else(|| at.fault(Fault::Wanted("an array")))
}

fn items<T>(
    json: &Json,
    at: &At<'_>,
    item: impl Fn(&Json, &At<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let items = array(json, at)?.iter().enumerate();
    items.map(|(i, json)| item(json, &At::Item(at, i))).collect()
}

fn boolean(json: &Json, at: &At<'_>) -> Result<bool> {
    json.as_bool().ok_or_else(|| at.fault(Fault::Wanted("true or false")))
}

/// A number, as text or as a JSON number.
fn number(json: &Json, at: &At<'_>) -> Result<u64> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let text = json.as_str().filter(|text| digits(text)).and_then(|text| text.parse().ok());
    text.or_else(|| json.as_u64())
        .ok_or_else(|| at.fault(Fault::Wanted("an unsigned 64-bit number in decimal")))
}

fn index(json: &Json, at: &At<'_>) -> Result<u64> {
    json.as_u64().ok_or_else(|| at.fault(Fault::Wanted("the index of a descriptor")))
}

fn unhex(json: &Json, at: &At<'_>) -> Result<Vec<u8>> {
    let bytes = json.as_str().and_then(|text| hex::decode(text).ok());
    bytes.ok_or_else(|| at.fault(Fault::Wanted("pairs of hexadecimal digits")))
}

/// A string of an array: text, or an object with its bytes.
fn string(json: &Json, at: &At<'_>) -> Result<Vec<u8>> {
    match json.as_str() {
        Some(text) => Ok(text.into()),
        None => unhex(Fields::of(json, at, &["hex"])?.need("hex")?, &At::Key(at, "hex")),
    }
}

/// The fields of an object.
struct Fields<'a> {
    map: &'a Map<String, Json>,
    at: &'a At<'a>,
}

impl<'a> Fields<'a> {
    fn of(json: &'a Json, at: &'a At<'a>, keys: &[&str]) -> Result<Self> {
        let map = json.as_object().ok_or_else(|| at.fault(Fault::Wanted("an object")))?;
        match map.keys().find(|key| !keys.contains(&key.as_str())) {
            None => Ok(Self { map, at }),
            Some(key) => Err(at.fault(Fault::UnknownKey(key.clone()))),
        }
    }

    fn get(&self, key: &str) -> Option<&'a Json> {
        self.map.get(key)
    }

    fn need(&self, key: &'static str) -> Result<&'a Json> {
        self.get(key).ok_or_else(|| self.at.fault(Fault::Absent(key)))
    }

    /// Of the keys that give a value, there are none but these.
    fn value_keys(&self, known: &[&str]) -> Result<()> {
        let stray = |key: &&String| key.starts_with("value") && !known.contains(&key.as_str());
        match self.map.keys().find(stray) {
            None => Ok(()),
            Some(key) => Err(self.at.fault(Fault::UnknownKey(key.clone()))),
        }
    }

    /// Bytes given as text under one key, or in hexadecimal under the other.
    fn bytes(&self, text: &'static str, in_hex: &'static str) -> Result<Vec<u8>> {
        match (self.get(text), self.get(in_hex)) {
            (Some(json), None) => json
                .as_str()
                .map(Into::into)
                .ok_or_else(|| At::Key(self.at, text).fault(Fault::Wanted("text"))),
            (None, Some(json)) => unhex(json, &At::Key(self.at, in_hex)),
            (Some(_), Some(_)) => Err(self.at.fault(Fault::UnknownKey(in_hex.to_owned()))),
            (None, None) => Err(self.at.fault(Fault::Absent(text))),
        }
    }
}
