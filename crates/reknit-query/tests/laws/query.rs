//! Random queries.

use super::choices::Choices;
use super::term::{Field, Kind, Terms, Written};
use reknit_types::Value;

/// A query in both languages.
pub(crate) struct Asked {
    pub(crate) ours: String,
    pub(crate) ours_without_limit: String,
    pub(crate) theirs: String,
    pub(crate) params: Vec<Value>,
    pub(crate) their_params: Vec<Value>,
    pub(crate) offset: usize,
}

/// What a query reads.
struct From {
    written: Written,
    fields: Vec<Field>,
    /// What tells its rows apart.
    ids: Vec<&'static str>,
}

const ALBUM: &[(&str, Kind)] = &[
    ("title", Kind::Text),
    ("year", Kind::Whole),
    ("rating", Kind::Number),
    ("done", Kind::Whole),
    ("mixed", Kind::Any),
    ("artist", Kind::Text),
    ("id", Kind::Text),
];
const ARTIST: &[(&str, Kind)] =
    &[("name", Kind::Text), ("born", Kind::Whole), ("label", Kind::Text), ("id", Kind::Text)];

fn fields(alias: &str, of: &[(&str, Kind)]) -> Vec<Field> {
    of.iter()
        .map(|(name, kind)| Field { written: Written::same(format!("{alias}{name}")), kind: *kind })
        .collect()
}

fn field(ours: &str, theirs: &str, kind: Kind) -> Field {
    Field { written: Written { ours: ours.to_owned(), theirs: theirs.to_owned() }, kind }
}

/// A field that is read through references or inside a document.
fn paths(alias: &str) -> Vec<Field> {
    let ours = |path: &str| format!("{alias}{path}");
    let document =
        |path: &str, json: &str, kind| field(&ours(path), &format!("json_extract(a.tracks, '{json}')"), kind);
    vec![
        field(&ours("artist.name"), "r1.name", Kind::Text),
        field(&ours("artist.born"), "r1.born", Kind::Whole),
        field(&ours("artist.label.name"), "r2.name", Kind::Text),
        field(&ours("artist.label.size"), "r2.size", Kind::Whole),
        document("tracks.0.title", "$[0].title", Kind::Text),
        document("tracks.0.n", "$[0].n", Kind::Any),
        document("tracks.1.\"n\"", "$[1].n", Kind::Any),
    ]
}

const REFERENCES: &str = " LEFT JOIN artists r1 ON r1.id = a.artist LEFT JOIN labels r2 ON r2.id = r1.label";

fn from(choices: &mut Choices) -> (From, &'static [&'static str]) {
    let with = |extra: &str, aliases: &[(&str, &[(&str, Kind)])], ids: Vec<&'static str>| From {
        written: Written { ours: extra.to_owned(), theirs: extra.to_owned() },
        fields: aliases.iter().flat_map(|(alias, of)| fields(alias, of)).collect(),
        ids,
    };
    let left = choices.one_of(&["", "LEFT ", "INNER "]);
    match choices.below(8) {
        0..=2 => {
            let mut from = with("albums", &[("", ALBUM)], vec!["id"]);
            for field in &mut from.fields {
                field.written.theirs = format!("a.{}", field.written.theirs);
            }
            from.fields.extend(paths(""));
            from.written.theirs = format!("albums a{REFERENCES}");
            from.ids = vec!["a.id"];
            (from, &[])
        }
        3 => {
            let mut from = with("albums a", &[("a.", ALBUM)], vec!["a.id"]);
            from.fields.extend(paths("a."));
            from.written.theirs = format!("albums a{REFERENCES}");
            (from, &[])
        }
        4 => {
            let sql = format!("albums a {left}JOIN artists b ON a.artist = b.id");
            (
                with(&sql, &[("a.", ALBUM), ("b.", ARTIST)], vec!["a.id"]),
                &["a.year > b.born", "b.name <> 'a'", "b.name = 'a'", "b.name IS NULL"],
            )
        }
        5 => {
            let sql = format!("artists b {left}JOIN albums a ON a.artist = b.id");
            (
                with(&sql, &[("a.", ALBUM), ("b.", ARTIST)], vec!["b.id", "a.id"]),
                &["a.year > b.born", "a.done"],
            )
        }
        6 => {
            let sql = format!("albums a {left}JOIN albums c ON c.year = a.year");
            (
                with(&sql, &[("a.", ALBUM), ("c.", ALBUM)], vec!["a.id", "c.id"]),
                &["c.id <> a.id", "c.title = 'a'"],
            )
        }
        _ => {
            let sql = format!(
                "artists b {left}JOIN albums a ON a.artist = b.id {left}JOIN artists d ON d.id = a.artist"
            );
            let fields = [("a.", ALBUM), ("b.", ARTIST), ("d.", ARTIST)];
            (with(&sql, &fields, vec!["b.id", "a.id"]), &["d.born = b.born"])
        }
    }
}

impl Asked {
    pub(crate) fn generate(choices: &mut Choices) -> Self {
        let (mut from, residual) = from(choices);
        if !residual.is_empty() && choices.rarely(3) {
            let condition = choices.one_of(residual);
            from.written = Written::form(&format!("$0 AND {condition}"), &[&from.written]);
        }
        let shape = choices.below(4);
        let terms = Terms { choices, fields: from.fields.clone(), params: vec![] };
        let writer = Writer { terms, from, filter: None };
        match shape {
            0 | 1 => writer.rows(),
            2 => writer.groups(),
            _ => writer.distinct(),
        }
    }
}

struct Writer<'c> {
    terms: Terms<'c>,
    from: From,
    filter: Option<Written>,
}

impl Writer<'_> {
    fn items(&mut self) -> Vec<Written> {
        let count = 1 + self.terms.choices.below(3);
        (0..count).map(|_| self.terms.any(1)).collect()
    }

    fn filter(&mut self) {
        if self.terms.choices.below(4) > 0 {
            self.filter = Some(self.terms.condition(2));
        }
    }

    /// `ORDER BY`, with what breaks ties here written out for SQLite.
    fn order(&mut self, keys: &[Written], ties: &[Written]) -> Written {
        let (mut ours, mut theirs, mut direction) = (vec![], vec![], "");
        for key in keys {
            direction = self.terms.choices.one_of(&["", " ASC", " DESC"]);
            let nulls = self.terms.choices.one_of(&["", "", " NULLS FIRST", " NULLS LAST"]);
            ours.push(format!("{}{direction}{nulls}", key.ours));
            theirs.push(format!("{}{direction}{nulls}", key.theirs));
        }
        theirs.extend(ties.iter().filter(not_constant).map(|tie| format!("{}{direction}", tie.theirs)));
        let clause = |keys: Vec<String>| {
            if keys.is_empty() { String::new() } else { format!(" ORDER BY {}", keys.join(", ")) }
        };
        Written { ours: clause(ours), theirs: clause(theirs) }
    }

    fn rows(mut self) -> Asked {
        let items = self.items();
        self.filter();
        let count = self.terms.choices.below(3);
        let keys: Vec<_> = (0..count).map(|_| self.terms.any(0)).filter(|key| not_constant(&key)).collect();
        let ties: Vec<_> = self.from.ids.iter().map(|id| Written::same(*id)).collect();
        let order = self.order(&keys, &ties);
        self.finish("", &items, &Written::same(""), &order)
    }

    fn distinct(mut self) -> Asked {
        let items = self.items();
        self.filter();
        let count = self.terms.choices.below(items.len() + 1);
        let keys: Vec<_> = items.iter().take(count).filter(not_constant).cloned().collect();
        let order = self.order(&keys, &items);
        self.finish("DISTINCT ", &items, &Written::same(""), &order)
    }

    fn groups(mut self) -> Asked {
        let count = self.terms.choices.below(3);
        let keys: Vec<_> = (0..count).map(|_| self.terms.any(0)).filter(|key| not_constant(&key)).collect();
        let aggregates: Vec<_> = (0..=self.terms.choices.below(3)).map(|_| self.aggregate()).collect();
        let items: Vec<_> = keys.iter().chain(&aggregates).cloned().collect();
        self.filter();
        let mut group = Written::same("");
        if !keys.is_empty() {
            let list = |side: fn(&Written) -> &str| keys.iter().map(side).collect::<Vec<_>>().join(", ");
            group = Written { ours: list(|key| &key.ours), theirs: list(|key| &key.theirs) };
            group = Written::form(" GROUP BY $0", &[&group]);
        }
        if self.terms.choices.rarely(3) {
            let aggregate = self.aggregate();
            let op = self.terms.choices.one_of(&[">", "<=", "="]);
            let value = self.terms.choices.below(4);
            group = Written::form(&format!("$0 HAVING $1 {op} {value}"), &[&group, &aggregate]);
        }
        let ordered: Vec<_> = items.iter().take(self.terms.choices.below(items.len() + 1)).cloned().collect();
        let order = self.order(&ordered, &keys);
        self.finish("", &items, &group, &order)
    }

    fn aggregate(&mut self) -> Written {
        let number = |terms: &mut Terms<'_>| {
            terms
                .fields
                .iter()
                .filter(|field| matches!(field.kind, Kind::Whole | Kind::Number))
                .cloned()
                .collect::<Vec<_>>()
        };
        let numbers = number(&mut self.terms);
        let number = numbers[self.terms.choices.below(numbers.len())].written.clone();
        let all = self.terms.fields.clone();
        let any = all[self.terms.choices.below(all.len())].written.clone();
        match self.terms.choices.below(9) {
            0 | 1 => Written::same("COUNT(*)"),
            2 => Written::form("COUNT($0)", &[&any]),
            3 => Written::form("COUNT(DISTINCT $0)", &[&any]),
            4 => Written::form("SUM($0)", &[&number]),
            5 => Written::form("AVG($0)", &[&number]),
            6 => Written::form("MIN($0)", &[&any]),
            7 => Written::form("MAX($0)", &[&any]),
            _ => Written::form("SUM(DISTINCT $0) + COUNT(*)", &[&number]),
        }
    }

    fn finish(self, distinct: &str, items: &[Written], group: &Written, order: &Written) -> Asked {
        let filter =
            self.filter.as_ref().map_or(Written::same(""), |filter| Written::form(" WHERE $0", &[filter]));
        let columns = |side: fn(&Written) -> &str| items.iter().map(side).collect::<Vec<_>>().join(", ");
        let (ours, theirs) = (columns(|item| &item.ours), columns(|item| &item.theirs));
        let whole = |items: String, side: fn(&Written) -> &str| {
            let parts = [&self.from.written, &filter, group, order].map(side).concat();
            format!("SELECT {distinct}{items} FROM {parts}")
        };
        let (ours_without_limit, theirs) =
            (whole(ours, |part| &part.ours), whole(theirs, |part| &part.theirs));
        let (mut limit, mut offset) = (String::new(), 0);
        if self.terms.choices.below(2) == 1 {
            limit = format!(" LIMIT {}", self.terms.choices.below(6));
            if self.terms.choices.rarely(3) {
                offset = self.terms.choices.below(3);
                limit += &format!(" OFFSET {offset}");
            }
        }
        let (ours_without_limit, places) = numbered(&ours_without_limit, |_| "?".to_owned());
        let (theirs, _) = numbered(&theirs, |place| format!("?{}", place + 1));
        let params = places.iter().map(|place| self.terms.params[*place].clone()).collect();
        let ours = format!("{ours_without_limit}{limit}");
        let theirs = format!("{theirs}{limit}");
        let last =
            (0..self.terms.params.len()).rev().find(|place| theirs.contains(&format!("?{}", place + 1)));
        let their_params = self.terms.params[..last.map_or(0, |last| last + 1)].to_vec();
        Asked { ours, ours_without_limit, theirs, params, their_params, offset }
    }
}

/// A constant key means a column to both, and not always the same one.
fn not_constant(term: &&Written) -> bool {
    term.ours.contains(|char: char| char.is_ascii_lowercase())
        && !term.ours.starts_with('\'')
        && !term.ours.starts_with("X'")
        && !term.ours.starts_with('{')
}

/// Parameters in the order in which they are written, and what stands in their place.
fn numbered(sql: &str, mark: impl Fn(usize) -> String) -> (String, Vec<usize>) {
    let (mut out, mut places) = (String::new(), vec![]);
    let mut rest = sql;
    while let Some((before, behind)) = rest.split_once('{') {
        let (place, behind) = behind.split_once('}').unwrap();
        places.push(place.parse().unwrap());
        out += before;
        out += &mark(places[places.len() - 1]);
        rest = behind;
    }
    (out + rest, places)
}
