//! The VM's configuration, to be kept with its state.

use std::fs;
use std::io;
use std::path::Path;

use snapfmt::bhyve::config::ConfigKind;
use snapfmt::bhyve::{Config, Meta, disagreements};
use snapfmt::digest::{Digest, Hasher};
use snapfmt::part::config::{ConfigFile, ConfigText};

use crate::exit::{Trouble, note};
use crate::input::{FileInput, Input};
use crate::node::{Identity, identity};
use crate::signal::Stop;
use crate::text;

/// A configuration that was read.
pub(crate) struct Configuration {
    pub(crate) text: ConfigText,
    pub(crate) uuid: Option<String>,
    /// The file itself and those that it refers to.
    pub(crate) inputs: Vec<Identity>,
}

impl Configuration {
    pub(crate) fn read(path: &Path, meta: &Meta, stop: &Stop) -> anyhow::Result<Self> {
        let shown = text::path(path);
        let file = Input::open(path, stop)?;
        let mut inputs = Vec::new();
        if let Input::File(file) = &file {
            inputs.push(file.identity());
        }
        let mut bytes = Vec::new();
        let limit = snapfmt::limits::TEXT_PAYLOAD + 1;
        io::Read::read_to_end(&mut io::Read::take(file.into_reader(), limit), &mut bytes)?;
        let config = Config::parse(&bytes).map_err(|error| {
            Trouble::new(format!("cannot use {shown} as configuration")).because(error)
        })?;
        let doubts = disagreements(&config, meta);
        for finding in &doubts {
            note(&format!("{shown}: {finding}"));
        }
        // A configuration of another machine does not name this one.
        let uuid = config.uuid.filter(|_| doubts.is_empty());
        let kind = match config.kind {
            ConfigKind::File => "bhyve-config",
            ConfigKind::CommandLine => "command-line",
        };
        let roms = [("bootrom", &config.bootrom), ("nvram", &config.bootvars)];
        let roms = roms.into_iter().filter_map(|(role, path)| Some((role, path.as_ref()?)));
        let disks = config.disks.iter().map(|disk| ("disk", &disk.path));
        let named: Vec<_> = roms.chain(disks).collect();
        inputs.extend(named.iter().filter_map(|(_, path)| fs::metadata(path).ok()).map(identity));
        let files = named.into_iter().filter_map(|(role, path)| seen(role, path, stop)).collect();
        let text = ConfigText { kind: kind.to_owned(), text: bytes, files };
        Ok(Self { text, uuid, inputs })
    }
}

/// A file that the configuration refers to. One that cannot be read is no reason not to pack.
fn seen(role: &str, path: &str, stop: &Stop) -> Option<ConfigFile> {
    let look = || -> anyhow::Result<ConfigFile> {
        let file = Input::open(Path::new(path), stop)?.into_file()?;
        let sha256 = if role == "disk" { None } else { Some(digest(&file, stop)?) };
        Ok(ConfigFile { role: role.to_owned(), path: path.to_owned(), size: file.len(), sha256 })
    };
    match look() {
        Ok(file) => Some(file),
        Err(error) => {
            let why = crate::exit::line(&error);
            note(&format!("the {role} of the configuration is not recorded: {why}"));
            None
        }
    }
}

fn digest(file: &FileInput, stop: &Stop) -> anyhow::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buf = vec![0; 1 << 16];
    let mut at = 0;
    loop {
        stop.check()?;
        let n = file.read_at(&mut buf, at)?;
        if n == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(buf.get(..n).unwrap_or_default());
        at += n as u64;
    }
}
