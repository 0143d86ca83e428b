//! INDEX, and the identities in it (§7.1, §8.2).

use snapfmt::nvlist::Nvlist;

use super::seen::{Entry, Seen};
use super::{DEVICE, Hash, PAGE, bytes, sha, text, value};
use crate::packed::{self, Order};

impl Seen<'_> {
    /// The list of INDEX (§7.1). Of the one before is taken what does not follow from the file.
    pub(super) fn index_list(&self, old: &[u8]) -> Vec<u8> {
        let root = self.memory_root(old);
        let data = self.extents.iter().map(|entry| entry.data).sum::<u64>();
        let zero = self.extents.iter().map(|entry| entry.zero).sum::<u64>();
        let len = |sum: u64, segment: &(u64, u64)| sum.wrapping_add(segment.1);
        let pages = self.machine.segments.iter().fold(0, len) / PAGE as u64;
        let parts = self.parts.iter().take(2048).map(|(kind, placed, list)| {
            let mut part = Nvlist::builder()
                .number("type", u64::from(*kind))
                .number("offset", placed.at)
                .number("length", placed.length)
                .binary("digest", placed.digest);
            if *kind == DEVICE {
                let digest = bytes(list, "sha256");
                part = part
                    .string("section", text(list, "section"))
                    .string("name", text(list, "name"))
                    .number("size", value(list, "size"))
                    .binary("sha256", if digest.is_empty() { &[0] } else { digest });
            }
            part
        });
        let rest = pages.saturating_sub(data);
        let list = Nvlist::builder()
            .binary("header", self.header)
            .binary("content", self.content(&root))
            .binary("memory_root", root)
            .number("pages_data", data)
            .number("pages_zero", if self.delta { zero } else { rest });
        let list = if self.delta {
            let list = list.binary("delta_root", self.tree_root());
            list.number("pages_inherited", rest.saturating_sub(zero))
        } else {
            list
        };
        let list = list
            .number("extents", self.extents.len() as u64)
            .number("stored", self.stored)
            .nvlist_array("parts", parts.collect::<Vec<_>>());
        // A text with a NUL has no place in a list, nor has an array without elements.
        list.build().map_or_else(|_| vec![0; 19], |list| packed::pack(&list, Order::Little))
    }

    /// The memory root of the state: by its pages, or, of a delta without its parent, as stated.
    pub(super) fn memory_root(&self, stated: &[u8]) -> Hash {
        if !self.delta {
            return self.tree_root();
        }
        let stated = || bytes(stated, "memory_root").try_into().unwrap_or_default();
        self.state.as_ref().map_or_else(stated, |state| state.root(&self.machine.segments))
    }

    /// The root of the tree of the file alone.
    pub(super) fn tree_root(&self) -> Hash {
        let block = |e: &Entry| (e.gpa / PAGE as u64, (e.size.max(1).ilog2().max(12) - 12, e.root));
        self.tree.root(&self.extents.iter().map(block).collect())
    }

    /// §8.2.
    pub(super) fn content(&self, root: &Hash) -> Hash {
        let mut bytes = b"bhyve snapshot content".to_vec();
        bytes.resize(32, 0);
        bytes.extend((self.machine.arch.len() as u64).to_le_bytes());
        bytes.extend(&self.machine.arch);
        bytes.extend(root);
        let mut numbers = vec![self.machine.ncpus, self.machine.segments.len() as u64];
        numbers.extend(self.machine.segments.iter().flat_map(|(gpa, len)| [*gpa, *len]));
        let devices = self.parts.iter().filter(|part| part.0 == DEVICE);
        let mut records: Vec<_> =
            devices.map(|(_, _, list)| (text(list, "section"), text(list, "name"), list)).collect();
        records.sort();
        numbers.push(records.len() as u64);
        bytes.extend(numbers.into_iter().flat_map(u64::to_le_bytes));
        for (section, name, list) in records {
            for text in [section, name] {
                bytes.extend((text.len() as u64).to_le_bytes());
                bytes.extend(text);
            }
            bytes.extend(value(list, "size").to_le_bytes());
            bytes.extend(self::bytes(list, "sha256"));
        }
        sha(&[&bytes])
    }
}
