//! The pairs of a part's nvlist, as the types that the spec gives them (§1.3, §5).

use crate::digest::{self, Digest};
use crate::error::Fault;
use crate::nvlist::{ByteOrder, Flags, Options, View};

/// An nvlist and the reading of its pairs.
pub(crate) struct Pairs<'a>(View<'a>);

impl<'a> Pairs<'a> {
    /// Reads a list that has no pairs but `names`.
    pub(crate) fn parse(list: &'a [u8], names: &[&str]) -> Result<Self, Fault> {
        let pairs = Self::parse_open(list)?;
        pairs.only(names)?;
        Ok(pairs)
    }

    /// Reads a list that may have pairs which this library does not know.
    pub(crate) fn parse_open(list: &'a [u8]) -> Result<Self, Fault> {
        let options = Options::new().flags_throughout(Flags::default());
        let view = View::parse(list, &options)?;
        if view.byte_order() == ByteOrder::Big {
            return Err(Fault::Pair("the list is big-endian (§1.3)".to_owned()));
        }
        Ok(Self(view))
    }

    /// Refuses pairs other than `names`.
    pub(crate) fn only(&self, names: &[&str]) -> Result<(), Fault> {
        self.0.only(names).map_err(|unknown| Fault::Pair(unknown.to_string()))
    }

    pub(crate) fn number(&self, name: &str) -> Result<u64, Fault> {
        Ok(self.0.number(name)?)
    }

    pub(crate) fn numbers(&self, name: &str) -> Result<Vec<u64>, Fault> {
        Ok(self.0.number_array(name)?.collect())
    }

    pub(crate) fn binary(&self, name: &str) -> Result<&'a [u8], Fault> {
        Ok(self.0.binary(name)?)
    }

    pub(crate) fn digest(&self, name: &str) -> Result<Digest, Fault> {
        let bytes = self.binary(name)?;
        let array: [u8; digest::LEN] = bytes
            .try_into()
            .map_err(|_| Fault::Pair(format!("`{name}` has {} bytes, not 32", bytes.len())))?;
        Ok(Digest::from_bytes(array))
    }

    pub(crate) fn find_digest(&self, name: &str) -> Result<Option<Digest>, Fault> {
        self.0.get(name).map(|_| self.digest(name)).transpose()
    }

    pub(crate) fn text(&self, name: &str) -> Result<String, Fault> {
        utf8(name, self.0.string(name)?)
    }

    pub(crate) fn find_text(&self, name: &str) -> Result<Option<String>, Fault> {
        self.0.get(name).map(|_| self.text(name)).transpose()
    }

    pub(crate) fn find_texts(&self, name: &str) -> Result<Option<Vec<String>>, Fault> {
        let Some(texts) = self.0.find_string_array(name)? else { return Ok(None) };
        texts.map(|text| utf8(name, text)).collect::<Result<_, _>>().map(Some)
    }

    pub(crate) fn lists(&self, name: &str) -> Result<Vec<Pairs<'a>>, Fault> {
        Ok(self.0.nvlist_array(name)?.map(Pairs).collect())
    }

    pub(crate) fn find_lists(&self, name: &str) -> Result<Vec<Pairs<'a>>, Fault> {
        self.0.get(name).map_or(Ok(Vec::new()), |_| self.lists(name))
    }
}

fn utf8(name: &str, bytes: &[u8]) -> Result<String, Fault> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Fault::Pair(format!("`{name}` is not UTF-8 (§1.5)"))),
    }
}
