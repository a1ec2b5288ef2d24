use super::*;
use crate::model::{Counter, Ref, Register};
use crate::{Model, Peer};

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

const ENTITY: &str = "3JP7MHS9H5DWM8ZFRM4GAHVA12";
const FINGERPRINT: &str = "c2536e04c778fdc6";
