//! Optional parts that this library only carries (§4.12, §4.13).

use serde::Deserialize;

use crate::error::{Error, Fault};
use crate::limits;
use crate::part::Intact;
use crate::part::pairs;

/// Checks the form of the nvlist and, of a private part, whose it is.
///
/// # Errors
/// A list that libnv would not have packed, and a private part that does not say whose it is.
pub(crate) fn check(part: &Intact) -> Result<(), Error> {
    let view = pairs::view(part.nvlist()).map_err(|fault| part.wrong(fault))?;
    if part.kind().is_private() {
        vendor(view).map_err(|fault| part.wrong(fault))?;
    }
    Ok(())
}

fn vendor(view: crate::nvlist::View<'_>) -> Result<(), Fault> {
    #[derive(Deserialize)]
    struct Pairs<'a> {
        vendor: &'a str,
    }
    let Pairs { vendor } = pairs::from(view)?;
    if !(1..=limits::VENDOR).contains(&vendor.len()) {
        let found = format!("{} bytes long", vendor.len());
        let must = "it has 1 to 63 bytes";
        return Err(Fault::Value { what: "the vendor of the part", found, must, rule: "§4.13" });
    }
    Ok(())
}
