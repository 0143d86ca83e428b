//! Facts go through their file unchanged, and what is no file of facts is refused.

use super::*;

fn some() -> HostFacts {
    HostFacts {
        os: Some("FreeBSD".to_owned()),
        page_size: Some(4096),
        cpu_vendor: Some("GenuineIntel".to_owned()),
        physical_bits: Some(46),
        linear_bits: Some(57),
        xcr0: Some(Hex(0xe7)),
        cr4: Some(Hex(0x3f_27ff)),
        cr4_fixed1: Some(Hex(0xfff_ffff)),
        entry_ctls: Some(Hex(0x00ff_ffff_0000_11fb)),
        unknown: [("exit_ctls".to_owned(), "MSRs are for root".to_owned())].into(),
        ..HostFacts::new()
    }
}

#[test]
fn facts_go_through_their_file_unchanged() {
    for facts in [HostFacts::new(), some()] {
        let text = facts.to_json();
        assert_eq!(HostFacts::parse(text.as_bytes()).unwrap(), facts, "{text}");
    }
    assert!(some().to_json().contains(r#""xcr0": "0xe7""#));
}

#[test]
fn a_file_that_leaves_facts_out_is_one() {
    assert_eq!(HostFacts::parse(br#"{"schema": 1}"#).unwrap(), HostFacts::new());
}

#[test]
fn what_is_no_file_of_facts_is_refused() {
    let refused = |text: &str| HostFacts::parse(text.as_bytes()).unwrap_err();
    for text in ["", "[]", "{}", r#"{"schema":1,"xcr1":"0x1"}"#, r#"{"schema":1,"schema":1}"#] {
        assert!(matches!(refused(text), HostError::Json(_)), "{text}");
    }
    for number in ["7", r#""7""#, r#""0x""#, r#""0x+7""#, r#""0x1ffffffffffffffff""#, r#""-0x1""#] {
        let text = format!(r#"{{"schema":1,"xcr0":{number}}}"#);
        assert!(matches!(refused(&text), HostError::Json(_)), "{text}");
    }
    assert_eq!(refused(r#"{"schema":2,"new":3}"#), HostError::Schema(2));
    assert_eq!(refused(&" ".repeat(MOST_BYTES + 1)), HostError::TooLong);
}

#[test]
fn facts_that_no_cpu_has_are_refused() {
    for (text, fact) in [
        (r#"{"schema":1,"physical_bits":64}"#, "physical_bits"),
        (r#"{"schema":1,"linear_bits":49}"#, "linear_bits"),
        (r#"{"schema":1,"page_size":0}"#, "page_size"),
        (r#"{"schema":1,"xcr0":"0x6"}"#, "xcr0"),
    ] {
        let error = HostFacts::parse(text.as_bytes()).unwrap_err();
        assert!(matches!(error, HostError::Value { name, .. } if name == fact), "{error}");
    }
}

#[test]
fn a_vendor_counts_by_what_its_cpus_speak() {
    let of =
        |name: &str| HostFacts { cpu_vendor: Some(name.to_owned()), ..HostFacts::new() }.vendor();
    assert_eq!(of("GenuineIntel"), Some(Vendor::Intel));
    assert_eq!(of("HygonGenuine"), Some(Vendor::Amd));
    assert_eq!(of("CentaurHauls"), None);
}

#[test]
fn a_control_is_held_against_both_halves_of_its_msr() {
    let allowed = some().entry_controls().unwrap();
    assert_eq!(allowed, Allowed { must: 0x11fb, may: 0xff_ffff });
    assert_eq!(allowed.objection(0x93ff), None);
    let objection = allowed.objection(0x0100_93fe).unwrap();
    assert_eq!(objection, Forbidden { missing: 1, excess: 0x0100_0000 });
    assert!(allowed.objection(0x1_0000_93ff).is_some());
}

#[test]
fn a_guest_may_have_the_bits_of_cr4_that_cpu_and_vmx_agree_on() {
    assert_eq!(some().guest_cr4(), Some(0x3f_27ff));
    let only = HostFacts { cr4: None, ..some() };
    assert_eq!(only.guest_cr4(), Some(0xfff_ffff));
    assert_eq!(HostFacts::new().guest_cr4(), None);
}

#[test]
fn a_fact_that_is_not_known_has_a_reason() {
    assert_eq!(some().why_unknown("exit_ctls"), "MSRs are for root");
    assert_eq!(some().why_unknown("asids"), "the facts of the host do not tell");
}
