//! `.meta`, as the libxo of FreeBSD writes it.

use std::fmt::Write as _;

use snapfmt::bhyve::Section;

use super::record::Record;

/// The text: the machine, and where in `.kern` each record is.
pub(super) fn text(name: &str, ncpus: u32, memory: u64, records: &[Record]) -> String {
    let name = serde_json::Value::from(name);
    let mut text = format!(
        "{{\n  \"basic metadata\": {{\n    \"ncpus\": {ncpus},\n    \"vmname\": {name},\n    \
         \"memsize\": {memory},\n    \"memflags\": 0\n  }}\n,\n"
    );
    let mut offset = 0;
    let mut list = |section: Section| {
        let mut entries = Vec::new();
        for record in records.iter().filter(|record| record.section == section) {
            let (name, size) = (serde_json::Value::from(record.name.as_str()), record.bytes.len());
            entries.push(format!(
                "    {{\n      \"device\": {name},\n      \"size\": {size},\n      \
                 \"file_offset\": {offset}\n    }}"
            ));
            offset += size;
        }
        entries.join(",\n")
    };
    let (kern, devices) = (list(Section::Kern), list(Section::Device));
    // Writing to a string cannot fail.
    let _ =
        writeln!(text, "  \"kern_structs\": [\n{kern}\n  ],\n  \"devices\": [\n{devices}\n  ]}}");
    text
}
