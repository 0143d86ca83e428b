//! How wide the screen is.

use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;

use super::state::WIDTH;

/// The columns of a terminal; 80 of what is none, or does not tell.
pub(super) fn width(fd: impl AsFd) -> usize {
    let columns = tcgetwinsize(fd).map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { WIDTH } else { columns }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_terminal_has_80_columns() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(width(file), 80);
    }
}
