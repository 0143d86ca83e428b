//! The LPC bridge with its serial ports: `lpc`.

use snapfmt::state::Scope;

use super::View;
use super::bits::{IER, LSR, MCR, MSR, register};
use super::page::Page;

/// Shows all serial ports.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    for uart in view.root.groups("uarts") {
        page.head(&format!("COM{}", u64::from(uart.index()) + 1));
        self::uart(uart, page);
    }
}

fn uart(uart: Scope<'_, '_>, page: &mut Page) {
    let number = |key: &str| uart.u64(key).unwrap_or_default();
    let divisor = number("sc->dll") | number("sc->dlh") << 8;
    page.pair("line", line(divisor, number("sc->lcr")));
    page.pair("interrupts", register(number("sc->ier"), IER));
    page.pair(
        "modem",
        format!(
            "MCR {}; MSR {}",
            register(number("sc->mcr"), MCR),
            register(number("sc->msr"), MSR)
        ),
    );
    page.pair("status", register(number("sc->lsr"), LSR));
    let (held, room) = (number("sc->rxfifo.num"), number("sc->rxfifo.size"));
    let on = if number("sc->fcr") & 1 == 1 { "on" } else { "off" };
    page.pair("FIFO", format!("{on}, {held} of {room} characters not yet read"));
}

/// `115200 baud, 8N1`.
fn line(divisor: u64, control: u64) -> String {
    let parity = match control >> 3 & 7 {
        1 => 'O',
        3 => 'E',
        5 => 'M',
        7 => 'S',
        _ => 'N',
    };
    let (bits, stop) = ((control & 3) + 5, (control >> 2 & 1) + 1);
    let baud = 115_200_u64.checked_div(divisor);
    let baud = baud.map_or_else(|| "divisor 0".to_owned(), |baud| format!("{baud} baud"));
    let latch = if control >> 7 & 1 == 1 { ", divisor latch open" } else { "" };
    format!("{baud}, {bits}{parity}{stop}{latch}")
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_line_is_said_as_on_a_terminal() {
        assert_eq!(line(1, 3), "115200 baud, 8N1");
        assert_eq!(line(12, 0x9e), "9600 baud, 7E2, divisor latch open");
        assert_eq!(line(0, 3), "divisor 0, 8N1");
    }
}
