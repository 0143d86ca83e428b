//! One module per command, and what they share.

mod help;
mod known;
pub mod man;
pub mod options;
pub mod plan;
pub mod recv;
pub mod resolve;
pub mod send;
mod show;
mod side;
mod start;
pub mod status;
mod vm;
mod words;

/// Program and version, as the peer is told.
const PRODUCER: &str = concat!("migrate ", env!("CARGO_PKG_VERSION"));

/// Rows as a table, the last column as wide as it is.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_of_a_table_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "b", "c d"], ["äöü", "", "e"]].map(|row| row.map(str::to_owned));
        assert_eq!(super::table(&rows), "a    b  c d\näöü     e\n");
    }
}
