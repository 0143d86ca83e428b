//! Good states pass.

use tests::fixtures::fixtures;

use crate::fixture::Fixture;

#[test]
fn no_fixture_fails_and_nearly_nothing_warns() {
    for name in fixtures() {
        let report = Fixture::of(name).check(None, None);
        let failing: Vec<_> = report.failing().map(ToString::to_string).collect();
        assert!(failing.is_empty(), "{name}: {failing:#?}");
        for warning in report.warnings() {
            eprintln!("{name}: {warning}");
        }
    }
}
