//! The list of capabilities in PCI configuration space.

use super::page::Page;
use super::words::number_at;

/// So many fit into what is behind the header; a list that is longer goes in a circle.
const MOST: usize = 48;

/// Shows every capability.
pub(super) fn render(space: &[u8], page: &mut Page) {
    let status = number_at(space, 6, 2).unwrap_or_default();
    if status >> 4 & 1 == 0 {
        return;
    }
    let mut at = number_at(space, 0x34, 1).unwrap_or_default() & !3;
    for _ in 0..MOST {
        if at == 0 {
            return;
        }
        let place = usize::try_from(at).unwrap_or_default();
        let (Some(id), Some(next)) = (number_at(space, place, 1), number_at(space, place + 1, 1))
        else {
            return;
        };
        page.pair("capability", format!("{at:#x}: {}", words(space, place, id)));
        at = next & !3;
    }
    page.pair("capability", "the list goes in a circle");
}

fn words(space: &[u8], at: usize, id: u64) -> String {
    let number = |from, len| number_at(space, at + from, len).unwrap_or_default();
    match id {
        1 => format!("power management, state D{}", number(4, 2) & 3),
        5 => {
            let control = number(2, 2);
            let on = if control & 1 == 1 { "on" } else { "off" };
            let (can, may) = (1 << (control >> 1 & 7), 1 << (control >> 4 & 7));
            let wide = if control >> 7 & 1 == 1 { ", 64-bit" } else { "" };
            format!("MSI {on}, {may} of {can} messages{wide}")
        }
        9 => "vendor-specific".to_owned(),
        0x10 => format!("PCI Express, type {}", number(2, 2) >> 4 & 15),
        0x11 => {
            let control = number(2, 2);
            let on = if control >> 15 == 1 { "on" } else { "off" };
            let masked = if control >> 14 & 1 == 1 { ", all masked" } else { "" };
            let (table, pending) = (number(4, 4), number(8, 4));
            format!(
                "MSI-X {on}{masked}, {} entries in BAR {} at {:#x}, pending bits in BAR {} at \
                 {:#x}",
                (control & 0x7ff) + 1,
                table & 7,
                table & !7,
                pending & 7,
                pending & !7
            )
        }
        other => format!("{other:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(space: &[u8]) -> String {
        let mut page = Page::new(100);
        render(space, &mut page);
        let mut out = Vec::new();
        page.print("", &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_list_in_a_circle_comes_to_an_end() {
        let mut space = [0; 256];
        (space[6], space[0x34], space[0x40], space[0x41]) = (0x10, 0x40, 9, 0x40);
        assert!(shown(&space).ends_with("the list goes in a circle\n"));
    }

    #[test]
    fn a_list_that_leaves_the_space_ends_there() {
        let mut space = [0; 64];
        (space[6], space[0x34]) = (0x10, 0xfc);
        assert_eq!(shown(&space), "");
    }

    #[test]
    fn msi_x_says_where_its_table_is() {
        let mut space = [0; 256];
        (space[6], space[0x34]) = (0x10, 0x40);
        space[0x40..0x4c].copy_from_slice(&[0x11, 0, 2, 0x80, 1, 0, 0, 0, 1, 0x10, 0, 0]);
        let words = "MSI-X on, 3 entries in BAR 1 at 0x0, pending bits in BAR 1 at 0x1000";
        assert!(shown(&space).contains(words), "{}", shown(&space));
    }
}
