//! Good states pass.

use tests::fixtures::fixtures;

use crate::fixture::{Fixture, Memory};

#[test]
fn no_fixture_fails_and_nearly_nothing_warns() {
    for name in fixtures() {
        let memory = Memory::of(name);
        let report = Fixture::of(name).check(Some(&memory), None);
        let failing: Vec<_> = report.failing().map(ToString::to_string).collect();
        assert!(failing.is_empty(), "{name}: {failing:#?}");
        for warning in report.warnings() {
            eprintln!("{name}: {warning}");
        }
    }
}
