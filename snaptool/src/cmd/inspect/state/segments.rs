//! Segments and descriptor tables, whose access rights are in the format of VMX.

use snapfmt::state::Scope;

use super::super::table::Table;
use super::page::Page;

const SEGMENTS: [[&str; 4]; 8] = [
    ["CS", "CS.base", "CS.limit", "CS.access"],
    ["SS", "SS.base", "SS.limit", "SS.access"],
    ["DS", "DS.base", "DS.limit", "DS.access"],
    ["ES", "ES.base", "ES.limit", "ES.access"],
    ["FS", "FS.base", "FS.limit", "FS.access"],
    ["GS", "GS.base", "GS.limit", "GS.access"],
    ["TR", "TR.base", "TR.limit", "TR.access"],
    ["LDTR", "LDTR.base", "LDTR.limit", "LDTR.access"],
];

/// Access rights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access(pub(super) u64);

impl Access {
    const fn bit(self, bit: u32) -> bool {
        self.0 >> bit & 1 == 1
    }

    pub(super) const fn dpl(self) -> u64 {
        self.0 >> 5 & 3
    }

    /// Code of 64 bits.
    pub(super) const fn long(self) -> bool {
        self.bit(13)
    }

    /// Operands of 32 bits.
    pub(super) const fn big(self) -> bool {
        self.bit(14)
    }

    pub(super) const fn unusable(self) -> bool {
        self.bit(16)
    }

    /// The type in words.
    fn kind(self) -> String {
        let kind = self.0 & 15;
        if !self.bit(4) {
            return match kind {
                2 => "LDT".to_owned(),
                1 => "TSS16 available".to_owned(),
                3 => "TSS16 busy".to_owned(),
                9 => "TSS available".to_owned(),
                11 => "TSS busy".to_owned(),
                other => format!("system {other}"),
            };
        }
        let mut words = vec![match (self.bit(3), self.bit(1)) {
            (true, true) => "code exec/read",
            (true, false) => "code exec",
            (false, true) => "data read/write",
            (false, false) => "data read",
        }];
        if self.bit(2) {
            words.push(if self.bit(3) { "conforming" } else { "expand-down" });
        }
        if self.bit(0) {
            words.push("accessed");
        }
        words.join(" ")
    }

    fn flags(self) -> String {
        if self.unusable() {
            return "unusable".to_owned();
        }
        let names = [(7, "P"), (12, "AVL"), (13, "L"), (14, "D/B"), (15, "G")];
        let set = names.iter().filter(|(bit, _)| self.bit(*bit)).map(|(_, name)| *name);
        let mut words: Vec<_> = set.collect();
        if !self.bit(7) {
            words.insert(0, "not present");
        }
        words.join(" ")
    }
}

/// Shows all segments and tables that a slot has.
pub(super) fn render(slot: Scope<'_, '_>, page: &mut Page) {
    let heading = ["", "sel", "base", "limit", "dpl", "type", ""];
    let mut table = Table::new(&heading, &[false, true, true, true, true, false, false]);
    for [selector, base, limit, access] in SEGMENTS {
        let all = [selector, base, limit, access].map(|key| slot.u64(key));
        if let [Some(value), Some(base), Some(limit), Some(access)] = all {
            let access = Access(access);
            table.row([
                selector.to_owned(),
                format!("{value:#06x}"),
                format!("{base:#x}"),
                format!("{limit:#x}"),
                access.dpl().to_string(),
                if access.unusable() { String::new() } else { access.kind() },
                access.flags(),
            ]);
        }
    }
    for (name, base, limit) in
        [("GDTR", "GDTR.base", "GDTR.limit"), ("IDTR", "IDTR.base", "IDTR.limit")]
    {
        if let (Some(base), Some(limit)) = (slot.u64(base), slot.u64(limit)) {
            let (base, limit) = (format!("{base:#x}"), format!("{limit:#x}"));
            let none = String::new;
            table.row([name.to_owned(), none(), base, limit, none(), none(), none()]);
        }
    }
    if slot.get("CS.access").is_some() {
        page.line("segments");
        page.table(&table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_rights_of_manuals_have_their_words() {
        for (access, kind, flags) in [
            (0xa09b, "code exec/read accessed", "P L G"),
            (0xc093, "data read/write accessed", "P D/B G"),
            (0x8b, "TSS busy", "P"),
            (0x82, "LDT", "P"),
            (0x1_0000, "system 0", "unusable"),
            (0x9f, "code exec/read conforming accessed", "P"),
            (0x16, "data read/write expand-down", "not present"),
        ] {
            assert_eq!(
                (Access(access).kind().as_str(), Access(access).flags().as_str()),
                (kind, flags)
            );
        }
        assert_eq!((Access(0xc0f3).dpl(), Access(0xa09b).long()), (3, true));
    }
}
