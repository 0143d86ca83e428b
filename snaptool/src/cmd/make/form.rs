//! How a snapshot file stores what is in it, as the command line says it.

use std::str::FromStr;

use snapfmt::limits;
use snapfmt::part::codec::Compression;

use crate::ram::BLOCK;
use crate::text;

/// How to store pages and records.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Storage {
    /// How to store RAM and records: `none`, `zstd` or `zstd:LEVEL` (-7 to 19).
    #[arg(long, default_value = "zstd", value_name = "METHOD", allow_hyphen_values = true)]
    compress: Method,
    /// Bytes of RAM that are stored together, a power of two: 64K to 4M.
    #[arg(long, default_value_t = ExtentSize(BLOCK), value_name = "SIZE")]
    extent_size: ExtentSize,
}

impl Storage {
    pub(crate) fn compression(self) -> Compression {
        self.compress.compression()
    }

    pub(crate) fn extent_size(self) -> u64 {
        self.extent_size.0
    }
}

/// A method of compression, as `none`, `zstd` or `zstd:LEVEL`.
#[derive(Debug, Clone, Copy)]
pub struct Method(Compression);

impl Method {
    /// It.
    #[must_use]
    pub fn compression(self) -> Compression {
        self.0
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let levels = zstd_levels();
        Ok(Self(match text.split_once(':') {
            None if text == "none" => Compression::None,
            None if text == "zstd" => Compression::default(),
            Some(("zstd", level)) => match level.parse() {
                Ok(level) if levels.contains(&level) => Compression::Zstd(level),
                _ => {
                    let (least, most) = (levels.start(), levels.end());
                    return Err(format!("zstd has the levels {least} to {most}"));
                }
            },
            _ => return Err("the methods are none, zstd and zstd:LEVEL".to_owned()),
        }))
    }
}

/// The levels that zstd's own tool has without `--ultra`: negative ones are faster, and those above
/// would take hundreds of MiB of memory.
fn zstd_levels() -> std::ops::RangeInclusive<i32> {
    -7..=19
}

#[derive(Debug, Clone, Copy)]
struct ExtentSize(u64);

impl FromStr for ExtentSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, unit) = match text.strip_suffix(['K', 'k']) {
            Some(digits) => (digits, 1 << 10),
            None => text.strip_suffix(['M', 'm']).map_or((text, 1), |digits| (digits, 1 << 20)),
        };
        let size = digits.parse().ok().and_then(|count: u64| count.checked_mul(unit));
        let legal = limits::EXTENT_MIN..=limits::EXTENT_MAX;
        match size.filter(|size| size.is_power_of_two() && legal.contains(size)) {
            Some(size) => Ok(Self(size)),
            None => {
                let [least, most] = [legal.start(), legal.end()].map(|size| text::size(*size));
                Err(format!("it is a power of two from {least} to {most}, as 64K, 1M or 1048576"))
            }
        }
    }
}

impl std::fmt::Display for ExtentSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 >> 20 {
            0 => write!(f, "{}K", self.0 >> 10),
            mebibytes => write!(f, "{mebibytes}M"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two_within_the_limits() {
        let parse = |text: &str| text.parse::<ExtentSize>().map(|size| size.0);
        for (text, size) in
            [("64K", 1 << 16), ("1M", 1 << 20), ("4m", 4 << 20), ("131072", 1 << 17)]
        {
            assert_eq!(parse(text), Ok(size));
        }
        for text in ["", "K", "32K", "8M", "3M", "-1M", "64KiB", "18446744073709551615M"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(ExtentSize(1 << 16).to_string(), "64K");
        assert_eq!(ExtentSize(1 << 22).to_string(), "4M");
    }
}
