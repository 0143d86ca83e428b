//! The nvlists of header block and parts (§1.3): the pairs of each are the fields of a struct
//! beside what it describes, in the order of the spec. The lists of a migration stream have the
//! same form.

use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::limits;
use crate::nvlist::{self, ByteOrder, Flags, Options, View, from_view, to_nvlist};

/// Packs the list that `pairs` stands for.
///
/// # Errors
/// What a list cannot hold, and more pairs than §1.3.6 allows.
pub fn pack(pairs: &impl Serialize) -> Result<Vec<u8>, Fault> {
    let list = to_nvlist(pairs)?;
    let (found, limit) = (list.counted() as u64, limits::SNAPSHOT_PAIRS as u64);
    if found > limit {
        let what = "the number of pairs and elements in the nvlist";
        return Err(Fault::OverLimit { what, found, limit });
    }
    Ok(list.pack()?)
}

/// A list in exactly the form that current libnv packs, without flags and descriptors (§1.3).
///
/// libnv reads more forms than it writes. Here one list has one form, so that two readers cannot
/// take two views of it, and nothing can hide in what both ignore.
///
/// # Errors
/// A list in another form.
pub fn view(list: &[u8]) -> Result<View<'_>, Fault> {
    let options = Options::new().flags_throughout(Flags::default()).pairs(limits::SNAPSHOT_PAIRS);
    let view = View::parse(list, &options)?;
    if view.byte_order() == ByteOrder::Big {
        return Err(Fault::Pair("the list is big-endian (§1.3)".to_owned()));
    }
    if view.to_nvlist().pack()? != list {
        return Err(Fault::Pair("the list is not as current libnv packs it (§1.3.1)".to_owned()));
    }
    Ok(view)
}

/// Reads a packed list. Whether it may have pairs that `T` does not know is for `T` to say.
///
/// # Errors
/// A list in another form, and one that does not have the pairs that `T` wants.
pub fn read<'a, T: Deserialize<'a>>(list: &'a [u8]) -> Result<T, Fault> {
    from(view(list)?)
}

/// Reads a list whose form was checked.
pub(crate) fn from<'a, T: Deserialize<'a>>(view: View<'a>) -> Result<T, Fault> {
    Ok(from_view(view)?)
}

impl From<nvlist::serde::Error> for Fault {
    fn from(error: nvlist::serde::Error) -> Self {
        match error.kind {
            nvlist::serde::ErrorKind::Nvlist(error) => Self::Nvlist(error),
            _ => Self::Pair(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;
    use crate::layout::header::Header;
    use crate::layout::kind::Kind;
    use crate::memory::bitmap::Bitmap;
    use crate::memory::block::Block;
    use crate::memory::map::{MemoryMap, Segment};
    use crate::nvlist::{Builder, Nvlist};
    use crate::part::Encoded;
    use crate::part::codec::Compression;
    use crate::part::config::{ConfigFile, ConfigText};
    use crate::part::device::{Record, RecordId};
    use crate::part::extent::{Extent, StreamForm};
    use crate::part::index::{Index, PartRef, Totals};
    use crate::part::map::MapTable;
    use crate::part::meta::MetaText;
    use crate::part::vm::{AMD64, Vm};

    fn vm() -> Vm {
        let segments =
            vec![Segment { gpa: 0, len: 1 << 20 }, Segment { gpa: 1 << 32, len: 1 << 16 }];
        let memory = MemoryMap::new(segments).unwrap();
        Vm { arch: AMD64.to_owned(), name: "vm0".to_owned(), ncpus: 2, memflags: 1, memory }
    }

    fn vm_list() -> Builder {
        Nvlist::builder()
            .string("arch", "amd64")
            .string("name", "vm0")
            .number("ncpus", 2)
            .number("memsize", (1 << 20) + (1 << 16))
            .number("memflags", 1)
            .number_array("gpa", [0, 1 << 32])
            .number_array("len", [1 << 20, 1 << 16])
    }

    #[test]
    fn a_list_has_as_many_pairs_and_elements_as_its_limit_and_no_more() {
        #[derive(Serialize)]
        struct Texts {
            texts: Vec<String>,
        }
        let packed = |count| pack(&Texts { texts: vec!["t".to_owned(); count] }).map(|_| ());
        let limit = limits::SNAPSHOT_PAIRS;
        assert_eq!(packed(limit - 1), Ok(()));
        let what = "the number of pairs and elements in the nvlist";
        let (found, limit) = (limit as u64 + 1, limit as u64);
        assert_eq!(packed(limits::SNAPSHOT_PAIRS), Err(Fault::OverLimit { what, found, limit }));
    }

    #[track_caller]
    fn assert_list(part: &Encoded<'_>, list: Builder) {
        let (found, wanted) = (part.nvlist(), list.pack().unwrap());
        assert_eq!(hex::encode(found), hex::encode(wanted));
    }

    #[test]
    fn small_parts_have_the_pairs_of_the_spec_in_its_order() {
        assert_list(&vm().encode().unwrap(), vm_list());
        let meta = MetaText { generation: 'B', text: vec![] };
        assert_list(&meta.encode().unwrap(), Nvlist::builder().string("generation", "B"));
        let map = MapTable { first: 3, entries: vec![] };
        assert_list(
            &map.encode().unwrap(),
            Nvlist::builder().number("first", 3).number("count", 0),
        );

        let file = |role: &str, sha256| {
            let (role, path) = (role.to_owned(), "p".to_owned());
            ConfigFile { role, path, size: 1, sha256 }
        };
        let pairs = |role| Nvlist::builder().string("role", role).string("path", "p");
        let files = vec![file("bootrom", Some(Digest::of(b""))), file("disk", None)];
        let kind = "bhyve-config".to_owned();
        let config = ConfigText { kind, text: vec![], files };
        let rom = pairs("bootrom").number("size", 1).binary("sha256", *Digest::of(b"").as_bytes());
        let list = Nvlist::builder().string("kind", "bhyve-config");
        let lists = [rom, pairs("disk").number("size", 1)];
        assert_list(&config.encode().unwrap(), list.clone().nvlist_array("files", lists));
        let config = ConfigText { files: vec![], ..config };
        assert_list(&config.encode().unwrap(), list);
    }

    #[test]
    fn records_and_extents_have_the_pairs_of_the_spec_in_its_order() {
        let id = RecordId::of("devices", "uart", &[0; 999]);
        let list = |encoding: &str| {
            Nvlist::builder()
                .string("section", "devices")
                .string("name", "uart")
                .number("size", 999)
                .binary("sha256", *id.sha256.as_bytes())
                .string("encoding", encoding)
        };
        for (compression, name) in [(Compression::None, "raw"), (Compression::Zstd(1), "zstd")] {
            assert_list(&Record::encode(&id, &[0; 999], compression).unwrap(), list(name));
        }

        let mut data = Bitmap::new(16);
        data.set(3);
        let map = vm().memory;
        let block = Block { gpa: 0, size: 1 << 16, data, pages: vec![7; 4096] };
        let list =
            Nvlist::builder().number("gpa", 0).number("size", 1 << 16).binary("data", [8, 0]);
        let leaf = *crate::memory::tree::leaf(&[7; 4096]).as_bytes();
        let (raw, root) = Extent::encode(&block, &map, Compression::None).unwrap();
        assert_list(&raw, list.clone().string("encoding", "raw").binary("leaves", leaf));
        let (small, _) = Extent::encode(&block, &map, Compression::Zstd(1)).unwrap();
        let list = list.string("encoding", "zstd").binary("root", *root.as_bytes());
        assert_list(&small, list.clone().binary("leaves", leaf));
        let form = StreamForm { compression: Compression::Zstd(1), leaves: false };
        assert_list(&Extent::encode(&block, &map, form).unwrap().0, list);
    }

    #[test]
    fn header_and_index_have_the_pairs_of_the_spec_in_its_order() {
        let header = Header {
            producer: "p".to_owned(),
            uuid: "01234567-89ab-cdef-0123-456789abcdef".to_owned(),
            vm_name: "vm0".to_owned(),
            vm_uuid: Some("89abcdef-89ab-cdef-0123-456789abcdef".to_owned()),
            created: 5,
            parent: None,
            incompatible: Vec::new(),
            compatible: vec!["b".to_owned(), "c".to_owned()],
        };
        let list = Nvlist::builder()
            .string("producer", "p")
            .string("uuid", "01234567-89ab-cdef-0123-456789abcdef")
            .string("vm_name", "vm0")
            .string("vm_uuid", "89abcdef-89ab-cdef-0123-456789abcdef")
            .number("created", 5)
            .string_array("compatible", ["b", "c"])
            .pack()
            .unwrap();
        assert!(header.encode().unwrap().0[68..].starts_with(&list));

        let digest = Digest::of(b"");
        let bytes = *digest.as_bytes();
        let part = |kind, record| PartRef { kind, offset: 64, length: 128, digest, record };
        let pairs = |kind: Kind| {
            let list = Nvlist::builder().number("type", kind.number().into());
            list.number("offset", 64).number("length", 128).binary("digest", bytes)
        };
        let id = RecordId::of("devices", "uart", b"");
        let device = pairs(Kind::Device)
            .string("section", "devices")
            .string("name", "uart")
            .number("size", 0)
            .binary("sha256", bytes);
        let index = Index {
            header: digest,
            content: digest,
            memory_root: digest,
            totals: Totals { pages_data: 1, pages_zero: 2, extents: 3, stored: 4 },
            delta: None,
            parts: vec![part(Kind::Vm, None), part(Kind::Device, Some(id))],
            maps: vec![],
        };
        let list = Nvlist::builder()
            .binary("header", bytes)
            .binary("content", bytes)
            .binary("memory_root", bytes)
            .number("pages_data", 1)
            .number("pages_zero", 2)
            .number("extents", 3)
            .number("stored", 4)
            .nvlist_array("parts", [pairs(Kind::Vm), device]);
        assert_list(&index.encode().unwrap(), list);
    }

    #[test]
    fn what_is_wrong_with_pairs_is_said_with_their_path() {
        let read = |list: Builder| Vm::from_nvlist(&list.pack().unwrap()).unwrap_err();
        let fault = |text: &str| Fault::Pair(text.to_owned());
        assert_eq!(Vm::from_nvlist(&vm_list().pack().unwrap()), Ok(vm()));
        assert_eq!(read(Nvlist::builder()), fault("pair \"arch\": absent"));
        let arch = || Nvlist::builder().string("arch", "amd64");
        let list = arch().number("name", 1);
        assert_eq!(read(list), fault("pair \"name\": string wanted, number found"));
        let list = arch().string("name", b"\xff");
        assert_eq!(read(list), fault("pair \"name\": string wanted, not UTF-8"));
        let Fault::Pair(text) = read(vm_list().null("new")) else { panic!("another fault") };
        assert!(text.starts_with("unknown pair \"new\" of type null at 0x"), "{text}");
        let flags = Flags { ignore_case: true, no_unique: false };
        assert_eq!(read(Builder::with_flags(flags)).id(), "nvlist");
        // Of a list that libnv packed on a big-endian machine, only the header is needed.
        let big = [b'l', 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Vm::from_nvlist(&big), Err(fault("the list is big-endian (§1.3)")));
    }

    #[test]
    fn text_with_a_nul_is_refused_where_it_would_be_written() {
        let fault = Vm { name: "a\0b".to_owned(), ..vm() }.encode().unwrap_err();
        assert_eq!(fault.id(), "nvlist");
    }
}
