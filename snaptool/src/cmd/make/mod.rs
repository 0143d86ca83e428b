//! What all commands share that write a snapshot file.

pub(crate) mod config;
pub(crate) mod copy;
pub(crate) mod form;
pub(crate) mod target;

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use snapfmt::Fault;
use snapfmt::layout::header::{DELTA, Header, Parent};
use snapfmt::part::vm::Vm;

use crate::exit::{Answer, Trouble, report};
use crate::output::Output;

/// The header block of a file that is written now.
pub(crate) fn header(vm: &Vm, vm_uuid: Option<String>, parent: Option<Parent>) -> Header {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Header {
        producer: concat!("snaptool ", env!("CARGO_PKG_VERSION")).to_owned(),
        uuid: uuid::Uuid::new_v4().to_string(),
        vm_name: vm.name.clone(),
        vm_uuid,
        created: now,
        incompatible: parent.iter().map(|_| DELTA.to_owned()).collect(),
        parent,
        compatible: Vec::new(),
    }
}

/// Writes what a writer has appended.
pub(crate) fn drain(out: &mut Vec<u8>, output: &mut Output) -> anyhow::Result<()> {
    output.write_all(out)?;
    out.clear();
    Ok(())
}

/// Tells what cannot be put into a snapshot file, whoever writes it, from trouble with writing it.
/// `input` is what was to be put there.
pub(crate) fn misfit(error: anyhow::Error, input: &str) -> anyhow::Result<Answer> {
    match error.downcast_ref::<snapfmt::Error>().map(snapfmt::Error::fault) {
        None => Err(error),
        Some(Fault::Zstd(_)) => Err(Trouble::new("cannot compress")
            .because(error)
            .hint("there may be too little memory: a lower level of --compress takes less")
            .into()),
        Some(_) => {
            let words = format!("{input}: does not fit into a snapshot file");
            report(&Trouble::new(words).because(error).into());
            Ok(Answer::No)
        }
    }
}
