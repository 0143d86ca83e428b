//! Bytes for people, in the manner of `hexdump -Cv`.

use std::io::{self, Write};

const LINE: usize = 16;

/// Shows all of `bytes`, and where they end.
pub(super) fn dump(bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    for (index, line) in bytes.chunks(LINE).enumerate() {
        write!(out, "{:08x} ", index * LINE)?;
        for place in 0..LINE {
            if place % 8 == 0 {
                write!(out, " ")?;
            }
            match line.get(place) {
                Some(byte) => write!(out, "{byte:02x} ")?,
                None => write!(out, "   ")?,
            }
        }
        let printable = |byte: &u8| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        };
        writeln!(out, " |{}|", line.iter().map(printable).collect::<String>())?;
    }
    writeln!(out, "{:08x}", bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_looks_like_that_of_hexdump() {
        let mut out = Vec::new();
        dump(b"0123456789abcdef\x1b[", &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|"
        );
        let blank = " ".repeat(6 * 3 + 1 + 8 * 3);
        assert_eq!(lines[1], format!("00000010  1b 5b {blank} |.[|"));
        assert_eq!(lines[2], "00000012");
    }
}
