//! Aligned tables, plain or as Markdown.

use std::fmt;

/// Rows of cells.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these heads.
    pub(crate) fn new<const N: usize>(heads: [&str; N]) -> Self {
        Self { rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// As Markdown; the first row is the head.
    pub(crate) fn markdown(&self) -> String {
        let mut lines: Vec<String> = self.rows.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
        if let Some(head) = self.rows.first() {
            lines.insert(1, format!("|{}", " --- |".repeat(head.len())));
        }
        lines.join("\n")
    }

    /// The first column is text, the others are numbers if they look like one.
    fn line(row: &[String], widths: &[usize]) -> String {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            if column > 0 && widths.len() > 2 { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let lines: Vec<String> = self.rows.iter().map(|row| Self::line(row, &widths)).collect();
        f.write_str(&lines.join("\n"))
    }
}
