//! `snaptool host-facts`: facts that a file keeps.

use snapfmt::state::HostFacts;

use crate::kit::Bench;

#[test]
fn facts_of_this_host_are_a_file_that_can_be_read_again() {
    let bench = Bench::in_memory();
    bench.sh("$S host-facts -q -o host.json").silent(0);
    let facts = HostFacts::parse(&bench.read("host.json")).unwrap();
    assert!(facts.os.is_some() && facts.machine.is_some());
    assert!(facts.page_size.is_some_and(|size| size >= 4096));
    if cfg!(target_arch = "x86_64") {
        assert!(facts.cpu_vendor.is_some() && facts.physical_bits.is_some());
        // PAE and SSE are older than long mode.
        assert!(facts.cr4.is_some_and(|mask| mask.0 & 0x620 == 0x620));
        assert!(facts.efer.is_some_and(|mask| mask.0 & 0x500 == 0x500));
    }
    let printed = bench.run("host-facts");
    assert_eq!(printed.code(), Some(0));
    assert_eq!(HostFacts::parse(printed.stdout.as_bytes()).unwrap(), facts);
    for name in facts.unknown.keys() {
        assert!(printed.stderr.contains(name), "{}", printed.stderr);
    }
    let again = bench.run("host-facts -q -o host.json");
    assert_eq!(again.code(), Some(2));
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
    bench.sh("$S host-facts -q -f -o host.json").silent(0);
}
