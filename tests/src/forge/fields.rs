//! Records as fields (§5.4.8 to §5.4.10).

use super::list::{List, Value};

/// A record as fields.
#[derive(Debug, Clone)]
pub struct Fields {
    /// The name of the layout.
    pub layout: String,
    /// Its version.
    pub version: u64,
    /// The fields.
    pub list: List,
    /// The width of each number and number array, depth first.
    pub widths: Vec<u8>,
    /// The chunk of each null, depth first.
    pub chunks: Vec<Vec<u8>>,
}

impl Fields {
    /// The bytes of the record (§5.4.9).
    ///
    /// # Panics
    /// If the fields are not fields.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        let (mut out, mut widths, mut chunks) =
            (Vec::new(), self.widths.iter(), self.chunks.iter());
        joined(&self.list, &mut widths, &mut chunks, &mut out);
        assert!(widths.next().is_none() && chunks.next().is_none(), "more than fields");
        out
    }

    /// What is stored in place of the record (§5.4.10).
    #[must_use]
    pub fn bulk(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    /// The pairs that say so, behind those that every record has.
    #[must_use]
    pub fn pairs(&self, list: List) -> List {
        let list = list
            .text("layout", &self.layout)
            .number("layout_version", self.version)
            .with("fields", Value::List(self.list.clone()));
        // No list has an empty pair.
        let list = if self.widths.is_empty() { list } else { list.bytes("widths", &self.widths) };
        let sizes: Vec<_> = self.chunks.iter().map(|chunk| chunk.len() as u64).collect();
        if sizes.is_empty() { list } else { list.with("bulk", Value::Numbers(sizes)) }
    }
}

fn joined<'a>(
    list: &List,
    widths: &mut impl Iterator<Item = &'a u8>,
    chunks: &mut impl Iterator<Item = &'a Vec<u8>>,
    out: &mut Vec<u8>,
) {
    let number = |out: &mut Vec<u8>, width: u8, number: u64| {
        out.extend(&number.to_le_bytes()[..usize::from(width)]);
    };
    for (name, value) in &list.pairs {
        match value {
            Value::Number(value) => number(out, *widths.next().unwrap(), *value),
            Value::Numbers(values) => {
                let width = *widths.next().unwrap();
                values.iter().for_each(|value| number(out, width, *value));
            }
            Value::Bytes(bytes) => out.extend(bytes),
            Value::Null => out.extend(chunks.next().unwrap()),
            Value::List(list) => joined(list, widths, chunks, out),
            Value::Lists(lists) => {
                lists.iter().for_each(|list| joined(list, widths, chunks, out));
            }
            Value::Text(_) | Value::Texts(_) | Value::Raw(..) => panic!("{name} is no field"),
        }
    }
}
