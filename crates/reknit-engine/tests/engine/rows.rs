//! Queries read what the store holds, whatever form it has there.

use crate::support::{HOME, World, family, name};
use reknit_engine::rows::Rows;
use reknit_query::{Answer, Params, Query, Schema};
use reknit_types::{EntityId, Name, Value};

fn id(at: u8) -> EntityId {
    EntityId::from_bytes([at; 16])
}

/// What is known of collections is what they hold.
struct Found<'a>(Rows<'a>);

impl Schema for Found<'_> {
    fn fields(&self, collection: &Name) -> Option<Vec<Name>> {
        Some(self.0.fields_of(collection).ok()?.into_iter().collect())
    }

    fn reference(&self, _: &Name, _: &Name) -> Option<Name> {
        None
    }
}

fn ask(world: &World, sql: &str) -> Answer {
    let store = &world.peers[0].store;
    let rows = || Rows::new(store, HOME);
    let bound = Query::parse(sql).unwrap().bind(&Found(rows()), &Params::new()).unwrap();
    bound.plan(&[]).run(&rows()).unwrap()
}

/// An album of every kind of field, one without most of them, one too large for a record, and one that is deleted.
fn albums() -> World {
    let mut world = family(3, 1);
    world.transact(0, |tx| {
        let mut one = tx.entity("albums", id(1))?;
        one.set("title", "Silk")?
            .set("year", 1966i64)?
            .set("rating", Value::float(4.5).unwrap())?
            .add("plays", 7)?;
        one.text("liner")?.push("rain on the roof")?;
        one.document("tracks")?
            .set("/sides", serde_json::json!([{"title": "Four Women", "seconds": 264}]))?;
        tx.entity("albums", id(2))?.set("title", "Pastel")?.set("year", Value::Null)?;
        let mut large = tx.entity("albums", id(3))?;
        large
            .set("title", "x".repeat(1_500))?
            .set("notes", "y".repeat(1_500))?
            .set("year", 2001i64)?
            .add("plays", -2)?;
        large.text("liner")?.push("sun")?;
        tx.entity("albums", id(4))?.set("title", "Gone")?.delete()
    });
    world.transact(0, |tx| tx.entity("artists", id(9))?.set("name", "Nina").map(drop));
    world
}

#[test]
fn every_kind_of_field_is_read() {
    let world = albums();
    let found = ask(
        &world,
        "SELECT title, year, rating, plays, liner, tracks.sides.0.title FROM albums WHERE year = 1966",
    );
    let wanted: [Value; 6] = [
        "Silk".into(),
        1966i64.into(),
        Value::Float(4.5),
        7i64.into(),
        "rain on the roof".into(),
        "Four Women".into(),
    ];
    assert_eq!(found.rows, [wanted]);
}

#[test]
fn what_lies_apart_is_read_as_what_does_not() {
    let found = ask(&albums(), "SELECT id, plays, liner, rating FROM albums WHERE year > 2000");
    assert_eq!(found.rows, [[Value::Ref(id(3)), (-2i64).into(), "sun".into(), Value::Null]]);
}

#[test]
fn nulls_absent_fields_and_the_deleted_are_told_apart() {
    let world = albums();
    assert_eq!(ask(&world, "SELECT id FROM albums WHERE year IS NULL").rows, [[Value::Ref(id(2))]]);
    assert_eq!(
        ask(&world, "SELECT COUNT(*), COUNT(year), SUM(plays) FROM albums").rows,
        [[3i64.into(), 2i64.into(), Value::Int(5)]]
    );
    assert!(ask(&world, "SELECT id FROM albums WHERE title = 'Gone'").rows.is_empty());
    assert!(ask(&world, "SELECT id FROM nowhere").rows.is_empty());
}

#[test]
fn all_fields_are_those_that_any_entity_has() {
    let world = albums();
    let store = &world.peers[0].store;
    let names = Rows::new(store, HOME).fields_of(&name("albums")).unwrap();
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    assert_eq!(names, ["liner", "notes", "plays", "rating", "title", "tracks", "year"]);
    assert_eq!(ask(&world, "SELECT * FROM artists").columns, ["id", "name"]);
}

#[test]
fn entities_are_read_in_either_direction() {
    let world = albums();
    let ids = |sql| ask(&world, sql).rows.concat();
    assert_eq!(ids("SELECT id FROM albums ORDER BY id DESC LIMIT 2"), [Value::Ref(id(3)), Value::Ref(id(2))]);
    assert_eq!(ids("SELECT id FROM albums ORDER BY id LIMIT 1 OFFSET 1"), [Value::Ref(id(2))]);
}

#[test]
fn a_damaged_row_is_an_error_and_no_answer() {
    let mut world = albums();
    let store = &mut world.peers[0].store;
    let mut batch = reknit_engine::store::Batch::new();
    let (key, _) = {
        use reknit_engine::store::{Direction, Reads, Table};
        use std::ops::Bound::Unbounded;
        store.first(Table::Rows, (Unbounded, Unbounded), Direction::Forward).unwrap().unwrap()
    };
    batch.put(reknit_engine::store::Table::Rows, key, [3, 9, 9]);
    reknit_engine::store::Store::commit(store, batch, reknit_engine::store::Durability::Fast).unwrap();
    let rows = || Rows::new(&*store, HOME);
    let bound =
        Query::parse("SELECT title FROM albums").unwrap().bind(&Found(rows()), &Params::new()).unwrap();
    let error = bound.plan(&[]).run(&rows()).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}
