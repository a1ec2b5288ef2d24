//! The timeline in plain text: three strands, one of which leaves the others and is knit in again.

use super::record::{Moment, Outcome, What, Who};
use crate::clock::precise;
use crate::view::short;
use std::time::Duration;

/// The lines of the picture.
pub(super) fn draw(moments: &[Moment], outcome: &Outcome) -> Vec<String> {
    let mut canvas = Canvas::new();
    for moment in moments {
        canvas.moment(moment, outcome);
    }
    canvas.lines(moments)
}

/// Rows of characters, drawn from left to right.
struct Canvas {
    rows: Vec<Vec<char>>,
    /// The row each strand is in, in the order of [`Who::ALL`].
    lanes: [usize; 3],
    /// Where the next moment begins.
    column: usize,
    /// Where the cut began.
    cut_column: Option<usize>,
}

impl Canvas {
    fn new() -> Self {
        let mut canvas =
            Self { rows: vec![Vec::new(); ROWS], lanes: TOGETHER, column: MARGIN, cut_column: None };
        for who in Who::ALL {
            canvas.write(canvas.lane(who), INDENT, who.name());
        }
        canvas
    }

    fn moment(&mut self, moment: &Moment, outcome: &Outcome) {
        match &moment.what {
            What::Start => self.knot("start", ['●'; 3]),
            What::Meet => self.knot("meet", ['┯', '┿', '┷']),
            What::Share => self.knot("share", ['┯', '┿', '┷']),
            What::Edit { who, letter, .. } => {
                self.put(self.lane(*who), self.column, *letter);
                self.forward(EDIT_COLUMNS);
            }
            What::Cut => self.part(),
            What::Heal => self.join(),
            What::Equal => self.equal(outcome),
        }
    }

    /// Something all three take part in.
    fn knot(&mut self, label: &str, marks: [char; 3]) {
        self.write(LABELS, self.column, label);
        for (who, mark) in Who::ALL.into_iter().zip(marks) {
            self.put(self.lane(who), self.column, mark);
        }
        self.forward(KNOT_COLUMNS);
    }

    /// Cleo's strand leaves the others.
    fn part(&mut self) {
        let (column, from) = (self.column, self.lane(Who::Cleo));
        self.write(LABELS, column, "cut");
        self.put(from, column, '╮');
        (from + 1..APART).for_each(|row| self.put(row, column, '│'));
        self.put(APART, column, '╰');
        self.cut_column = Some(column);
        self.lanes[CLEO] = APART;
        self.forward(EDIT_COLUMNS);
    }

    /// It comes back, and the gap it leaves says for how long it was away.
    fn join(&mut self) {
        let (column, to) = (self.column, TOGETHER[CLEO]);
        self.write(LABELS, column, "heal");
        self.put(to, column, '╭');
        (to + 1..APART).for_each(|row| self.put(row, column, '│'));
        self.put(APART, column, '╯');
        let gap = self.cut_column.map_or(0..0, |cut| cut + 2..column.saturating_sub(1));
        for column in gap {
            self.put(GAP, column, '╌');
        }
        self.lanes[CLEO] = to;
        self.forward(KNOT_COLUMNS);
    }

    fn equal(&mut self, outcome: &Outcome) {
        self.write(LABELS, self.column, if outcome.equal { "equal" } else { "NOT EQUAL" });
        for receipt in &outcome.receipts {
            let mark = format!("◆ {}", short(&receipt.frontier));
            self.write(self.lane(receipt.who), self.column, &mark);
        }
        let healing = format!("in {}", precise(Duration::from_millis(outcome.heal_ms)));
        self.write(APART, self.column, &healing);
    }

    fn lane(&self, who: Who) -> usize {
        self.lanes[who as usize]
    }

    /// Goes on to the right and takes the strands along.
    fn forward(&mut self, columns: usize) {
        for lane in self.lanes {
            for column in self.column + 1..self.column + columns {
                self.put(lane, column, '━');
            }
            if self.at(lane, self.column) == ' ' {
                self.put(lane, self.column, '━');
            }
        }
        self.column += columns;
    }

    fn at(&self, row: usize, column: usize) -> char {
        self.rows[row].get(column).copied().unwrap_or(' ')
    }

    fn put(&mut self, row: usize, column: usize, mark: char) {
        let row = &mut self.rows[row];
        if row.len() <= column {
            row.resize(column + 1, ' ');
        }
        row[column] = mark;
    }

    fn write(&mut self, row: usize, column: usize, text: &str) {
        for (offset, mark) in text.chars().enumerate() {
            self.put(row, column + offset, mark);
        }
    }

    fn lines(self, moments: &[Moment]) -> Vec<String> {
        let rows = self.rows.into_iter().map(|row| row.into_iter().collect::<String>().trim_end().to_owned());
        let seconds = moments.last().map_or(0, |moment| moment.at_ms);
        let legend = format!(
            "{}+ new entity   t text   r register   c counter   d document      {} in all",
            " ".repeat(MARGIN),
            precise(Duration::from_millis(seconds))
        );
        rows.chain([String::new(), legend]).collect()
    }
}

const LABELS: usize = 0;
/// Rows of the strands while all three are connected.
const TOGETHER: [usize; 3] = [1, 2, 3];
const CLEO: usize = Who::Cleo as usize;
/// The row between the two sides of the cut.
const GAP: usize = 3;
/// Cleo's row while she is cut off.
const APART: usize = 4;
const ROWS: usize = 5;
const INDENT: usize = 2;
const MARGIN: usize = 8;
const KNOT_COLUMNS: usize = 8;
const EDIT_COLUMNS: usize = 4;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::demo::record::Receipts;
    use crate::view::EntityView;

    /// A short demo, as it might have gone.
    pub(in crate::demo) fn sample() -> (Vec<Moment>, Outcome) {
        let edit = |who, letter| What::Edit { who, letter, label: format!("{letter} & <label>") };
        let whats = [
            What::Start,
            What::Meet,
            What::Share,
            edit(Who::Ada, '+'),
            What::Cut,
            edit(Who::Ada, 't'),
            edit(Who::Cleo, 'c'),
            edit(Who::Ben, 'd'),
            What::Heal,
            What::Equal,
        ];
        let moments = whats.into_iter().enumerate().map(|(place, what)| Moment {
            at_ms: place as u64 * 100,
            what,
            text: String::new(),
        });
        let entity = EntityView {
            collection: "picnics".into(),
            id: reknit::EntityId::from_bytes([1; 16]),
            deleted: false,
            fields: Default::default(),
            kinds: Default::default(),
        };
        let receipts = Who::ALL.map(|who| Receipts {
            who,
            events: 9,
            frontier: "kq3x7abcdefgh".into(),
            signed_by: Vec::new(),
        });
        let outcome = Outcome {
            equal: true,
            heal_ms: 41,
            met_by_mdns: true,
            receipts: receipts.into(),
            apart_two: entity.clone(),
            apart_one: entity.clone(),
            healed: entity,
        };
        (moments.collect(), outcome)
    }

    #[test]
    fn a_strand_leaves_and_is_knit_in_again() {
        let (moments, outcome) = sample();
        let lines = draw(&moments, &outcome);
        let wanted = "
        start   meet    share       cut             heal    equal
  Ada   ●━━━━━━━┯━━━━━━━┯━━━━━━━+━━━━━━━t━━━━━━━━━━━━━━━━━━━◆ kq3x7abcde
  Ben   ●━━━━━━━┿━━━━━━━┿━━━━━━━━━━━━━━━━━━━━━━━d━━━━━━━━━━━◆ kq3x7abcde
  Cleo  ●━━━━━━━┷━━━━━━━┷━━━━━━━━━━━╮ ╌╌╌╌╌╌╌╌╌╌╌╌╌ ╭━━━━━━━◆ kq3x7abcde
                                    ╰━━━━━━━c━━━━━━━╯       in 41 ms";
        assert_eq!(lines[..5].join("\n"), wanted.trim_start_matches('\n'), "\n{}", lines.join("\n"));
    }
}
