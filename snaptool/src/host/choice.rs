//! The host that a person names: this one, or one whose facts are in a file.

use std::convert::Infallible;
use std::io::Read as _;
use std::path::PathBuf;
use std::str::FromStr;

use snapfmt::state::HostFacts;
use snapfmt::state::host::MOST_BYTES;

use crate::exit::Trouble;
use crate::input::Input;
use crate::signal::Stop;

/// What `--host` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// `this`: the host that the program runs on.
    This,
    /// A file that `snaptool host-facts` wrote; `-` is stdin. `./this` names a file of that name.
    File(PathBuf),
}

impl FromStr for Host {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "this" { Self::This } else { Self::File(text.into()) })
    }
}

impl Host {
    /// Its facts.
    ///
    /// # Errors
    /// A file that cannot be read, or that has none.
    pub fn facts(&self, stop: &Stop) -> anyhow::Result<HostFacts> {
        let Self::File(path) = self else { return Ok(super::probe()) };
        let input = Input::open(path, stop)?;
        let name = input.name().to_owned();
        let mut bytes = Vec::new();
        input.into_reader().take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        HostFacts::parse(&bytes).map_err(|error| {
            Trouble::new(format!("{name}: {error}"))
                .hint("make such a file with `snaptool host-facts -o FILE` on the host it is about")
                .into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_is_no_file_unless_it_is_named_as_one() {
        assert_eq!("this".parse(), Ok(Host::This));
        assert_eq!("./this".parse(), Ok(Host::File("./this".into())));
        assert_eq!("-".parse(), Ok(Host::File("-".into())));
    }
}
