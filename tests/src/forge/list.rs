//! libnv's packed lists, written down from the description of the format (§1.3).

/// A value of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing but the name.
    Null,
    /// A number.
    Number(u64),
    /// A string, without its NUL.
    Text(Vec<u8>),
    /// A nested list.
    List(List),
    /// Bytes.
    Bytes(Vec<u8>),
    /// An array of numbers.
    Numbers(Vec<u64>),
    /// An array of strings.
    Texts(Vec<String>),
    /// An array of lists.
    Lists(Vec<List>),
    /// Anything: type, data size, item count and data as given.
    Raw(u8, u64, u64, Vec<u8>),
}

/// A list: pairs in the order in which they are packed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List {
    /// The flags byte of the list header.
    pub flags: u8,
    /// Names and values.
    pub pairs: Vec<(String, Value)>,
}

impl List {
    /// A list without pairs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a pair.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.pairs.push((name.to_owned(), value));
        self
    }

    /// Appends a number.
    #[must_use]
    pub fn number(self, name: &str, value: u64) -> Self {
        self.with(name, Value::Number(value))
    }

    /// Appends a string.
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> Self {
        self.with(name, Value::Text(value.into()))
    }

    /// Appends bytes.
    #[must_use]
    pub fn bytes(self, name: &str, value: &[u8]) -> Self {
        self.with(name, Value::Bytes(value.into()))
    }

    /// The value of the first pair of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Puts another value in the place of that of `name`, or appends the pair.
    pub fn set(&mut self, name: &str, value: Value) {
        match self.pairs.iter_mut().find(|(known, _)| known == name) {
            Some(pair) => pair.1 = value,
            None => self.pairs.push((name.to_owned(), value)),
        }
    }

    /// Takes the pair `name` out.
    pub fn drop(&mut self, name: &str) {
        self.pairs.retain(|(known, _)| known != name);
    }

    /// The list of number `index` in the array of lists `name`.
    pub fn nth(&mut self, name: &str, index: usize) -> &mut Self {
        let pair = self.pairs.iter_mut().find(|(known, _)| known == name);
        match pair {
            Some((_, Value::Lists(lists))) => &mut lists[index],
            other => panic!("no array of lists {name}: {other:?}"),
        }
    }

    /// The packed list.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        let (mut bytes, mut headers) = (Vec::new(), Vec::new());
        self.write(&mut bytes, &mut headers);
        // Each list header says how many bytes of the whole message follow it.
        for at in headers {
            let left = (bytes.len() - at - 19) as u64;
            bytes[at + 11..at + 19].copy_from_slice(&left.to_le_bytes());
        }
        bytes
    }

    fn write(&self, out: &mut Vec<u8>, headers: &mut Vec<usize>) {
        headers.push(out.len());
        out.extend([b'l', 0, self.flags]);
        out.extend([0; 16]);
        for (name, value) in &self.pairs {
            value.write(name, out, headers);
        }
    }
}

fn pair(out: &mut Vec<u8>, code: u8, name: &str, size: usize, items: usize) {
    out.push(code);
    out.extend((name.len() as u16 + 1).to_le_bytes());
    out.extend((size as u64).to_le_bytes());
    out.extend((items as u64).to_le_bytes());
    out.extend(name.as_bytes());
    out.push(0);
}

impl Value {
    fn write(&self, name: &str, out: &mut Vec<u8>, headers: &mut Vec<usize>) {
        match self {
            Self::Null => pair(out, 1, name, 0, 0),
            Self::Number(number) => {
                pair(out, 3, name, 8, 0);
                out.extend(number.to_le_bytes());
            }
            Self::Text(text) => {
                pair(out, 4, name, text.len() + 1, 0);
                out.extend(text);
                out.push(0);
            }
            Self::List(list) => {
                // The data size counts the list without its end marker.
                let mut inner = Vec::new();
                list.write(&mut inner, &mut Vec::new());
                pair(out, 5, name, inner.len(), 0);
                list.write(out, headers);
                pair(out, 255, "", 0, 0);
            }
            Self::Bytes(bytes) => {
                pair(out, 7, name, bytes.len(), 0);
                out.extend(bytes);
            }
            Self::Numbers(numbers) => {
                pair(out, 9, name, 8 * numbers.len(), numbers.len());
                out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            }
            Self::Texts(texts) => {
                let size = texts.iter().map(|text| text.len() + 1).sum();
                pair(out, 10, name, size, texts.len());
                for text in texts {
                    out.extend(text.as_bytes());
                    out.push(0);
                }
            }
            Self::Lists(lists) => {
                pair(out, 11, name, 0, lists.len());
                for list in lists {
                    list.write(out, headers);
                    pair(out, 254, "", 0, 0);
                }
            }
            Self::Raw(code, size, items, data) => {
                pair(out, *code, name, *size as usize, *items as usize);
                out.extend(data);
            }
        }
    }
}
