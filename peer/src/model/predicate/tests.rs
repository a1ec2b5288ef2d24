use super::*;
use crate::model::{Counter, Document, Ref, Register, Text};
use crate::{EntityId, Model};
use serde::{Deserialize, Serialize};

#[derive(Model)]
struct Label {
    #[model(id = "a \"quoted\" name")]
    name: Register<String>,
}

#[derive(Model)]
struct Artist {
    name: Register<String>,
    label: Register<Option<Ref<Label>>>,
    bio: Text,
    r#type: Register<String>,
    teacher: Register<Option<Ref<Self>>>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Genre {
    Folk,
    Jazz,
}

#[derive(Model)]
struct Album {
    title: Register<String>,
    year: Register<u32>,
    rating: Register<f64>,
    tracks: Document,
    plays: Counter,
    liner: Text,
    artist: Register<Ref<Artist>>,
    subtitle: Register<Option<String>>,
    #[model(id = "gnr")]
    genre: Register<Genre>,
}

fn said<M>(predicate: Predicate<M>) -> (String, Vec<Value>) {
    predicate.into_parts().unwrap()
}

#[track_caller]
fn check<M, const N: usize>(predicate: Predicate<M>, sql: &str, params: [Value; N]) {
    assert_eq!(said(predicate), (sql.to_owned(), params.to_vec()));
}

#[test]
fn a_predicate_says_what_was_asked() {
    check(Album::title().eq("Blue"), r#""title" = ?"#, ["Blue".into()]);
    check(Album::year().ne(1971), r#""year" <> ?"#, [Value::Int(1971)]);
    check(
        Album::rating().between(0.5, 1.0),
        r#""rating" BETWEEN ? AND ?"#,
        [Value::Float(0.5), Value::Float(1.0)],
    );
    check(Album::title().in_(["Blue", "Hejira"]), r#""title" IN (?, ?)"#, ["Blue".into(), "Hejira".into()]);
    check(Album::title().in_(Vec::<String>::new()), "1 = 0", []);
    check(Album::title().like("B%"), r#""title" LIKE ?"#, ["B%".into()]);
    check(Album::subtitle().ilike("%live"), r#""subtitle" ILIKE ?"#, ["%live".into()]);
    check(Album::subtitle().is_null(), r#""subtitle" IS NULL"#, []);
    check(Album::liner().matches("rain"), r#"MATCH("liner", ?)"#, ["rain".into()]);
    check(Album::plays().ge(3), r#""plays" >= ?"#, [Value::Int(3)]);
    check(
        Album::genre().in_([Genre::Folk, Genre::Jazz]),
        r#""gnr" IN (?, ?)"#,
        ["Folk".into(), "Jazz".into()],
    );
}

#[test]
fn paths_lead_into_documents_and_along_references() {
    check(Album::tracks().path("0.title").eq("Carey"), r#""tracks"."0"."title" = ?"#, ["Carey".into()]);
    check(Album::tracks().path("a").key("b.c").gt(1), r#""tracks"."a"."b.c" > ?"#, [Value::Int(1)]);
    let label = Album::artist().then(Artist::label()).then(Label::name());
    check(label.eq("Reprise"), r#""artist"."label"."a ""quoted"" name" = ?"#, ["Reprise".into()]);
    check(
        Album::artist().then(Artist::bio()).matches("jazz"),
        r#"MATCH("artist"."bio", ?)"#,
        ["jazz".into()],
    );
    check(Artist::teacher().then(Artist::r#type()).eq("band"), r#""teacher"."type" = ?"#, ["band".into()]);
    let id = EntityId::from_bytes([3; 16]);
    check(Album::artist().eq(Ref::new(id)), r#""artist" = ?"#, [Value::Ref(id)]);
    check(Album::artist().in_([id]), r#""artist" IN (?)"#, [Value::Ref(id)]);
}

#[test]
fn what_is_joined_keeps_its_grouping_and_the_order_of_its_parameters() {
    let either = Album::year().lt(1970).or(Album::year().gt(1979));
    let whole = Album::title().eq("Blue").and(!either);
    let sql = r#"("title" = ? AND NOT (("year" < ? OR "year" > ?)))"#;
    check(whole, sql, ["Blue".into(), Value::Int(1970), Value::Int(1979)]);
}

#[test]
fn an_operand_that_no_field_holds_is_named() {
    let predicate = Album::title().eq("Blue").and(!Album::rating().eq(f64::NAN));
    let refused = predicate.into_parts().unwrap_err();
    assert_eq!(
        refused.to_string(),
        r#""rating" cannot hold this: the number NaN cannot be stored: floats are finite"#
    );
}
