//! Every field of a record for programs, as `spec/inspect.md` has it.

use serde::Serialize;
use snapfmt::Digest;
use snapfmt::state::{FieldRef, Kind, Unknown};

use super::machine::{Rec, State};

/// Longer values are shown by their digest.
const SHORT: usize = 64;

/// A field.
#[derive(Debug, Serialize)]
struct Field {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vcpu: Option<u32>,
    occurrence: u32,
    offset: u64,
    len: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    u: Option<String>,
}

/// What is added to a record.
#[derive(Debug, Default, Serialize)]
pub(in crate::cmd::inspect) struct FieldFacts {
    /// Nothing if they are not known.
    fields: Option<Vec<Field>>,
    /// The most likely layout, where it does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<Claims>,
}

#[derive(Debug, Serialize)]
struct Claims {
    layout: &'static str,
    why: String,
    fields: Vec<Field>,
}

fn described(field: FieldRef<'_, '_>) -> Field {
    let (definition, bytes) = (field.definition(), field.bytes());
    let short = bytes.len() <= SHORT;
    Field {
        name: definition.name,
        label: definition.label,
        vcpu: field.vcpu(),
        occurrence: field.occurrence(),
        offset: field.offset(),
        len: field.len(),
        kind: match definition.kind {
            Kind::GuestAddress => Some("guest_address"),
            _ if definition.compared => Some("compared_on_restore"),
            _ => None,
        },
        hex: short.then(|| hex::encode(bytes)),
        sha256: (!short).then(|| Digest::of(bytes).to_string()),
        u: field.u64().map(|value| value.to_string()),
    }
}

/// The fields of a record, or of one virtual CPU of it.
pub(in crate::cmd::inspect) fn fields(record: &Rec<'_>, vcpu: Option<u32>) -> FieldFacts {
    let all = |fields: &snapfmt::state::Fields<'_>| {
        let wanted = fields.iter().filter(|field| vcpu.is_none() || field.vcpu() == vcpu);
        wanted.map(described).collect::<Vec<_>>()
    };
    match &record.state {
        State::Known(fields) => FieldFacts { fields: Some(all(fields)), claims: None },
        State::Claimed(fields, misfit) => {
            let layout = fields.layout().id;
            let claims = Claims { layout, why: misfit.to_string(), fields: all(fields) };
            FieldFacts { fields: None, claims: Some(claims) }
        }
        State::Unknown(Unknown::Absent) => FieldFacts { fields: Some(Vec::new()), claims: None },
        State::Unknown(_) => FieldFacts::default(),
    }
}
