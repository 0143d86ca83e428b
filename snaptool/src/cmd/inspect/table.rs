//! Columns that line up.

use std::io::{self, Write};

/// Rows of cells, the first row being the heading.
pub(in crate::cmd) struct Table {
    /// Which columns are numbers, and so stand at the right.
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with one column for each of `right`.
    pub(in crate::cmd) fn new(heading: &[&str], right: &[bool]) -> Self {
        let right = right.to_vec();
        Self { right, rows: vec![heading.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub(in crate::cmd) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Prints the table, indented. Nothing is printed of a table without rows.
    pub(in crate::cmd) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.rows.len() < 2 {
            return Ok(());
        }
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, &width), &right) in row.iter().zip(&widths).zip(&self.right) {
                let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
                line.push_str("  ");
                if right {
                    line.push_str(&padding);
                }
                line.push_str(cell);
                if !right {
                    line.push_str(&padding);
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Names with their values, one to a line, the values in one column.
pub(in crate::cmd) fn pairs<'a>(
    pairs: impl IntoIterator<Item = (&'a str, String)>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for (name, value) in pairs {
        writeln!(out, "  {name:<12}  {value}")?;
    }
    Ok(())
}
