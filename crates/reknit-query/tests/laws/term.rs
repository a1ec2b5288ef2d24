//! Random terms, each written twice: for us and for SQLite.

use super::choices::Choices;
use super::data;
use reknit_types::Value;

/// A term in both languages.
#[derive(Clone)]
pub(crate) struct Written {
    pub(crate) ours: String,
    pub(crate) theirs: String,
}

impl Written {
    pub(crate) fn same(text: impl Into<String>) -> Self {
        let ours = text.into();
        Self { theirs: ours.clone(), ours }
    }

    /// `$0`, `$1` in `form` stand for the parts.
    pub(crate) fn form(form: &str, parts: &[&Written]) -> Self {
        Self::forms(form, form, parts)
    }

    pub(crate) fn forms(ours: &str, theirs: &str, parts: &[&Written]) -> Self {
        let (mut ours, mut theirs) = (ours.to_owned(), theirs.to_owned());
        for (nth, part) in parts.iter().enumerate() {
            ours = ours.replace(&format!("${nth}"), &part.ours);
            theirs = theirs.replace(&format!("${nth}"), &part.theirs);
        }
        Self { ours, theirs }
    }
}

/// What kind of value a term has. Operators are only written for kinds that both databases define alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Whole,
    Number,
    Text,
    Any,
}

/// A field that terms may name.
#[derive(Clone)]
pub(crate) struct Field {
    pub(crate) written: Written,
    pub(crate) kind: Kind,
}

pub(crate) struct Terms<'c> {
    pub(crate) choices: &'c mut Choices,
    pub(crate) fields: Vec<Field>,
    /// Written `{0}`, `{1}` until the query is whole.
    pub(crate) params: Vec<Value>,
}

impl Terms<'_> {
    fn field(&mut self, kinds: &[Kind]) -> Written {
        let fits: Vec<Field> =
            self.fields.iter().filter(|field| kinds.contains(&field.kind)).cloned().collect();
        if fits.is_empty() {
            return Written::same("NULL");
        }
        fits[self.choices.below(fits.len())].written.clone()
    }

    /// A constant, sometimes as a parameter.
    pub(crate) fn constant(&mut self, value: Value) -> Written {
        if self.choices.rarely(3) {
            self.params.push(value);
            return Written::same(format!("{{{}}}", self.params.len() - 1));
        }
        match &value {
            Value::Null => Written::same("NULL"),
            // `IS DISTINCT FROM TRUE` asks SQLite for a truth, not for the number 1.
            Value::Bool(true) => Written { ours: "TRUE".to_owned(), theirs: "(1)".to_owned() },
            Value::Bool(false) => Written { ours: "FALSE".to_owned(), theirs: "(0)".to_owned() },
            Value::Text(text) => Written::same(format!("'{}'", text.replace('\'', "''"))),
            Value::Bytes(bytes) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                Written::same(format!("X'{hex}'"))
            }
            Value::Int(i64::MIN) => Written::same("-9223372036854775808"),
            Value::Int(value) if *value < 0 => Written::same(format!("({value})")),
            Value::Float(value) => Written::same(format!("({value:?})")),
            other => Written::same(other.to_string()),
        }
    }

    pub(crate) fn any(&mut self, depth: usize) -> Written {
        match self.choices.below(5) {
            0 => self.field(&[Kind::Whole, Kind::Number, Kind::Text, Kind::Any]),
            1 => self.number(depth),
            2 => self.text(depth),
            3 => {
                let value = data::any(self.choices);
                self.constant(value)
            }
            _ => self.field(&[Kind::Any]),
        }
    }

    pub(crate) fn number(&mut self, depth: usize) -> Written {
        if depth == 0 {
            return match self.choices.below(4) {
                0 => self.field(&[Kind::Whole]),
                1 => self.field(&[Kind::Whole, Kind::Number]),
                2 => {
                    let value = data::whole(self.choices);
                    self.constant(value)
                }
                _ => {
                    let value = if self.choices.rarely(4) {
                        Value::Int(self.choices.one_of(&[i64::MAX, i64::MIN, 1 << 53, 1_000_000_007]))
                    } else {
                        data::float(self.choices)
                    };
                    self.constant(value)
                }
            };
        }
        match self.choices.below(10) {
            0..=2 => self.number(0),
            3..=6 => {
                let form = self.choices.one_of(&[
                    "($0 + $1)",
                    "($0 - $1)",
                    "($0 * $1)",
                    "($0 / $1)",
                    "($0 % $1)",
                    "$0 - $1 * 2",
                ]);
                // The parts of a form without parentheses must bind tighter themselves.
                let (left, right) = (self.number(depth - 1), self.number(depth - 1));
                let wrapped = |part: &Written| Written::form("($0)", &[part]);
                Written::form(form, &[&wrapped(&left), &wrapped(&right)]).wrapped()
            }
            7 => Written::form("LENGTH($0)", &[&self.text(depth - 1)]),
            8 => Written::form("ABS($0)", &[&self.field(&[Kind::Whole, Kind::Number])]),
            _ => {
                let (when, then, otherwise) =
                    (self.condition(depth - 1), self.number(depth - 1), self.number(depth - 1));
                Written::form("CASE WHEN $0 THEN $1 ELSE $2 END", &[&when, &then, &otherwise]).wrapped()
            }
        }
    }

    pub(crate) fn text(&mut self, depth: usize) -> Written {
        if depth == 0 || self.choices.below(2) == 0 {
            if self.choices.below(3) > 0 {
                return self.field(&[Kind::Text]);
            }
            let value = data::text(self.choices);
            return self.constant(value);
        }
        let inner = self.text(depth - 1);
        match self.choices.below(5) {
            0 => Written::form("LOWER($0)", &[&inner]),
            1 => Written::form("UPPER($0)", &[&inner]),
            2 => Written::form("($0 || $1)", &[&inner, &self.text(depth - 1)]),
            3 => Written::form("COALESCE($0, $1)", &[&inner, &self.text(depth - 1)]),
            _ => Written::form("NULLIF($0, $1)", &[&inner, &self.text(depth - 1)]),
        }
    }

    /// A field and something of its kind, so that comparisons find something.
    fn pair(&mut self, depth: usize) -> (Written, Written) {
        match self.choices.below(4) {
            0 => {
                let value = data::whole(self.choices);
                (self.field(&[Kind::Whole]), self.constant(value))
            }
            1 => {
                let value = data::text(self.choices);
                (self.field(&[Kind::Text]), self.constant(value))
            }
            2 => {
                let value = data::any(self.choices);
                (self.field(&[Kind::Any]), self.constant(value))
            }
            _ => (self.any(depth), self.any(depth)),
        }
    }

    pub(crate) fn condition(&mut self, depth: usize) -> Written {
        if depth > 0 && self.choices.below(2) == 1 {
            return match self.choices.below(5) {
                0 | 1 => {
                    Written::form("($0 AND $1)", &[&self.condition(depth - 1), &self.condition(depth - 1)])
                }
                2 => Written::form("($0 OR $1)", &[&self.condition(depth - 1), &self.condition(depth - 1)]),
                3 => Written::form(
                    "$0 AND NOT $1 OR $2",
                    &[
                        &self.condition(depth - 1).wrapped(),
                        &self.condition(depth - 1).wrapped(),
                        &self.condition(depth - 1).wrapped(),
                    ],
                )
                .wrapped(),
                _ => Written::form("NOT ($0)", &[&self.condition(depth - 1)]).wrapped(),
            };
        }
        let not = self.choices.one_of(&["", "NOT "]);
        match self.choices.below(12) {
            0..=3 => {
                let op = self.choices.one_of(&["=", "<>", "!=", "<", "<=", ">", ">="]);
                let (left, right) = self.pair(depth.min(1));
                Written::form(&format!("$0 {op} $1"), &[&left, &right])
            }
            4 => Written::form(&format!("$0 IS {not}NULL"), &[&self.any(0)]),
            5 => {
                let (left, right) = self.pair(0);
                Written::form(&format!("$0 IS {not}DISTINCT FROM $1"), &[&left, &right])
            }
            6 => {
                let (left, first) = self.pair(0);
                let others = [self.any(0), self.any(0)];
                let list = match self.choices.below(3) {
                    0 => "($1)",
                    1 => "($1, $2)",
                    _ => "($1, $2, $3)",
                };
                Written::form(&format!("$0 {not}IN {list}"), &[&left, &first, &others[0], &others[1]])
            }
            7 => {
                let (left, low) = self.pair(0);
                let high = self.any(0);
                Written::form(&format!("$0 {not}BETWEEN $1 AND $2"), &[&left, &low, &high])
            }
            8 => self.like(not),
            9 => {
                let (text, words) =
                    (self.text(0), self.choices.one_of(&["rain", "COLD rain", "a", "ed", ""]));
                Written::forms(&format!("MATCH($0, '{words}')"), &format!("words($0, '{words}')"), &[&text])
            }
            10 => {
                let truth = self.choices.one_of(&["TRUE", "FALSE"]);
                let inner = self.condition(depth.min(1)).wrapped();
                Written::form(&format!("$0 IS {not}{truth}"), &[&inner])
            }
            _ => self.number(0).wrapped(),
        }
    }

    fn like(&mut self, not: &str) -> Written {
        let text = self.text(0);
        let pattern = self
            .choices
            .one_of(&["a%", "%b", "%ai%", "ab", "_b%", "%", "a!%b", "", "rain%", "r%n", "B", "%_"]);
        let (ours, theirs) = match self.choices.below(3) {
            0 => (format!("$0 {not}LIKE '{pattern}'"), format!("$0 {not}LIKE '{pattern}'")),
            1 => {
                let escaped = format!("$0 {not}LIKE '{pattern}' ESCAPE '!'");
                (escaped.clone(), escaped)
            }
            _ => (format!("$0 {not}ILIKE '{pattern}'"), format!("LOWER($0) {not}LIKE LOWER('{pattern}')")),
        };
        Written::forms(&ours, &theirs, &[&text])
    }
}

impl Written {
    pub(crate) fn wrapped(&self) -> Self {
        Self::form("($0)", &[self])
    }
}
