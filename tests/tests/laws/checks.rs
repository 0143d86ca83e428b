//! Laws 1 to 3: digest before parse, every byte is covered, bound before allocate.

use super::*;

#[test]
fn law_1_digest_before_parse_of_nvlists() {
    for kind in KINDS {
        for garbage in [vec![0xff; 300], vec![0; 19], b"l\0\x80".repeat(20)] {
            let file = broken(kind, |piece| {
                piece.packed = Some(garbage.clone());
                piece.nvlist_digest = Some([1; 32]);
                // The nvlist's digest comes first, so that it can be used while a payload arrives.
                piece.payload_digest = Some([2; 32]);
            });
            assert_eq!(digest_rule(&file), "§4.7", "{kind:#x}");
        }
    }
}

#[test]
fn law_1_digest_before_parse_of_payloads() {
    for kind in KINDS.into_iter().filter(|&kind| ![1, 32].contains(&kind)) {
        let file = broken(kind, |piece| {
            piece.payload = vec![0xff; 77];
            piece.payload_digest = Some([1; 32]);
        });
        assert_eq!(digest_rule(&file), "§4.8", "{kind:#x}");
    }
    // Of a raw extent it is the subtree root that covers the payload.
    let file = broken(32, |piece| piece.payload.fill(0xff));
    assert_eq!(digest_rule(&file), "§6.2.8");
}

#[test]
fn law_1_digest_of_the_payload_before_parse_of_the_nvlist() {
    for kind in KINDS.into_iter().filter(|&kind| ![1, 32].contains(&kind)) {
        let file = broken(kind, |piece| {
            piece.packed = Some(vec![0xff; 300]);
            piece.payload.push(0);
            piece.payload_digest = Some([1; 32]);
        });
        assert_eq!(digest_rule(&file), "§4.8", "{kind:#x}");
    }
}

#[test]
fn law_1_digest_before_decompression() {
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    let record = broken(16, |piece| {
        piece.list.set("encoding", Value::Text(b"zstd".to_vec()));
        piece.list.set("size", Value::Number(64 << 20));
        piece.payload.clone_from(&bomb);
        piece.payload_digest = Some([1; 32]);
    });
    assert_eq!(digest_rule(&record), "§4.8");
    let garbage = broken(32, |piece| {
        piece.list.set("encoding", Value::Text(b"zstd".to_vec()));
        piece.list.set("root", Value::Bytes(vec![3; 32]));
        (piece.flags, piece.align) = (0, 1);
        piece.payload = vec![0xff; 100];
        piece.payload_digest = Some([1; 32]);
    });
    assert_eq!(digest_rule(&garbage), "§4.8");
    // A flag that says "raw" does not carry a compressed payload around its digest.
    let smuggled = broken(32, |piece| {
        piece.list.set("encoding", Value::Text(b"zstd".to_vec()));
        piece.list.set("root", Value::Bytes(vec![3; 32]));
        piece.payload = vec![0xff; 100];
    });
    let error = walk(&smuggled).unwrap_err();
    assert!(matches!(error.fault(), Fault::Value { rule: "§6.2.6", .. }), "{error}");
}

#[test]
fn law_1_digest_before_the_fields_of_fixed_structures() {
    let file = with_other().forge();
    for place in places(&file) {
        let (covered, rule) = match place.kind {
            Place::HEADER => (64..4064, "§3.6"),
            Place::TRAILER => (16..96, "§7.3.6"),
            _ => (8..96, "§4.9"),
        };
        // All fields nonsense: sizes, types, versions; only the magic is left.
        let mut damaged = file.clone();
        damaged[place.at + covered.start..place.at + covered.end].fill(0xff);
        assert_eq!(digest_rule(&damaged), rule, "{place:x?}");
    }
}

#[test]
fn law_2_every_byte_is_covered_by_a_digest_or_is_zero_and_checked() {
    for file in [with_other().forge(), small_image(Compression::Zstd(1))] {
        let table = places(&file);
        let mut free = 0;
        for place in &table {
            assert_eq!((place.at, place.at % 64, place.end % 64), (free, 0, 0));
            free = place.end;
            let paddings = [place.nvlist_end..place.payload, place.payload_end..place.end];
            for offset in paddings.into_iter().flatten() {
                assert_eq!(file[offset], 0);
                let mut damaged = file.clone();
                damaged[offset] = 0x80;
                let error = walk(&damaged).unwrap_err();
                assert_eq!((error.fault(), error.at()), (&Fault::Padding, offset as u64));
            }
        }
        assert_eq!(free, file.len());
    }
}

#[test]
fn law_2_reserved_bytes_are_zero_even_where_their_digest_matches() {
    let file = small_image(Compression::None);
    let table = places(&file);
    let (header, trailer) = (&table[0], &table[table.len() - 1]);
    let list = 68 + u32::from_le_bytes(file[64..68].try_into().unwrap()) as usize;
    let reserved = (22..56).chain(60..64).chain(list..4064).map(|offset| (header, offset));
    let reserved = reserved.chain((40..64).map(|offset| (trailer, trailer.at + offset)));
    for (place, offset) in reserved {
        let mut damaged = file.clone();
        damaged[offset] = 1;
        reseal(&mut damaged, place);
        let error = walk(&damaged).unwrap_err();
        assert_eq!((error.fault(), error.at()), (&Fault::Padding, offset as u64), "{error}");
    }
}

#[test]
fn law_3_bound_before_allocate_of_parts() {
    let largest = appetite(&with_other().forge()).0;
    for kind in KINDS {
        for size in [1_u64 << 27, 1 << 32, 1 << 63, u64::MAX] {
            let file = broken(kind, |piece| piece.over.push((24, size.to_le_bytes().to_vec())));
            let (most, end) = appetite(&file);
            assert_eq!(end.unwrap_err().fault().id(), "limit", "{kind:#x}");
            assert!(most <= largest, "{most} bytes wanted for {kind:#x}");
        }
        let file = broken(kind, |piece| piece.over.push((16, vec![0xff; 4])));
        let (most, end) = appetite(&file);
        assert_eq!(end.unwrap_err().fault().id(), "limit", "{kind:#x}");
        assert!(most <= largest, "{most} bytes wanted for {kind:#x}");
    }
}

#[test]
fn law_3_bound_before_allocate_of_lists() {
    const HUGE: u64 = 1 << 40;
    let values = [
        Value::Raw(9, 8 * HUGE, HUGE, vec![0; 8]),
        Value::Raw(9, 8, HUGE, vec![0; 8]),
        Value::Raw(7, HUGE, 0, vec![0; 8]),
        Value::Raw(4, u64::MAX, 0, vec![0; 8]),
        Value::Raw(10, HUGE, HUGE, vec![0; 8]),
        Value::Raw(11, 0, HUGE, vec![0; 8]),
        Value::Raw(11, 0, u64::MAX, vec![0; 8]),
        Value::Raw(8, HUGE, HUGE, vec![0; 8]),
    ];
    for value in values {
        for (kind, name) in [(1, "gpa"), (48, "parts"), (16, "sha256"), (32, "data")] {
            let file = broken(kind, |piece| piece.list.set(name, value.clone()));
            assert_eq!(walk(&file).unwrap_err().fault().id(), "nvlist", "{kind} {value:?}");
        }
    }
}

#[test]
fn law_3_bound_before_allocate_of_what_zstd_claims() {
    // A frame of one segment that states 2^60 bytes, and an empty last block.
    let mut liar = 0xFD2F_B528_u32.to_le_bytes().to_vec();
    liar.push(0b1110_0000);
    liar.extend((1_u64 << 60).to_le_bytes());
    liar.extend([1, 0, 0]);
    let extent = broken(32, |piece| {
        let root = piece.payload_digest.take().unwrap();
        piece.list.set("encoding", Value::Text(b"zstd".to_vec()));
        piece.list.set("root", Value::Bytes(root.to_vec()));
        (piece.flags, piece.align) = (0, 1);
        piece.payload.clone_from(&liar);
    });
    let record = broken(16, |piece| {
        piece.list.set("encoding", Value::Text(b"zstd".to_vec()));
        piece.payload.clone_from(&liar);
    });
    for file in [extent, record] {
        let error = walk(&file).unwrap_err();
        assert_eq!(error.fault(), &Fault::Zstd("the frame states another size"));
    }
}

#[test]
fn law_3_bound_before_allocate_of_a_file_that_claims_to_be_huge() {
    const HUGE: u64 = 1 << 55;
    // Header and parts lie at the bottom, INDEX and trailer at the top; nothing is between.
    let mut long = Vec::new();
    for length in [64, 1 << 40, (1 << 54) - 64, 1 << 54] {
        long.push((0, length));
        long.push((4, length));
    }
    for (part, length) in long {
        let file = forge_with(&Plan::small(), &mut |step| match step {
            Step::Piece(piece) if piece.kind == 48 => {
                piece.list.nth("parts", part).set("length", Value::Number(length));
            }
            Step::Tail(tail) => {
                tail.index_at += HUGE - tail.size;
                tail.size = HUGE;
            }
            _ => {}
        });
        let source = Watched::claiming(&file, HUGE);
        let error = Seeker::open(&source).unwrap().quick(|_| ()).unwrap_err();
        let ReadError::Format(error) = error else { panic!("{error}") };
        assert!(matches!(error.fault(), Fault::Disagree { rule: "§4.11", .. }), "{error}");
        let read: usize = source.reads().iter().map(|&(_, len)| len).sum();
        assert!(read <= file.len(), "{read} bytes read");
    }
}
