//! bhyve's three files, held against all rules.

use snapfmt::bhyve::RamLayout;
use snapfmt::state::gate::Judged;
use snapfmt::state::rules::{GuestRam, HostFacts, RamError};

use crate::input::FileInput;
use crate::three::ThreeFiles;

/// Reads all records and what rules look at in RAM, and judges. Nothing if `.meta` cannot be
/// parsed:
/// [`ThreeFiles::findings`] says why.
///
/// # Errors
/// Trouble with reading.
pub(crate) fn three(set: &ThreeFiles, host: Option<&HostFacts>) -> anyhow::Result<Option<Judged>> {
    let Some(meta) = &set.meta else { return Ok(None) };
    let ram = FileRam { file: &set.ram, layout: RamLayout::new(meta.vm.memsize) };
    let mut trouble = None;
    let judged = Judged::of_files(
        &set.text,
        (set.kern.len(), set.ram.len()),
        |record| set.bytes(record).map_err(|error| trouble = Some(error)).ok(),
        Some(&ram),
        host,
    );
    trouble.map_or(Ok(judged.ok()), Err)
}

/// Guest memory in a RAM file.
struct FileRam<'a> {
    file: &'a FileInput,
    layout: RamLayout,
}

impl GuestRam for FileRam<'_> {
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Result<(), RamError> {
        let (mut gpa, mut rest) = (gpa, bytes);
        while !rest.is_empty() {
            let inside = |s: &snapfmt::bhyve::Segment| gpa.wrapping_sub(s.gpa) < s.len;
            let Some(segment) = self.layout.segments().find(inside) else {
                return Err(RamError::Outside { gpa });
            };
            let at = gpa - segment.gpa;
            let left = usize::try_from(segment.len - at).unwrap_or(usize::MAX);
            let (piece, others) = rest.split_at_mut(rest.len().min(left));
            let read = self.file.read_exact_at(piece, segment.offset + at);
            read.map_err(|_| RamError::Unreadable { gpa })?;
            gpa = gpa.saturating_add(piece.len() as u64);
            rest = others;
        }
        Ok(())
    }
}
