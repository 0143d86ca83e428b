//! The META part: `.meta`, byte for byte (§5.2). It knows no JSON; `bhyve` does.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Fault, quoted};
use crate::layout::kind::Kind;
use crate::part::pairs;
use crate::part::{Encoded, Intact};

/// The text of `.meta` and the generation of its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaText {
    /// `A` (2020, with `snapshot_req`) or `B` (current).
    pub generation: char,
    /// The file, verbatim.
    pub text: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pairs {
    generation: String,
}

impl MetaText {
    /// The part for this text.
    ///
    /// # Errors
    /// A text above its limit.
    pub fn encode(&self) -> Result<Encoded<'_>, Fault> {
        let pairs = Pairs { generation: self.generation.to_string() };
        Encoded::new(Kind::Meta, &pairs, self.text.as_slice())
    }

    /// Reads the part. Whether the text agrees with the other parts is for the readers to see.
    ///
    /// # Errors
    /// A breach of §5.2.
    pub fn open(part: &Intact) -> Result<Self, Error> {
        let generation = generation(part.nvlist()).map_err(|fault| part.wrong(fault))?;
        Ok(Self { generation, text: part.payload().to_vec() })
    }
}

fn generation(list: &[u8]) -> Result<char, Fault> {
    let Pairs { generation } = pairs::read(list)?;
    match generation.as_str() {
        "A" => Ok('A'),
        "B" => Ok('B'),
        other => Err(Fault::Value {
            what: "the generation of .meta",
            found: quoted(other),
            must: "it is A or B",
            rule: "§5.2",
        }),
    }
}
