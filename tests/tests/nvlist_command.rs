//! Lists shown to people, described as JSON, and made from descriptions.

// A test may stop at what it does not expect, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::{Value as Json, json};
use snapfmt::limits::NVLIST_DEPTH;
use snapfmt::nvlist::{Flags, Nvlist, Options, View};
use snaptool::cmd::nvlist::{
    Binaries, DescriptionFault, describe, parse_description, parse_text, show,
};
use tests::vectors::{Vector, load};

/// The valid vectors: their bytes, how to read them, and what is said of them.
fn vectors() -> Vec<(Vec<u8>, Options, Json)> {
    let vector = |vector: Vector| {
        let received = vector.json["nfds"].as_u64().unwrap();
        (vector.bytes, Options::new().any_flags().descriptors(received), vector.json)
    };
    load("valid.jsonl").into_iter().map(vector).collect()
}

fn shown(view: &View<'_>) -> String {
    let mut out = Vec::new();
    show(view, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn fails(json: Json) -> String {
    parse_description(&json).unwrap_err().to_string()
}

fn one(pair: Json) -> Json {
    json!({ "flags": 0, "pairs": [pair] })
}

#[test]
fn a_description_packs_into_the_list_it_describes() {
    for (bytes, options, vector) in vectors() {
        let view = View::parse(&bytes, &options).unwrap();
        let described = describe(&view, Binaries::Full);
        let list = parse_description(&described).unwrap();
        assert_eq!(list, view.to_nvlist(), "{}", vector["name"]);
        let packed = list.pack_to_send().unwrap();
        if vector["repack"] == "identical" {
            assert_eq!(packed, bytes, "{}", vector["name"]);
        }
        let again = View::parse(&packed, &options).unwrap();
        assert_eq!(describe(&again, Binaries::Full), described, "{}", vector["name"]);
    }
}

#[test]
fn the_descriptions_of_the_vectors_pack_into_their_bytes() {
    for (bytes, _, vector) in vectors() {
        match parse_description(&vector["nvlist"]) {
            Err(error) => {
                assert!(matches!(error.fault, DescriptionFault::DigestOnly), "{}", vector["name"]);
                assert_eq!(vector["name"].as_str().unwrap().split("_").next(), Some("binary"));
            }
            Ok(list) if vector["repack"] == "identical" => {
                assert_eq!(list.pack_to_send().unwrap(), bytes, "{}", vector["name"]);
            }
            Ok(_) => {}
        }
    }
}

#[test]
fn keys_are_written_in_the_order_of_the_format() {
    let list = Nvlist::builder().number("n", 1).string(b"\xff", b"\xfe").pack().unwrap();
    let view = View::parse(&list, &Options::new()).unwrap();
    assert_eq!(
        describe(&view, Binaries::Full).to_string(),
        concat!(
            r#"{"flags":0,"pairs":[{"name":"n","type":"number","value":"1"},"#,
            r#"{"name_hex":"ff","type":"string","value_hex":"fe"}]}"#
        )
    );
}

#[test]
fn a_list_is_shown_as_a_tree() {
    let cpu = Nvlist::builder().number("id", 0).boolean("online", true);
    let flags = Flags { ignore_case: true, no_unique: false };
    let list = Nvlist::builder()
        .string("name", "vm0")
        .number("mem", 4096)
        .null("none")
        .nvlist_array("cpus", [cpu.build().unwrap(), Nvlist::new()])
        .nvlist("opts", Nvlist::with_flags(flags))
        .binary("blob", (0..=69).collect::<Vec<u8>>())
        .number_array("many", 0..20)
        .string_array("args", ["-a", "b c"])
        .pack()
        .unwrap();
    let view = View::parse(&list, &Options::new()).unwrap();
    insta::assert_snapshot!(shown(&view), @r##"
    nvlist
      "name": string "vm0"
      "mem": number 4096 (0x1000)
      "none": null
      "cpus": nvlist_array of 2
        [0]
          "id": number 0
          "online": bool true
        [1] (empty)
      "opts": nvlist (ignores case)
      "blob": binary of 70 bytes
        000000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  ................
        000010  10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f  ................
        000020  20 21 22 23 24 25 26 27 28 29 2a 2b 2c 2d 2e 2f   !"#$%&'()*+,-./
        000030  30 31 32 33 34 35 36 37 38 39 3a 3b 3c 3d 3e 3f  0123456789:;<=>?
        … 6 more bytes
      "many": number_array of 20: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 … 4 more
      "args": string_array of 2: "-a" "b c"
    "##);
}

#[test]
fn nothing_shown_can_act_on_a_terminal() {
    let nasty = "\u{1b}[2J\r\n\u{7}\u{9b}0m\u{202e}\u{200b}\u{0301}\"";
    let list = Nvlist::builder()
        .string(nasty, nasty)
        .string("bytes", b"ok\xff\x9b\xc3")
        .string_array("array", [nasty])
        .binary("blob", nasty)
        .pack()
        .unwrap();
    let text = shown(&View::parse(&list, &Options::new()).unwrap());
    assert!(text.chars().all(|c| c == '\n' || c == ' ' || c.is_ascii_graphic()), "{text:?}");
    assert!(text.contains(r#""\u{1b}[2J\r\n\u{7}\u{9b}0m\u{202e}"#), "{text}");
    assert!(text.contains(r#""ok\xff\x9b\xc3""#), "{text}");
}

#[test]
fn every_vector_is_shown_in_bounded_lines() {
    for (bytes, options, vector) in vectors() {
        let text = shown(&View::parse(&bytes, &options).unwrap());
        let longest = text.lines().map(str::len).max().unwrap();
        assert!(longest < 16 * 1024, "{}: {longest}", vector["name"]);
    }
}

#[test]
fn what_is_wrong_with_a_description_is_said_with_its_place() {
    assert_eq!(fails(json!([])), "an object wanted");
    assert_eq!(fails(json!({ "flags": 0 })), "no \"pairs\"");
    assert_eq!(fails(json!({ "flags": 4, "pairs": [] })), "a number from 0 to 3 wanted at /flags");
    assert_eq!(
        fails(one(json!({ "name": "a", "type": "int", "value": 1 }))),
        "unknown type \"int\" at /pairs/0/type"
    );
    assert_eq!(
        fails(one(json!({ "name": "a", "type": "bool_array", "value": [true, 1] }))),
        "true or false wanted at /pairs/0/value/1"
    );
    assert_eq!(
        fails(one(json!({ "name": "a", "type": "number", "value": "+1" }))),
        "an unsigned 64-bit number in decimal wanted at /pairs/0/value"
    );
    assert_eq!(
        fails(one(json!({ "name": "a", "type": "null", "value": 1 }))),
        "unknown key \"value\" at /pairs/0"
    );
    assert_eq!(
        fails(one(json!({ "name": "a", "type": "binary", "value_hex": "abc" }))),
        "pairs of hexadecimal digits wanted at /pairs/0/value_hex"
    );
    let twice = json!({ "name": "a", "type": "null" });
    assert_eq!(
        fails(json!({ "flags": 0, "pairs": [twice, twice] })),
        "name used twice at /pairs/1"
    );
    assert_eq!(
        fails(one(json!({ "name": "l", "type": "nvlist", "value": one(json!({})) }))),
        "no \"name\" at /pairs/0/value/pairs/0"
    );
}

#[test]
fn a_description_nested_too_deep_is_refused_in_so_many_words() {
    let mut deep = json!({ "flags": 0, "pairs": [] });
    for _ in 1..NVLIST_DEPTH {
        deep = one(json!({ "name": "", "type": "nvlist", "value": deep }));
    }
    assert!(parse_description(&deep).is_ok());
    let text = deep.to_string();
    deep = one(json!({ "name": "", "type": "nvlist", "value": deep }));
    let error = fails(deep);
    assert!(error.starts_with("nested more than 128 lists deep at /pairs/0/value/"), "{error}");

    // The JSON reader gives up earlier.
    let error = parse_text(&text).unwrap_err().to_string();
    assert_eq!(error, "nested more than 127 brackets deep");
    let open = "[".repeat(1 << 20);
    assert!(matches!(parse_text(&open).unwrap_err().fault, DescriptionFault::TooDeep { .. }));
    let quoted = format!("\"{open}\\\"{open}");
    assert!(matches!(parse_text(&quoted).unwrap_err().fault, DescriptionFault::Json(_)));
}

#[test]
fn forty_lists_inside_each_other_fit_into_json_text() {
    let mut list = Nvlist::new();
    for _ in 0..40 {
        list = Nvlist::builder().nvlist("in", list).build().unwrap();
    }
    let bytes = list.pack().unwrap();
    let view = View::parse(&bytes, &Options::new()).unwrap();
    let text = describe(&view, Binaries::Full).to_string();
    assert_eq!(parse_text(&text).unwrap(), list);
}
