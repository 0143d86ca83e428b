//! Where a list of fields is another than the one that a layout gives.
//!
//! ```text
//! list, widths, lengths of a file ──┐
//! Form of the same bytes ───────────┴─ Form::difference ──> the first pair that is another
//! ```

use std::fmt;

use super::form::Form;
use crate::nvlist::{Nvlist, OwnedPair, OwnedValue, Pair, Value, View};

/// The first pair that is not what the layout makes of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The pair and the lists around it.
    pub pair: String,
    /// What it is.
    pub found: Is,
    /// What it is by the layout.
    pub wanted: Is,
}

/// What a pair is, as far as it matters to a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Is {
    /// There is none.
    Absent,
    /// A pair of another name, this one.
    Named(String),
    /// A pair of that type.
    Type(&'static str),
    /// That number.
    Number(u64),
    /// An array of so many elements.
    Elements(usize),
    /// Numbers of so many bytes.
    Width(Option<u8>),
    /// So many bytes.
    Bytes(Option<u64>),
    /// Other bytes.
    Other,
}

impl fmt::Display for Is {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent | Self::Width(None) | Self::Bytes(None) => f.write_str("absent"),
            Self::Named(name) => f.write_str(name),
            Self::Type(name) => write!(f, "of type {name}"),
            Self::Number(number) => write!(f, "{number:#x}"),
            Self::Elements(count) => write!(f, "of {count} elements"),
            Self::Width(Some(width)) => write!(f, "{width} bytes wide"),
            Self::Bytes(Some(count)) => write!(f, "{count} bytes"),
            Self::Other => f.write_str("other bytes"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wanted {
            Is::Named(name) => write!(f, "{} stands where {name} belongs", self.pair),
            wanted => write!(f, "{} is {}, not {wanted}", self.pair, self.found),
        }
    }
}

impl Form<'_> {
    /// Where these fields, widths and lengths of bulk are others than those of the form; nothing
    /// where they are the same.
    #[must_use]
    pub fn difference(
        &self,
        found: &View<'_>,
        widths: &[u8],
        lengths: &[u64],
    ) -> Option<Difference> {
        let bulk: Vec<u64> = self.bulk.iter().map(|bytes| bytes.len() as u64).collect();
        let mut sides =
            Sides { widths: [widths, &self.widths], lengths: [lengths, &bulk], path: Vec::new() };
        sides.list(found, &self.fields).err()
    }
}

/// Goes through both lists at once, as long as they are the same.
struct Sides<'a> {
    widths: [&'a [u8]; 2],
    lengths: [&'a [u64]; 2],
    path: Vec<String>,
}

impl Sides<'_> {
    fn list(&mut self, found: &View<'_>, wanted: &Nvlist) -> Result<(), Difference> {
        let mut rest = found.pairs();
        for wanted in wanted.pairs() {
            let shown = |name: &[u8]| name.escape_ascii().to_string();
            let Some(Pair { name, value, .. }) = rest.next() else {
                return Err(self.at(
                    &wanted.name,
                    Is::Absent,
                    Is::Type(wanted.value.kind().name()),
                ));
            };
            if name != wanted.name {
                let found = Is::Type(value.kind().name());
                return Err(self.at(name, found, Is::Named(shown(&wanted.name))));
            }
            self.pair(&value, wanted)?;
        }
        match rest.next() {
            Some(Pair { name, value, .. }) => {
                Err(self.at(name, Is::Type(value.kind().name()), Is::Absent))
            }
            None => Ok(()),
        }
    }

    fn pair(&mut self, found: &Value<'_>, wanted: &OwnedPair) -> Result<(), Difference> {
        let OwnedPair { name, value: wanted } = wanted;
        let differ = |here, there| Err((here, there));
        let result = match (found, wanted) {
            (Value::Number(here), OwnedValue::Number(there)) if here != there => {
                differ(Is::Number(*here), Is::Number(*there))
            }
            (Value::NumberArray(here), OwnedValue::NumberArray(there)) => {
                let other = || here.clone().zip(there).find(|(here, there)| here != *there);
                if here.len() != there.len() {
                    differ(Is::Elements(here.len()), Is::Elements(there.len()))
                } else if let Some((here, there)) = other() {
                    differ(Is::Number(here), Is::Number(*there))
                } else {
                    self.same_width()
                }
            }
            (Value::Number(_), OwnedValue::Number(_)) => self.same_width(),
            (Value::Null, OwnedValue::Null) => {
                let [here, there] = self.lengths.each_mut().map(next);
                if here == there { Ok(()) } else { differ(Is::Bytes(here), Is::Bytes(there)) }
            }
            (Value::Binary(here), OwnedValue::Binary(there)) if here != there => {
                let [here, there] = [here.len() as u64, there.len() as u64];
                let count = |len| if here == there { Is::Other } else { Is::Bytes(Some(len)) };
                differ(count(here), count(there))
            }
            (Value::Binary(_), OwnedValue::Binary(_)) => Ok(()),
            (Value::Nvlist(here), OwnedValue::Nvlist(there)) => {
                return self.within(name, None, here, there);
            }
            (Value::NvlistArray(here), OwnedValue::NvlistArray(there)) => {
                if here.len() == there.len() {
                    let both = here.clone().zip(there).enumerate();
                    for (index, (here, there)) in both {
                        self.within(name, Some(index), &here, there)?;
                    }
                    return Ok(());
                }
                differ(Is::Elements(here.len()), Is::Elements(there.len()))
            }
            _ => differ(Is::Type(found.kind().name()), Is::Type(wanted.kind().name())),
        };
        result.map_err(|(here, there)| self.at(name, here, there))
    }

    fn same_width(&mut self) -> Result<(), (Is, Is)> {
        let [here, there] = self.widths.each_mut().map(next);
        if here == there { Ok(()) } else { Err((Is::Width(here), Is::Width(there))) }
    }

    fn within(
        &mut self,
        name: &[u8],
        index: Option<usize>,
        found: &View<'_>,
        wanted: &Nvlist,
    ) -> Result<(), Difference> {
        let index = index.map_or_else(String::new, |index| format!("[{index}]"));
        self.path.push(format!("{}{index}", name.escape_ascii()));
        self.list(found, wanted)?;
        self.path.pop();
        Ok(())
    }

    fn at(&self, name: &[u8], found: Is, wanted: Is) -> Difference {
        let mut path = self.path.clone();
        let short = name.get(..64).unwrap_or(name);
        path.push(short.escape_ascii().to_string());
        Difference { pair: path.join("/"), found, wanted }
    }
}

fn next<T: Copy>(queue: &mut &[T]) -> Option<T> {
    let (first, rest) = queue.split_first()?;
    *queue = rest;
    Some(*first)
}
