//! Aligned plain tables.

use console::{measure_text_width, truncate_str};

/// Rows under a head, in columns as wide as their widest cell.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column heads.
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|name| name.to_uppercase()).collect()] }
    }

    /// A table without heads: names on the left, what they are on the right.
    pub(crate) fn pairs() -> Self {
        Self { rows: Vec::new() }
    }

    /// Appends a row. Line breaks inside a cell become spaces.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl ToString>) -> &mut Self {
        self.rows.push(cells.into_iter().map(|cell| flat(&cell.to_string())).collect());
        self
    }

    /// The lines of the table, each cut to `width` columns if there is one.
    pub(crate) fn lines(&self, width: Option<usize>) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(|column| self.width_of(column)).collect();
        self.rows.iter().map(|row| line(row, &widths, width)).collect()
    }

    fn width_of(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| measure_text_width(cell)).max().unwrap_or(0)
    }
}

fn line(row: &[String], widths: &[usize], limit: Option<usize>) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        line.push_str(cell);
        let padding = width.saturating_sub(measure_text_width(cell)) + GAP.len();
        line.extend(std::iter::repeat_n(' ', padding));
    }
    let line = line.trim_end();
    limit.map_or_else(|| line.to_owned(), |limit| truncate_str(line, limit, "…").into_owned())
}

/// One line, without what would command a terminal: cells hold what other peers wrote.
pub(crate) fn flat(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// Any number of lines, without what would command a terminal.
pub(crate) fn harmless(text: &str) -> String {
    let lays_out = |char: char| matches!(char, '\n' | '\t');
    text.chars().filter(|char| !char.is_control() || lays_out(*char)).collect()
}

const GAP: &str = "  ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_script_they_are_in() {
        let mut table = Table::new(&["name", "events"]);
        table.row(["music", "12"]).row(["音楽", "7"]);
        assert_eq!(table.lines(None), ["NAME   EVENTS", "music  12", "音楽   7"]);
    }

    #[test]
    fn what_peers_wrote_commands_no_terminal() {
        let mut table = Table::pairs();
        table.row(["\u{1b}[2J\rx"]);
        assert_eq!(table.lines(None), [" [2J x"]);
        assert_eq!(harmless("a\u{1b}]0;b\u{7}\n\tc"), "a]0;b\n\tc");
    }

    #[test]
    fn lines_end_where_the_terminal_does() {
        let mut table = Table::pairs();
        table.row(["a", "a long tale\nof two lines"]);
        assert_eq!(table.lines(None), ["a  a long tale of two lines"]);
        assert_eq!(table.lines(Some(10)), ["a  a long…"]);
    }
}
