//! `content`, the identity of a machine state, whatever the file it is in (§8.2).

use crate::digest::{Digest, Hasher};
use crate::part::device::RecordId;
use crate::part::vm::Vm;

const DOMAIN: [u8; 32] = *b"bhyve snapshot content\0\0\0\0\0\0\0\0\0\0";

/// The identity of the state of `vm` with this memory and these records, in any order.
#[must_use]
pub fn content<'a>(
    vm: &Vm,
    memory_root: &Digest,
    records: impl IntoIterator<Item = &'a RecordId>,
) -> Digest {
    let mut records: Vec<_> = records.into_iter().collect();
    records.sort_by(|a, b| (&a.section, &a.name).cmp(&(&b.section, &b.name)));
    let mut hasher = Hasher::new();
    let number = |hasher: &mut Hasher, number: u64| hasher.update(&number.to_le_bytes());
    hasher.update(&DOMAIN);
    number(&mut hasher, vm.arch.len() as u64);
    hasher.update(vm.arch.as_bytes());
    hasher.update(memory_root.as_bytes());
    number(&mut hasher, vm.ncpus);
    number(&mut hasher, vm.memory.segments().len() as u64);
    for segment in vm.memory.segments() {
        number(&mut hasher, segment.gpa);
        number(&mut hasher, segment.len);
    }
    number(&mut hasher, records.len() as u64);
    for record in records {
        for text in [&record.section, &record.name] {
            number(&mut hasher, text.len() as u64);
            hasher.update(text.as_bytes());
        }
        number(&mut hasher, record.size);
        hasher.update(record.sha256.as_bytes());
    }
    hasher.finish()
}
