//! The CONFIG part: what a restore needs and bhyve's snapshot lacks (§5.3). It knows no bhyve
//! options; `bhyve` does.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, Fault};
use crate::layout::kind::Kind;
use crate::part::pairs;
use crate::part::{Encoded, Intact};

/// A file that the configuration refers to, as the producer saw it: the pairs of its list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFile {
    /// What it is for: `bootrom`, `nvram`, `disk`; another producer may know more.
    pub role: String,
    /// Its path, as written in the configuration.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest; not taken of disks.
    pub sha256: Option<Digest>,
}

/// A VM's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigText {
    /// What the text is: `bhyve-config`, `command-line`; another producer may know more.
    pub kind: String,
    /// The text, verbatim.
    pub text: Vec<u8>,
    /// What it refers to.
    pub files: Vec<ConfigFile>,
}

/// Others are passed over.
#[derive(Serialize, Deserialize)]
struct Pairs {
    kind: String,
    #[serde(default)]
    files: Vec<ConfigFile>,
}

impl ConfigText {
    /// The part for this configuration.
    ///
    /// # Errors
    /// A text above its limit, or a path with a NUL.
    pub fn encode(&self) -> Result<Encoded<'_>, Fault> {
        let pairs = Pairs { kind: self.kind.clone(), files: self.files.clone() };
        Encoded::new(Kind::Config, &pairs, self.text.as_slice())
    }

    /// Reads the part. Pairs that this library does not know are ignored: the part is optional.
    ///
    /// # Errors
    /// A breach of §5.3.
    pub fn open(part: &Intact) -> Result<Self, Error> {
        Self::from_parts(part).map_err(|fault| part.wrong(fault))
    }

    fn from_parts(part: &Intact) -> Result<Self, Fault> {
        let Pairs { kind, files } = pairs::read(part.nvlist())?;
        Ok(Self { kind, text: part.payload().to_vec(), files })
    }
}
