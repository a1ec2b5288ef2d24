use super::*;
use crate::model::{Counter, Ref, Register};
use crate::{Entity, FieldValue, Model, Name, Peer};
use proptest::prelude::*;

#[derive(Model)]
#[model(collection = "songs")]
struct Song {
    title: Register<String>,
    #[model(index)]
    year: Register<Option<i32>>,
    #[model(id = "n", default = 1)]
    plays: Register<u8>,
    stars: Counter,
    next: Register<Option<Ref<Song>>>,
}

#[test]
fn what_leaves_the_device_stays_the_same() {
    assert_eq!(entity_of("songs").to_string(), ENTITY);
    assert_eq!(Song::declared().fingerprint(), FINGERPRINT);
}

#[test]
fn a_declaration_tells_types_options_defaults_and_references() {
    let fields = Song::declared().fields();
    let json = serde_json::to_value(stored::all(fields)).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "n": { "name": "plays", "kind": "register", "type": "int", "default": 1 },
            "next": { "name": "next", "kind": "register", "type": "reference", "optional": true, "references": "songs" },
            "stars": { "name": "stars", "kind": "counter" },
            "title": { "name": "title", "kind": "register", "type": "text" },
            "year": { "name": "year", "kind": "register", "type": "int", "optional": true, "index": true },
        })
    );
}

#[test]
fn a_declaration_reads_back() {
    for field in Song::declared().fields() {
        assert_eq!(stored::read_one(&field.id, stored::one(field)).as_ref(), Some(field));
    }
}

#[tokio::test]
async fn an_entity_that_describes_another_collection_than_its_id_says_is_no_schema() {
    let peer = Peer::ephemeral().offline().start().await.unwrap();
    let space = peer.create_space("home").await.unwrap();
    let forged = space.transact(|tx| {
        let mut books = tx.reserved(SCHEMA_COLLECTION, entity_of("others"))?;
        books.set(stored::NAME, "songs").map(drop)
    });
    forged.await.unwrap();
    assert_eq!(space.schema().unwrap(), []);
    space.register::<Song>().await.unwrap();
    assert_eq!(space.schema().unwrap().len(), 1);
}

#[tokio::test]
async fn what_only_a_newer_version_can_read_is_not_overwritten() {
    let peer = Peer::ephemeral().offline().start().await.unwrap();
    let space = peer.create_space("home").await.unwrap();
    let newer = space.transact(|tx| {
        let mut books = tx.reserved(SCHEMA_COLLECTION, entity_of("songs"))?;
        let tree = [("kind".to_owned(), "tree".into()), ("name".to_owned(), "title".into())];
        books.set("field.title", Value::Map(tree.into())).map(drop)
    });
    newer.await.unwrap();
    let refused = space.register::<Song>().await.unwrap_err();
    assert!(
        refused.to_string().contains("field title is declared as only a newer version knows"),
        "{refused}"
    );
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), "[a-z]{0,8}".prop_map(Value::Text), any::<i64>().prop_map(Value::Int)];
    let names = prop_oneof!["name", "kind", "type", "index", "default", "references", "[a-z]{1,3}"];
    leaf.prop_recursive(3, 12, 4, move |inner| {
        proptest::collection::btree_map(names.clone(), inner, 0..5).prop_map(Value::Map)
    })
}

proptest! {
    #[test]
    fn whatever_others_write_there_reads_as_a_schema(
        registers in proptest::collection::btree_map("(field|model)\\.[a-z]{1,3}", anything(), 0..4),
    ) {
        let mut fields: BTreeMap<_, _> = registers
            .into_iter()
            .map(|(name, value)| (Name::new(&name).unwrap(), FieldValue::Register(value)))
            .collect();
        fields.insert(Name::new(stored::NAME).unwrap(), FieldValue::Register("songs".into()));
        let collection = Name::new(SCHEMA_COLLECTION).unwrap();
        let schema = schema_of(&Entity { collection, id: entity_of("songs"), deleted: false, fields });
        prop_assert_eq!(schema.unwrap().collection, "songs");
    }
}

const ENTITY: &str = "3JP7MHS9H5DWM8ZFRM4GAHVA12";
const FINGERPRINT: &str = "c2536e04c778fdc6";
