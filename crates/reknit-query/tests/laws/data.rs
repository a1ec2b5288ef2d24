//! Three collections that refer to each other, with holes.

use super::choices::Choices;
use reknit_query::{FieldPath, IndexInfo, Memory, Record, Step, Tables};
use reknit_types::{EntityId, Name, Value};

pub(crate) struct Data {
    pub(crate) memory: Memory,
    pub(crate) schema: Tables,
    pub(crate) rows: Vec<(&'static str, EntityId, Record)>,
}

/// A field, and the collection that it refers to.
type Field = (&'static str, Option<&'static str>);

/// Collections and their fields.
pub(crate) const COLLECTIONS: &[(&str, &[Field])] = &[
    (
        "albums",
        &[
            ("title", None),
            ("year", None),
            ("rating", None),
            ("done", None),
            ("mixed", None),
            ("tracks", None),
            ("artist", Some("artists")),
        ],
    ),
    ("artists", &[("name", None), ("born", None), ("label", Some("labels"))]),
    ("labels", &[("name", None), ("size", None)]),
];

const INDEXES: &[(&str, &[&str])] = &[
    ("albums", &["year"]),
    ("albums", &["title"]),
    ("albums", &["year", "title"]),
    ("albums", &["mixed", "year"]),
    ("albums", &["artist"]),
    ("albums", &["tracks.0.n"]),
    ("artists", &["name"]),
    ("artists", &["label", "born"]),
];

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn path(text: &str) -> FieldPath {
    let mut parts = text.split('.');
    let field = name(parts.next().unwrap());
    FieldPath { field, steps: parts.map(Step::new).collect() }
}

/// Ids of the collections do not overlap.
pub(crate) fn entity(collection: usize, nth: usize) -> EntityId {
    let mut bytes = [0; 16];
    bytes[0] = collection as u8;
    bytes[15] = nth as u8;
    EntityId::from_bytes(bytes)
}

/// 512 bytes and the ending.
macro_rules! long {
    ($end:literal) => {
        concat!(long!(), long!(), long!(), long!(), long!(), long!(), long!(), long!(), $end)
    };
    () => {
        "abcdefghijklmnopabcdefghijklmnopabcdefghijklmnopabcdefghijklmnop"
    };
}

/// Two of them agree for longer than an index tells texts apart.
pub(crate) const TEXTS: &[&str] =
    &["", "a", "ab", "abc", "b", "B", "rain", "Cold rain", "a%b", "rain_ed", "1", "zz", LONG, LONGER];
const LONG: &str = long!("a");
const LONGER: &str = long!("b");

pub(crate) fn text(choices: &mut Choices) -> Value {
    Value::from(choices.one_of(TEXTS))
}

pub(crate) fn whole(choices: &mut Choices) -> Value {
    Value::Int(choices.below(7) as i64 - 1)
}

pub(crate) fn float(choices: &mut Choices) -> Value {
    Value::float(choices.below(13) as f64 / 4.0 - 1.0).unwrap()
}

pub(crate) fn any(choices: &mut Choices) -> Value {
    match choices.below(7) {
        0 => whole(choices),
        1 => text(choices),
        2 => float(choices),
        3 => Value::Null,
        4 => Value::Bool(choices.below(2) == 1),
        5 => Value::Bytes(choices.one_of(TEXTS).as_bytes().to_vec()),
        _ => Value::Int(choices.one_of(&[i64::MAX, i64::MIN, (1 << 53) + 1, 1 << 53, -1])),
    }
}

impl Data {
    pub(crate) fn generate(choices: &mut Choices) -> Self {
        let mut data = Self { memory: Memory::new(), schema: Tables::default(), rows: vec![] };
        for (collection, fields) in COLLECTIONS {
            data.schema.collection(name(collection));
            for (field, to) in *fields {
                match to {
                    Some(to) => data.schema.reference(name(collection), name(field), name(to)),
                    None => data.schema.field(name(collection), name(field)),
                };
            }
        }
        for (nth, (collection, fields)) in COLLECTIONS.iter().enumerate() {
            let count = choices.below([24, 8, 4][nth]);
            for row in 0..count {
                let record =
                    fields.iter().filter_map(|(field, _)| Some((name(field), value(field, choices)?)));
                let (id, record) = (entity(nth, row), record.collect::<Record>());
                data.memory.put(&name(collection), id, Some(record.clone()));
                data.rows.push((collection, id, record));
            }
        }
        for (collection, fields) in INDEXES {
            let name_of = format!("{collection}_by_{}", fields.join("_"));
            let fields = fields.iter().map(|field| path(field)).collect();
            data.memory.add_index(IndexInfo { name: name_of, collection: name(collection), fields });
        }
        data
    }
}

/// The value of a field; some rows lack it.
pub(crate) fn value(field: &str, choices: &mut Choices) -> Option<Value> {
    if choices.rarely(8) {
        return None;
    }
    Some(match field {
        "title" | "name" => text(choices),
        "year" | "born" | "size" => whole(choices),
        "rating" => {
            if choices.rarely(3) {
                whole(choices)
            } else {
                float(choices)
            }
        }
        "done" => Value::Bool(choices.below(2) == 1),
        "mixed" => any(choices),
        "artist" => Value::Ref(entity(1, choices.below(8))),
        "label" => Value::Ref(entity(2, choices.below(4))),
        _ => {
            let track = |choices: &mut Choices| {
                let mut entries = std::collections::BTreeMap::new();
                if !choices.rarely(4) {
                    entries.insert("title".to_owned(), text(choices));
                }
                if !choices.rarely(4) {
                    entries.insert(
                        "n".to_owned(),
                        if choices.rarely(3) { text(choices) } else { whole(choices) },
                    );
                }
                Value::Map(entries)
            };
            Value::List((0..choices.below(3)).map(|_| track(choices)).collect())
        }
    })
}
