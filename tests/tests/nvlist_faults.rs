//! Each fault of a packed list alone, with the byte that it is found at, and what it says.

// A test may stop at what it does not expect, in its helpers too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use snapfmt::limits::{NVLIST_DEPTH, NVLIST_NAME};
use snapfmt::nvlist::{Errno, Error, ErrorKind, Flags, Nvlist, Options, Type, View};

const BIG: u8 = 0x80;
const NEXT: u8 = 254;
const UP: u8 = 255;

const NUMBERED: Flags = Flags { ignore_case: false, no_unique: true };

/// A list header; `left` bytes follow it.
fn header(left: usize) -> Vec<u8> {
    [&b"l\0\0\0\0\0\0\0\0\0\0"[..], &(left as u64).to_le_bytes()].concat()
}

/// A list of these pieces, in which each header claims what is left of the message.
fn list(pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = [header(0), pieces.concat()].concat();
    let heads: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"l\0\0")).collect();
    for at in heads {
        let left = (bytes.len() - at - 19) as u64;
        bytes[at + 11..at + 19].copy_from_slice(&left.to_le_bytes());
    }
    bytes
}

/// A pair, the name with its NUL.
fn raw(code: u8, name: &[u8], size: u64, items: u64, data: &[u8]) -> Vec<u8> {
    let name_size = u16::try_from(name.len()).unwrap().to_le_bytes();
    [&[code][..], &name_size, &size.to_le_bytes(), &items.to_le_bytes(), name, data].concat()
}

fn pair(code: u8, items: u64, data: &[u8]) -> Vec<u8> {
    raw(code, b"n\0", data.len() as u64, items, data)
}

/// Begins a nested list.
fn nested() -> Vec<u8> {
    [raw(5, b"n\0", 19, 0, b""), header(0)].concat()
}

/// Begins an array of lists.
fn array(items: u64) -> Vec<u8> {
    [raw(11, b"n\0", 0, items, b""), header(0)].concat()
}

fn marker(code: u8) -> Vec<u8> {
    raw(code, b"\0", 0, 0, b"")
}

/// A pair of 21 bytes, so that what follows is at 40.
fn first() -> Vec<u8> {
    raw(1, b"z\0", 0, 0, b"")
}

#[track_caller]
fn refused(bytes: &[u8], options: Options, kind: ErrorKind, at: usize) {
    let error = Error { kind, at };
    assert_eq!(View::parse(bytes, &options).unwrap_err(), error);
    assert_eq!(Nvlist::unpack(bytes, &options), Err(error));
}

/// A fault of the second pair, as far behind that pair's first byte.
#[track_caller]
fn second(pair: Vec<u8>, kind: ErrorKind, behind: usize) {
    refused(&list(&[first(), pair]), Options::new().descriptors(3), kind, 40 + behind);
}

/// Changes of the header at `at` of a sound list, and the faults they are.
#[track_caller]
fn header_faults(sound: &[u8], at: usize) {
    assert!(View::parse(sound, &Options::new()).is_ok());
    let left = (sound.len() - at - 19) as u64;
    let low = left.to_le_bytes()[0];
    let cases = [
        (0, b'm', ErrorKind::Magic { found: b'm' }),
        (1, 1, ErrorKind::Version { found: 1 }),
        (2, 4, ErrorKind::Flags { found: 4 }),
        (3, 1, ErrorKind::Descriptors { claimed: 1, received: 0 }),
        (11, low + 1, ErrorKind::Size { claimed: left + 1, left }),
        (11, low - 1, ErrorKind::Size { claimed: left - 1, left }),
    ];
    for (offset, byte, kind) in cases {
        let mut bytes = sound.to_vec();
        bytes[at + offset] = byte;
        // The field's first byte is the place.
        refused(&bytes, Options::new(), kind, at + offset);
    }
    if at > 0 {
        let mut bytes = sound.to_vec();
        bytes[at + 2] = BIG;
        refused(&bytes, Options::new(), ErrorKind::MixedOrder, at + 2);
    }
    let mut bytes = sound.to_vec();
    bytes[at + 2] = NUMBERED.bits();
    let kind = ErrorKind::CallerFlags { wanted: Flags::default(), found: NUMBERED };
    let throughout = Options::new().any_flags().flags_throughout(Flags::default());
    refused(&bytes, throughout, kind, at + 2);
    let own = View::parse(&bytes, &Options::new());
    assert_eq!(own.is_err(), at == 0, "only the outermost list's flags are its caller's");
    assert!(View::parse(&bytes, &Options::new().any_flags()).is_ok());
}

#[test]
fn a_fault_of_a_list_header_is_found_at_its_field_however_deep_the_list_is() {
    header_faults(&list(&[first()]), 0);
    header_faults(&list(&[nested(), marker(UP), first()]), 40);
    header_faults(&list(&[first(), nested(), nested(), marker(UP), marker(UP)]), 101);
    let two = list(&[first(), array(2), marker(NEXT), header(0), first(), marker(NEXT)]);
    header_faults(&two, 61);
    header_faults(&two, 100);
}

#[test]
fn a_header_that_is_cut_is_found_where_it_begins() {
    for left in 0..19 {
        let kind = ErrorKind::Truncated { wanted: 19, left };
        let left = usize::try_from(left).unwrap();
        refused(&list(&[])[..left], Options::new(), kind, 0);
        if left > 0 {
            refused(&list(&[vec![1; left]]), Options::new(), kind, 19);
            second(vec![1; left], kind, 0);
        }
        let inner = [raw(5, b"n\0", 19, 0, b""), vec![b'x'; left]].concat();
        let kind = ErrorKind::Truncated { wanted: 19, left: left as u64 };
        // The data of a nested list begins with its header.
        let data = raw(5, b"n\0", left as u64, 0, &vec![b'x'; left]);
        if left > 0 {
            second(data, kind, 21);
        }
        second(inner, kind, 21);
    }
}

#[test]
fn a_fault_of_a_pair_is_found_at_its_field() {
    for code in [0, 13, b'l', 253] {
        second(pair(code, 0, b""), ErrorKind::Type { found: code }, 0);
    }
    second(raw(1, b"", 0, 0, b""), ErrorKind::NameSize { found: 0 }, 1);
    let name = |length: usize| [vec![b'n'; length - 1], vec![0]].concat();
    let longest = name(NVLIST_NAME + 1);
    let long = ErrorKind::NameSize { found: 2049 };
    second(raw(1, &name(2049), 0, 0, b""), long, 1);
    let accepted = list(&[first(), raw(1, &longest, 0, 0, b"")]);
    assert_eq!(Nvlist::unpack(&accepted, &Options::new()).unwrap().len(), 2);

    second(raw(1, b"ab", 0, 0, b""), ErrorKind::NameNul, 19);
    second(raw(1, b"a\0b\0", 0, 0, b""), ErrorKind::NameNul, 19);
    let cut = raw(1, b"name\0", 0, 0, b"");
    second(cut[..22].to_vec(), ErrorKind::Truncated { wanted: 5, left: 3 }, 19);
    second(raw(7, b"n\0", 4, 0, b"abc"), ErrorKind::Truncated { wanted: 4, left: 3 }, 21);
    let huge = ErrorKind::Truncated { wanted: u64::MAX, left: 3 };
    second(raw(7, b"name\0", u64::MAX, 0, b"abc"), huge, 24);
}

#[test]
fn a_value_of_another_size_than_its_type_is_found_at_the_size() {
    let wrong = [
        (Type::Null, 0, &[1][..]),
        (Type::Bool, 0, b""),
        (Type::Bool, 0, &[0, 1]),
        (Type::Number, 0, &[0; 7]),
        (Type::Number, 0, &[0; 9]),
        (Type::String, 0, b""),
        (Type::Nvlist, 0, b""),
        (Type::Descriptor, 0, &[0; 9]),
        (Type::Binary, 0, b""),
        (Type::BoolArray, 2, &[0]),
        (Type::BoolArray, 2, &[0; 3]),
        (Type::NumberArray, 2, &[0; 8]),
        (Type::NumberArray, 1, &[0; 9]),
        (Type::StringArray, 3, &[0; 2]),
        (Type::DescriptorArray, 1, &[0; 16]),
    ];
    for (kind, items, data) in wrong {
        let fault = ErrorKind::DataSize { kind, found: data.len() as u64 };
        second(pair(kind.code(), items, data), fault, 3);
    }
}

#[test]
fn an_array_without_items_or_with_more_than_can_follow_is_found_at_the_count() {
    for kind in [Type::BoolArray, Type::NumberArray, Type::StringArray, Type::DescriptorArray] {
        second(pair(kind.code(), 0, &[0; 8]), ErrorKind::Items { kind, found: 0 }, 11);
    }
    let kind = Type::NvlistArray;
    let lists = |items, left: usize| {
        [raw(11, b"n\0", 0, items, b""), header(0), vec![0; left - 19]].concat()
    };
    second(lists(0, 39), ErrorKind::Items { kind, found: 0 }, 11);
    second(lists(3, 39), ErrorKind::Items { kind, found: 3 }, 11);
    second(lists(2, 37), ErrorKind::Items { kind, found: 2 }, 11);
    // As many as can follow: whether they do is for them to show.
    let open = list(&[first(), array(1)]);
    refused(&open, Options::new(), ErrorKind::Unclosed { open: 1 }, open.len());
}

#[test]
fn a_value_that_its_type_forbids_is_found_at_the_value() {
    second(pair(2, 0, &[2]), ErrorKind::Bool { found: 2 }, 21);
    second(pair(8, 3, &[1, 0, 255]), ErrorKind::Bool { found: 255 }, 23);
    for data in [&b"ab"[..], b"a\0b\0", b"a\0b"] {
        second(pair(4, 0, data), ErrorKind::StringNul, 21);
    }
    for data in [&b"a\0b"[..], b"ab\0", b"a\0b\0\0"] {
        second(pair(10, 2, data), ErrorKind::StringNul, 21);
    }
}

#[test]
fn a_descriptor_that_was_not_received_or_is_used_twice_is_found_at_its_index() {
    let indexes = |all: &[u64]| all.iter().flat_map(|i| i.to_le_bytes()).collect::<Vec<u8>>();
    let out = |found| ErrorKind::DescriptorIndex { found, received: 3 };
    second(pair(6, 0, &indexes(&[3])), out(3), 21);
    second(pair(12, 3, &indexes(&[2, 0, 4])), out(4), 37);
    let twice = ErrorKind::DescriptorTwice { index: 1 };
    second(pair(12, 3, &indexes(&[0, 1, 1])), twice, 37);
    let pairs = [first(), pair(12, 2, &indexes(&[0, 1])), raw(6, b"o\0", 8, 0, &indexes(&[1]))];
    refused(&list(&pairs), Options::new().descriptors(2), twice, 40 + 37 + 21);
    // libnv's indexes are signed.
    let all = Options::new().descriptors(u64::MAX);
    let list = |index| list(&[pair(6, 0, &indexes(&[index]))]);
    let found = i64::MAX.unsigned_abs();
    assert!(View::parse(&list(found), &all).is_ok());
    let kind = ErrorKind::DescriptorIndex { found: found + 1, received: u64::MAX };
    refused(&list(found + 1), all, kind, 40);
}

#[test]
fn a_marker_that_closes_nothing_or_holds_something_is_found_where_it_begins() {
    for code in [NEXT, UP] {
        second(marker(code), ErrorKind::StrayMarker, 0);
        let open = if code == UP { nested() } else { array(1) };
        let at = open.len();
        for contents in [
            raw(code, b"n\0", 0, 0, b""),
            raw(code, b"\0", 1, 0, b"x"),
            raw(code, b"\0", 0, 1, b""),
        ] {
            second([open.clone(), contents].concat(), ErrorKind::MarkerContents, at);
        }
        let other = [open.clone(), marker(if code == UP { NEXT } else { UP })].concat();
        second(other, ErrorKind::StrayMarker, at);
        let twice = [open, marker(code), marker(code)].concat();
        second(twice, ErrorKind::StrayMarker, at + 20);
    }
}

#[test]
fn lists_that_are_not_closed_are_counted_at_the_end() {
    let other = || [raw(5, b"o\0", 19, 0, b""), header(0)].concat();
    for open in 1..4 {
        let bytes = list(&[first(), nested().repeat(open), marker(UP), other()]);
        let kind = ErrorKind::Unclosed { open: open as u64 };
        refused(&bytes, Options::new(), kind, bytes.len());
    }
    let bytes = list(&[array(2), marker(NEXT), header(0)]);
    refused(&bytes, Options::new(), ErrorKind::Unclosed { open: 1 }, bytes.len());
}

#[test]
fn a_name_used_twice_is_found_at_its_second_pair() {
    let twice = [pair(1, 0, b""), pair(3, 0, &[0; 8])];
    refused(&list(&twice), Options::new(), ErrorKind::Duplicate, 40);
    let inside = [first(), nested(), twice.concat(), marker(UP)];
    refused(&list(&inside), Options::new(), ErrorKind::Duplicate, 40 + 40 + 21);
    // Each list has names of its own.
    let apart = [first(), nested(), first(), marker(UP), raw(1, b"y\0", 0, 0, b"")];
    assert!(View::parse(&list(&apart), &Options::new()).is_ok());
    // As in libnv, the header of a list is looked at before its name.
    let mut bytes = list(&[pair(1, 0, b""), nested(), marker(UP)]);
    refused(&bytes, Options::new(), ErrorKind::Duplicate, 40);
    bytes[62] = 9;
    refused(&bytes, Options::new(), ErrorKind::Version { found: 9 }, 62);
}

#[test]
fn elements_of_an_array_are_as_deep_as_nested_lists() {
    let levels = NVLIST_DEPTH - 1;
    let deep = |levels| list(&[array(1).repeat(levels), marker(NEXT).repeat(levels)]);
    assert!(View::parse(&deep(levels), &Options::new()).is_ok());
    // A second element is no deeper than the first.
    let twice = [array(1).repeat(levels - 1), array(2), marker(NEXT), header(0)];
    let twice = list(&[twice.concat(), marker(NEXT).repeat(levels)]);
    assert!(View::parse(&twice, &Options::new()).is_ok());
    let what = "lists inside each other";
    let (found, limit) = (levels as u64 + 2, NVLIST_DEPTH as u64);
    let kind = ErrorKind::OverLimit { what, found, limit };
    refused(&deep(levels + 1), Options::new(), kind, 40 * (levels + 1));
}

#[test]
fn each_fault_has_a_sentence_of_its_own() {
    let kind = Type::NumberArray;
    let (ignoring, plain) = (Flags { ignore_case: true, no_unique: true }, Flags::default());
    let sentences = [
        (ErrorKind::Truncated { wanted: 9, left: 8 }, "9 bytes wanted, 8 left"),
        (ErrorKind::Magic { found: 7 }, "no list header (its first byte is 0x07)"),
        (ErrorKind::Version { found: 7 }, "list version 7, only 0 is known"),
        (ErrorKind::Flags { found: 0x40 }, "unknown list flags 0x40"),
        (ErrorKind::MixedOrder, "byte order changes inside the message"),
        (ErrorKind::Size { claimed: 5, left: 4 }, "list header claims 5 more bytes, there are 4"),
        (
            ErrorKind::Descriptors { claimed: 2, received: 1 },
            "list header claims 2 descriptors, 1 received",
        ),
        (
            ErrorKind::CallerFlags { wanted: plain, found: ignoring },
            "list flags are 0x3, 0x0 expected",
        ),
        (ErrorKind::Type { found: 13 }, "unknown pair type 13"),
        (ErrorKind::NameSize { found: 0 }, "name size 0"),
        (ErrorKind::NameTooLong { found: 2048 }, "name of 2048 bytes"),
        (ErrorKind::NameNul, "name not terminated by its only NUL"),
        (ErrorKind::DataSize { kind, found: 7 }, "data size 7 of a number_array"),
        (ErrorKind::Items { kind, found: 0 }, "0 items in a number_array"),
        (ErrorKind::Bool { found: 2 }, "bool value 2"),
        (ErrorKind::StringNul, "strings not terminated as counted"),
        (ErrorKind::DescriptorIndex { found: 3, received: 2 }, "descriptor index 3 of 2"),
        (ErrorKind::DescriptorTwice { index: 1 }, "descriptor 1 used twice"),
        (ErrorKind::StrayMarker, "end marker that closes nothing"),
        (ErrorKind::MarkerContents, "end marker with contents"),
        (ErrorKind::Unclosed { open: 2 }, "2 lists still open at the end"),
        (ErrorKind::Duplicate, "name used twice"),
        (ErrorKind::HasDescriptors, "a list with descriptors can only be sent, not packed"),
        (ErrorKind::OverLimit { what: "size", found: 3, limit: 2 }, "size: 3, the limit is 2"),
    ];
    for (kind, sentence) in sentences {
        let error = Error { kind, at: 0x1f };
        assert_eq!(error.to_string(), format!("{sentence} at 0x1f of the list"));
    }
}

#[test]
fn each_fault_has_the_error_number_of_libnv() {
    let flags = Flags::default();
    let numbers = [
        (ErrorKind::NameNul, Some((Errno::Einval, "EINVAL"))),
        (ErrorKind::Duplicate, Some((Errno::Eexist, "EEXIST"))),
        (ErrorKind::CallerFlags { wanted: flags, found: flags }, Some((Errno::Eilseq, "EILSEQ"))),
        (ErrorKind::NameTooLong { found: 1 }, Some((Errno::Enametoolong, "ENAMETOOLONG"))),
        (ErrorKind::HasDescriptors, Some((Errno::Eopnotsupp, "EOPNOTSUPP"))),
        (ErrorKind::OverLimit { what: "", found: 1, limit: 0 }, None),
    ];
    for (kind, number) in numbers {
        let error = Error { kind, at: 0 };
        assert_eq!(error.errno().map(|errno| (errno, errno.name())), number);
    }
}
