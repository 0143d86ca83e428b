//! A bounded reader of JSON that knows where each value stands.
//!
//! libxo writes JSON, so JSON is what is read; the comments, bare words and macros that libucl
//! would take as well are refused. Keys may repeat here: who reads an object judges that.

use super::limits;

/// A value and the byte it starts at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node<'a> {
    pub(super) at: usize,
    pub(super) value: Value<'a>,
}

/// What JSON has. Numbers stay text, so that no digit is lost.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(String),
    Array(Vec<Node<'a>>),
    Object(Vec<Member<'a>>),
}

impl Value<'_> {
    /// The kind of the value, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// A key, where it stands, and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member<'a> {
    pub(super) at: usize,
    pub(super) key: String,
    pub(super) node: Node<'a>,
}

/// What is wrong with a text as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The text ends inside a value.
    Unfinished,
    /// Something else stands where this should.
    Expected(&'static str),
    /// Something follows the outermost value.
    Trailing,
    /// Nested deeper than [`limits::DEPTH`].
    TooDeep,
    /// More values than [`limits::VALUES`].
    TooMany,
}

/// A fault and the byte it was found at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Error {
    pub(super) fault: Fault,
    pub(super) at: usize,
}

/// Reads a whole text as one value.
pub(super) fn parse(text: &str) -> Result<Node<'_>, Error> {
    let mut reader = Reader { text, at: 0, values: 0 };
    let node = reader.value(0)?;
    reader.space();
    if reader.at < text.len() { Err(reader.error(Fault::Trailing)) } else { Ok(node) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    values: usize,
}

impl<'a> Reader<'a> {
    const fn error(&self, fault: Fault) -> Error {
        Error { fault, at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, Error> {
        let byte = self.peek().ok_or_else(|| self.error(Fault::Unfinished))?;
        self.at += 1;
        Ok(byte)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Skips `byte` if it is next.
    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// The error for something else than what was `expected`, or for nothing at all.
    fn expected(&self, expected: &'static str) -> Error {
        self.error(if self.peek().is_none() {
            Fault::Unfinished
        } else {
            Fault::Expected(expected)
        })
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, Error> {
        self.space();
        let at = self.at;
        if depth > limits::DEPTH {
            return Err(self.error(Fault::TooDeep));
        }
        self.values += 1;
        if self.values > limits::VALUES {
            return Err(self.error(Fault::TooMany));
        }
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            _ => return Err(self.expected("a value")),
        };
        Ok(Node { at, value })
    }

    fn word(&mut self, word: &'static str, value: Value<'a>) -> Result<Value<'a>, Error> {
        for byte in word.bytes() {
            if !self.skip(byte) {
                return Err(self.expected(word));
            }
        }
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Value<'a>, Error> {
        self.at += 1;
        let mut nodes = Vec::new();
        self.space();
        if self.skip(b']') {
            return Ok(Value::Array(nodes));
        }
        loop {
            nodes.push(self.value(depth + 1)?);
            self.space();
            if self.skip(b']') {
                return Ok(Value::Array(nodes));
            }
            if !self.skip(b',') {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, Error> {
        self.at += 1;
        let mut members = Vec::new();
        self.space();
        if self.skip(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            let at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key"));
            }
            let key = self.string()?;
            self.space();
            if !self.skip(b':') {
                return Err(self.expected("`:`"));
            }
            let node = self.value(depth + 1)?;
            members.push(Member { at, key, node });
            self.space();
            if self.skip(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.skip(b',') {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    fn digits(&mut self) -> Result<(), Error> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.expected("a digit"));
        }
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<&'a str, Error> {
        let start = self.at;
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits()?;
        }
        if self.skip(b'.') {
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            let _signed = self.skip(b'+') || self.skip(b'-');
            self.digits()?;
        }
        self.text.get(start..self.at).ok_or_else(|| self.error(Fault::Expected("a number")))
    }

    fn string(&mut self) -> Result<String, Error> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.find(|c| matches!(c, '"' | '\\' | '\0'..='\x1f'));
            let Some(plain) = plain else {
                self.at = self.text.len();
                return Err(self.error(Fault::Unfinished));
            };
            out.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err(self.expected("no control character in a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Error> {
        let start = self.at;
        self.at += 1;
        let unescaped = match self.next()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(start),
            _ => return Err(Error { fault: Fault::Expected("a known escape"), at: start }),
        };
        Ok(unescaped)
    }

    /// Four hexadecimal digits, or twice four for a character above U+FFFF.
    fn unicode(&mut self, start: usize) -> Result<char, Error> {
        let broken = Error { fault: Fault::Expected("a whole unicode escape"), at: start };
        let high = self.hex4()?;
        let code = if (0xd800..0xdc00).contains(&high) {
            if !(self.next()? == b'\\' && self.next()? == b'u') {
                return Err(broken);
            }
            let low = self.hex4()?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(broken);
            }
            0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
        } else {
            high
        };
        char::from_u32(code).ok_or(broken)
    }

    fn hex4(&mut self) -> Result<u32, Error> {
        let mut code = 0;
        for _ in 0..4 {
            let at = self.at;
            let byte = self.next()?;
            let digit = char::from(byte).to_digit(16);
            let wrong = Error { fault: Fault::Expected("a hexadecimal digit"), at };
            code = code * 16 + digit.ok_or(wrong)?;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (Fault, usize) {
        let error = parse(text).unwrap_err();
        (error.fault, error.at)
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let node =
            parse(" {\"a\": [1, -2.5e+3, true, false, null, \"x\\n\\u00e9\\ud83d\\ude00\"]} ");
        let Value::Object(members) = node.unwrap().value else { panic!("not an object") };
        assert_eq!(members[0].key, "a");
        assert_eq!(members[0].at, 2);
        let Value::Array(nodes) = &members[0].node.value else { panic!("not an array") };
        let values: Vec<_> = nodes.iter().map(|node| node.value.clone()).collect();
        assert_eq!(
            values,
            [
                Value::Number("1"),
                Value::Number("-2.5e+3"),
                Value::Bool(true),
                Value::Bool(false),
                Value::Null,
                Value::Text("x\né😀".into()),
            ]
        );
    }

    #[test]
    fn a_text_cut_anywhere_is_unfinished() {
        let text = r#"{"a": [1, {"b": "c\u00e9"}]}"#;
        for end in 0..text.len() {
            let error = parse(&text[..end]).unwrap_err();
            assert_eq!(error.fault, Fault::Unfinished, "cut at {end}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_where_it_stands() {
        assert_eq!(fault("%%%%"), (Fault::Expected("a value"), 0));
        assert_eq!(fault("{} x"), (Fault::Trailing, 3));
        assert_eq!(fault("{a: 1}"), (Fault::Expected("a key"), 1));
        assert_eq!(fault("[1,]"), (Fault::Expected("a value"), 3));
        assert_eq!(fault("[01]"), (Fault::Expected("`,` or `]`"), 2));
        assert_eq!(fault("\"\\x\""), (Fault::Expected("a known escape"), 1));
        assert_eq!(fault("\"\\udc00\""), (Fault::Expected("a whole unicode escape"), 1));
        assert_eq!(fault("\"\n\""), (Fault::Expected("no control character in a string"), 1));
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let deep = format!("{}{}", "[".repeat(9), "]".repeat(9));
        assert!(parse(&deep).is_ok());
        let deeper = format!("{}{}", "[".repeat(10), "]".repeat(10));
        assert_eq!(fault(&deeper), (Fault::TooDeep, 9));
        let many = format!("[{}1]", "1,".repeat(limits::VALUES));
        assert_eq!(fault(&many).0, Fault::TooMany);
    }
}
