//! Lists written down as one chain of calls. The first error is kept until the end of the chain, as
//! libnv keeps it in the list.

use super::Flags;
use super::error::Error;
use super::owned::{Nvlist, OwnedValue};

/// An [`Nvlist`] in the making.
///
/// ```
/// # use snapfmt::nvlist::Nvlist;
/// let cpu = Nvlist::builder().number("id", 0).boolean("online", true);
/// let list = Nvlist::builder().string("name", "vm0").nvlist_array("cpus", [cpu]).build()?;
/// assert_eq!(list.len(), 2);
/// # Ok::<(), snapfmt::nvlist::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    list: Result<Nvlist, Error>,
}

impl Builder {
    /// Begins a list without flags.
    pub fn new() -> Self {
        Self { list: Ok(Nvlist::new()) }
    }

    /// Begins a list.
    pub fn with_flags(flags: Flags) -> Self {
        Self { list: Ok(Nvlist::with_flags(flags)) }
    }

    /// The list.
    ///
    /// # Errors
    ///
    /// The first error of the chain.
    pub fn build(self) -> Result<Nvlist, Error> {
        self.list
    }

    /// The list, packed.
    ///
    /// # Errors
    ///
    /// The first error of the chain, or that of [`Nvlist::pack`].
    pub fn pack(self) -> Result<Vec<u8>, Error> {
        self.list?.pack()
    }

    /// Appends a pair.
    pub fn pair(mut self, name: impl AsRef<[u8]>, value: OwnedValue) -> Self {
        if let Ok(list) = &mut self.list
            && let Err(error) = list.add(name, value)
        {
            self.list = Err(error);
        }
        self
    }

    /// Appends a pair without value.
    pub fn null(self, name: impl AsRef<[u8]>) -> Self {
        self.pair(name, OwnedValue::Null)
    }

    /// Appends a bool.
    pub fn boolean(self, name: impl AsRef<[u8]>, value: bool) -> Self {
        self.pair(name, OwnedValue::Bool(value))
    }

    /// Appends a number.
    pub fn number(self, name: impl AsRef<[u8]>, value: u64) -> Self {
        self.pair(name, OwnedValue::Number(value))
    }

    /// Appends a string.
    pub fn string(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.pair(name, OwnedValue::String(value.as_ref().to_vec()))
    }

    /// Appends a descriptor index.
    pub fn descriptor(self, name: impl AsRef<[u8]>, index: u64) -> Self {
        self.pair(name, OwnedValue::Descriptor(index))
    }

    /// Appends bytes, at least one.
    pub fn binary(self, name: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) -> Self {
        self.pair(name, OwnedValue::Binary(value.into()))
    }

    /// Appends a list; its error, if it has one, becomes that of this chain.
    pub fn nvlist(self, name: impl AsRef<[u8]>, list: impl Into<Self>) -> Self {
        match list.into().list {
            Ok(list) => self.pair(name, OwnedValue::Nvlist(list)),
            Err(error) => self.fail(error),
        }
    }

    /// Appends bools, at least one.
    pub fn bool_array(self, name: impl AsRef<[u8]>, items: impl IntoIterator<Item = bool>) -> Self {
        self.pair(name, OwnedValue::BoolArray(items.into_iter().collect()))
    }

    /// Appends numbers, at least one.
    pub fn number_array(
        self,
        name: impl AsRef<[u8]>,
        items: impl IntoIterator<Item = u64>,
    ) -> Self {
        self.pair(name, OwnedValue::NumberArray(items.into_iter().collect()))
    }

    /// Appends strings, at least one.
    pub fn string_array(
        self,
        name: impl AsRef<[u8]>,
        items: impl IntoIterator<Item: AsRef<[u8]>>,
    ) -> Self {
        let items = items.into_iter().map(|item| item.as_ref().to_vec()).collect();
        self.pair(name, OwnedValue::StringArray(items))
    }

    /// Appends lists, at least one.
    pub fn nvlist_array(
        self,
        name: impl AsRef<[u8]>,
        items: impl IntoIterator<Item: Into<Self>>,
    ) -> Self {
        match items.into_iter().map(|item| item.into().list).collect() {
            Ok(items) => self.pair(name, OwnedValue::NvlistArray(items)),
            Err(error) => self.fail(error),
        }
    }

    /// Appends descriptor indexes, at least one.
    pub fn descriptor_array(
        self,
        name: impl AsRef<[u8]>,
        items: impl IntoIterator<Item = u64>,
    ) -> Self {
        self.pair(name, OwnedValue::DescriptorArray(items.into_iter().collect()))
    }

    fn fail(self, error: Error) -> Self {
        Self { list: self.list.and(Err(error)) }
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Nvlist> for Builder {
    fn from(list: Nvlist) -> Self {
        Self { list: Ok(list) }
    }
}
