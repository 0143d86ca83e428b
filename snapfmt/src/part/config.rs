//! The CONFIG part: what a restore needs and bhyve's snapshot lacks (§5.3). It knows no bhyve
//! options; `bhyve` does.

use crate::digest::Digest;
use crate::error::{Error, Fault, quoted};
use crate::layout::kind::Kind;
use crate::nvlist::Nvlist;
use crate::part::pairs::Pairs;
use crate::part::{Encoded, Intact};

/// A file that the configuration refers to, as the producer saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// `bootrom`, `nvram` or `disk`.
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
    /// `bhyve-config` or `command-line`.
    pub kind: String,
    /// The text, verbatim.
    pub text: Vec<u8>,
    /// What it refers to.
    pub files: Vec<ConfigFile>,
}

impl ConfigText {
    /// The part for this configuration.
    ///
    /// # Errors
    /// A breach of §5.3, a text above its limit, or a path with a NUL.
    pub fn encode(&self) -> Result<Encoded<'_>, Fault> {
        check_kind(&self.kind)?;
        let mut list = Nvlist::builder().string("kind", &self.kind);
        if !self.files.is_empty() {
            let files = self.files.iter().map(ConfigFile::list).collect::<Result<Vec<_>, _>>()?;
            list = list.nvlist_array("files", files);
        }
        Encoded::new(Kind::Config, &list.build()?, self.text.as_slice())
    }

    /// Reads the part. Pairs that this library does not know are ignored: the part is optional.
    ///
    /// # Errors
    /// A breach of §5.3.
    pub fn open(part: &Intact) -> Result<Self, Error> {
        Self::from_parts(part).map_err(|fault| part.wrong(fault))
    }

    fn from_parts(part: &Intact) -> Result<Self, Fault> {
        let pairs = Pairs::parse_open(part.nvlist())?;
        let kind = pairs.text("kind")?;
        check_kind(&kind)?;
        let files = pairs.find_lists("files")?;
        let files = files.iter().map(ConfigFile::from_pairs).collect::<Result<_, _>>()?;
        Ok(Self { kind, text: part.payload().to_vec(), files })
    }
}

fn check_kind(kind: &str) -> Result<(), Fault> {
    if ["bhyve-config", "command-line"].contains(&kind) {
        return Ok(());
    }
    let found = quoted(kind);
    let must = "it is bhyve-config or command-line";
    Err(Fault::Value { what: "the configuration's kind", found, must, rule: "§5.3" })
}

impl ConfigFile {
    fn list(&self) -> Result<Nvlist, Fault> {
        let mut list = Nvlist::builder()
            .string("role", &self.role)
            .string("path", &self.path)
            .number("size", self.size);
        if let Some(digest) = &self.sha256 {
            list = list.binary("sha256", digest.as_bytes());
        }
        Ok(list.build()?)
    }

    fn from_pairs(pairs: &Pairs<'_>) -> Result<Self, Fault> {
        Ok(Self {
            role: pairs.text("role")?,
            path: pairs.text("path")?,
            size: pairs.number("size")?,
            sha256: pairs.find_digest("sha256")?,
        })
    }
}
