//! Typed models: what an app may rely on, alone and with others.

use anyhow::Result;
use futures::StreamExt;
use reknit::model::View;
use reknit::{
    Change, Counter, Document, EntityId, Error, FieldValue, Model, ModelError, ModelTx, Peer, PeerEvent, Ref,
    Register, Role, Space, Text, TxError, Value,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

#[derive(Debug, Model, PartialEq)]
#[model(collection = "artists")]
struct Artist {
    name: Register<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
enum Genre {
    #[default]
    Folk,
    Jazz {
        cool: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cover {
    colours: Vec<String>,
    width: f32,
}

#[derive(Debug, Model, PartialEq)]
#[model(collection = "albums")]
struct Album {
    #[model(index)]
    title: Register<String>,
    year: Register<i32>,
    liner: Text,
    tracks: Document,
    plays: Counter,
    artist: Register<Ref<Artist>>,
    producer: Register<Option<Ref<Artist>>>,
    subtitle: Register<Option<String>>,
    cover: Register<Option<Cover>>,
    #[model(id = "gnr", default)]
    genre: Register<Genre>,
    #[model(default = "self-released")]
    label: Register<String>,
}

fn blue(artist: Ref<Artist>) -> Album {
    Album {
        title: "Blue".into(),
        year: 1971.into(),
        liner: "Rain, mostly.".into(),
        tracks: json!({ "a": [{ "title": "Carey" }] }).into(),
        plays: 7.into(),
        artist: artist.into(),
        producer: None.into(),
        subtitle: None.into(),
        cover: Cover { colours: vec!["blue".into()], width: 0.5 }.into(),
        genre: Genre::Jazz { cool: true }.into(),
        label: "Reprise".into(),
    }
}

async fn alone() -> Result<Space> {
    Ok(Peer::ephemeral().offline().start().await?.create_space("music").await?)
}

async fn insert_blue(space: &Space) -> Result<Ref<Album>> {
    let inserted = space.transact(|tx| {
        let artist = tx.insert(&Artist { name: "Nina".into() })?;
        tx.insert(&blue(artist))
    });
    Ok(inserted.await?)
}

#[tokio::test]
async fn every_kind_of_field_comes_back_as_it_was_inserted() -> Result<()> {
    let space = alone().await?;
    let album = insert_blue(&space).await?;
    let view = space.view(album)?.expect("it was inserted");
    assert_eq!(view.reference(), album);
    assert_eq!(view.title()?, "Blue");
    assert_eq!(view.year()?, 1971);
    assert_eq!(view.liner()?, "Rain, mostly.");
    assert_eq!(view.tracks()?, json!({ "a": [{ "title": "Carey" }] }));
    assert_eq!(view.plays()?, 7);
    assert_eq!(view.subtitle()?, None);
    assert_eq!(view.genre()?, Genre::Jazz { cool: true });
    assert_eq!(view.artist().load().await?.name()?, "Nina");
    assert!(view.producer().load().await?.is_none());
    assert_eq!(view.to_plain()?, blue(view.artist().target()?));
    // Nothing was said of what holds nothing, and the field lies under its id.
    assert_eq!(view.entity().field("subtitle"), None);
    let genre = Value::Map(BTreeMap::from([(
        "Jazz".to_owned(),
        Value::Map(BTreeMap::from([("cool".to_owned(), true.into())])),
    )]));
    assert_eq!(view.entity().field("gnr"), Some(&FieldValue::Register(genre)));
    assert_eq!(space.models::<Album>()?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn every_kind_of_field_can_be_edited_and_read_inside_a_transaction() -> Result<()> {
    let space = alone().await?;
    let album = insert_blue(&space).await?;
    space
        .transact(move |tx| {
            let artist = tx.insert(&Artist { name: "Joni".into() })?;
            let mut album = tx.edit(album)?;
            album.title().set("Bluer")?;
            album.subtitle().set("live")?;
            album.artist().set(artist)?;
            album.producer().set(artist)?;
            album.cover().set(None)?;
            album.plays().add(-2)?;
            album.liner().insert(0, "Some. ")?;
            album.liner().open()?.push(" Sun.")?.push(" Wind.")?;
            album.tracks().set("a.0.title", "Carey (live)")?;
            album.tracks().insert("/a/0", json!({ "title": "All I Want" }))?;
            assert_eq!(album.title().get()?, "Bluer");
            assert_eq!(album.plays().get()?, 5);
            assert_eq!(album.tracks().at("a.1.title")?, Some(json!("Carey (live)")));
            assert_eq!(album.subtitle().get()?.as_deref(), Some("live"));
            Ok(())
        })
        .await?;
    let view = space.view(album)?.expect("it was inserted");
    assert_eq!(view.liner()?, "Some. Rain, mostly. Sun. Wind.");
    assert_eq!(view.tracks()?, json!({ "a": [{ "title": "All I Want" }, { "title": "Carey (live)" }] }));
    assert_eq!(view.cover()?, None);
    let producer = view.producer().load().await?.expect("it was set");
    assert_eq!(producer.name()?, "Joni");
    Ok(())
}

#[tokio::test]
async fn a_deleted_entity_is_restored_before_it_is_edited() -> Result<()> {
    let space = alone().await?;
    let album = insert_blue(&space).await?;
    space.transact(move |tx| tx.edit(album)?.delete()).await?;
    assert!(space.view(album)?.expect("it was inserted").is_deleted());
    assert!(space.models::<Album>()?.is_empty());
    let refused = space.transact(move |tx| tx.edit(album)?.title().set("x")).await;
    assert!(matches!(refused, Err(Error::Tx(TxError::Deleted(_)))), "{refused:?}");
    space
        .transact(move |tx| {
            let mut album = tx.edit(album)?;
            album.restore()?;
            album.title().set("x")
        })
        .await?;
    assert_eq!(space.view(album)?.expect("it was inserted").title()?, "x");
    Ok(())
}

#[tokio::test]
async fn what_is_not_here_is_not_edited_and_not_followed() -> Result<()> {
    let space = alone().await?;
    let nowhere = Ref::<Album>::new(EntityId::from_bytes([9; 16]));
    let refused = space.transact(move |tx| tx.edit(nowhere).map(drop)).await;
    assert!(matches!(refused, Err(Error::Model(ModelError::NotFound { collection: "albums", .. }))));
    assert!(space.view(nowhere)?.is_none());
    let lost = Ref::new(EntityId::from_bytes([8; 16]));
    let album = space.transact(move |tx| tx.insert(&blue(lost))).await?;
    let followed = space.view(album)?.expect("it was inserted").artist().load().await;
    assert!(matches!(followed, Err(Error::Model(ModelError::NotFound { collection: "artists", .. }))));
    Ok(())
}

#[tokio::test]
async fn inserting_under_a_known_id_makes_the_entity_equal() -> Result<()> {
    let space = alone().await?;
    let album = insert_blue(&space).await?;
    let artist = space.view(album)?.expect("it was inserted").artist().target()?;
    let other =
        move || Album { title: "Hejira".into(), plays: 2.into(), liner: "Road.".into(), ..blue(artist) };
    space.transact(move |tx| tx.insert_as(album, &other())).await?;
    assert_eq!(space.view(album)?.expect("it was inserted").to_plain()?, other());
    let events = space.status().await?.events;
    space.transact(move |tx| tx.insert_as(album, &other())).await?;
    assert_eq!(space.status().await?.events, events, "nothing differs, so nothing is written");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_stored_rolls_back_with_the_field_named() -> Result<()> {
    #[derive(Model)]
    struct Reading {
        at: Register<u64>,
    }
    let space = alone().await?;
    let refused = space.transact(|tx| tx.insert(&Reading { at: u64::MAX.into() })).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Model(ModelError::Unstorable { field, .. }) if field == "at"),
        "{refused}"
    );
    assert!(space.list("reading")?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_view_from_a_snapshot_follows_its_references_in_the_snapshot() -> Result<()> {
    let space = alone().await?;
    let album = insert_blue(&space).await?;
    let snapshot = space.snapshot()?;
    let now = space.view(album)?.expect("it was inserted");
    let then = snapshot.view(album)?.expect("it was inserted");
    let artist = now.artist().target()?;
    space.transact(move |tx| tx.edit(artist)?.name().set("Joni")).await?;
    assert_eq!(then.artist().load().await?.name()?, "Nina");
    assert_eq!(now.artist().load().await?.name()?, "Joni");
    assert_eq!(snapshot.models_in::<Album>(reknit::Page::ALL)?.len(), 1);
    Ok(())
}

mod older_and_newer {
    use super::*;

    /// As the app began.
    #[derive(Debug, Model)]
    #[model(collection = "notes")]
    pub(crate) struct First {
        pub(crate) title: Register<String>,
    }

    /// A later version: the title is called otherwise, and there is more.
    #[derive(Debug, Model)]
    #[model(collection = "notes")]
    pub(crate) struct Second {
        #[model(id = "title", index)]
        pub(crate) headline: Register<Option<String>>,
        #[model(default = 3)]
        pub(crate) stars: Register<u8>,
        pub(crate) colour: Register<Option<String>>,
        pub(crate) author: Register<String>,
        pub(crate) body: Text,
        pub(crate) meta: Document,
        pub(crate) views: Counter,
    }

    pub(crate) fn second() -> Second {
        Second {
            headline: "Lists".into(),
            stars: 5.into(),
            colour: "red".into(),
            author: "Nina".into(),
            body: "milk".into(),
            meta: json!({ "tags": ["x"] }).into(),
            views: 2.into(),
        }
    }
}
use older_and_newer::{First, Second, second};

#[tokio::test]
async fn a_renamed_field_keeps_its_data_and_what_is_lacking_has_its_default() -> Result<()> {
    let space = alone().await?;
    let first = space.transact(|tx| tx.insert(&First { title: "Lists".into() })).await?;
    let view = space.view(Ref::<Second>::new(first.id()))?.expect("it was inserted");
    assert_eq!(view.headline()?.as_deref(), Some("Lists"));
    assert_eq!(view.stars()?, 3);
    assert_eq!(view.colour()?, None);
    assert_eq!((view.body()?, view.meta()?, view.views()?), (String::new(), json!({}), 0));
    let lacking = view.author().unwrap_err();
    assert!(matches!(lacking, ModelError::Missing(place) if place.field == "author"), "{lacking}");
    // Inside a transaction it reads the same, and takes edits.
    let id = Ref::<Second>::new(first.id());
    space
        .transact(move |tx| {
            let mut note = tx.edit(id)?;
            assert_eq!(note.stars().get()?, 3);
            note.author().set("Joni")
        })
        .await?;
    assert_eq!(space.view(id)?.expect("it was inserted").author()?, "Joni");
    Ok(())
}

#[tokio::test]
async fn what_a_newer_app_wrote_survives_the_edits_of_an_older_one() -> Result<()> {
    let space = alone().await?;
    let note = space.transact(|tx| tx.insert(&second())).await?;
    let older = Ref::<First>::new(note.id());
    space
        .transact(move |tx| {
            tx.edit(older)?.title().set("Groceries")?;
            tx.insert_as(older, &First { title: "Shopping".into() })
        })
        .await?;
    let view = space.view(note)?.expect("it was inserted");
    assert_eq!(view.headline()?.as_deref(), Some("Shopping"));
    assert_eq!((view.stars()?, view.colour()?.as_deref()), (5, Some("red")));
    assert_eq!((view.body()?, view.meta()?, view.views()?), ("milk".into(), json!({ "tags": ["x"] }), 2));
    Ok(())
}

#[tokio::test]
async fn data_of_another_kind_or_type_is_named_not_misread() -> Result<()> {
    let space = alone().await?;
    let id = space
        .transact(|tx| {
            let mut note = tx.create("notes")?;
            note.text("title")?.push("Lists")?;
            note.set("stars", "many")?;
            Ok(note.id())
        })
        .await?;
    let view = space.view(Ref::<Second>::new(id))?.expect("it was created");
    let kind = view.headline().unwrap_err();
    assert_eq!(
        kind.to_string(),
        format!(
            "field title of notes {id} is a text, and the model has a register; give the field of the model another id"
        )
    );
    let value = view.stars().unwrap_err();
    assert_eq!(
        value.to_string(),
        format!(
            "field stars of notes {id} does not hold what the model says: invalid type: string \"many\", expected u8"
        )
    );
    Ok(())
}

#[tokio::test]
async fn a_schema_is_declared_at_first_use_and_once() -> Result<()> {
    let space = alone().await?;
    assert!(space.schema()?.is_empty());
    let events = space.status().await?.events;
    space.register::<First>().await?;
    assert_eq!(space.status().await?.events, events + 1);
    let [notes] = &space.schema()?[..] else { panic!("one collection") };
    assert_eq!((notes.collection.as_str(), notes.versions, notes.fields.len()), ("notes", 1, 1));
    space.register::<First>().await?;
    space.transact(|tx| tx.insert(&First { title: "x".into() })).await?;
    assert_eq!(space.status().await?.events, events + 2, "nothing is declared again");
    // The books are no collection of the app's.
    assert_eq!(space.collections()?.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["notes"]);
    let refused = space.transact(|tx| tx.create("reknit.schema")?.set("x", 1).map(drop)).await;
    assert!(matches!(refused, Err(Error::Tx(TxError::Reserved(_)))), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn models_with_the_same_fields_are_declared_each_for_its_collection() -> Result<()> {
    #[derive(Model)]
    struct Tag {
        title: Register<String>,
    }
    let space = alone().await?;
    let both = space.transact(|tx| {
        tx.insert(&First { title: "x".into() })?;
        tx.insert(&Tag { title: "x".into() }).map(drop)
    });
    both.await?;
    let collections: Vec<_> = space.schema()?.into_iter().map(|schema| schema.collection).collect();
    assert_eq!(collections, ["notes", "tag"]);
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_takes_its_time_declares_too() -> Result<()> {
    let space = alone().await?;
    let mut long = space.begin().await?;
    let note = long.edit(|tx| tx.insert(&First { title: "draft".into() }))?;
    long.edit(|tx| tx.edit(note)?.title().set("done"))?;
    assert!(space.schema()?.is_empty());
    long.commit().await?;
    assert_eq!(space.view(note)?.expect("it was committed").title()?, "done");
    assert_eq!(space.schema()?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn watchers_are_not_shown_the_books() -> Result<()> {
    let space = alone().await?;
    let mut changes = space.watch();
    space.transact(|tx| tx.insert(&First { title: "x".into() })).await?;
    let Some(Change::Committed { entities, .. }) = changes.next().await else { panic!("a commit") };
    assert_eq!(entities.iter().map(|entity| entity.collection.as_str()).collect::<Vec<_>>(), ["notes"]);
    Ok(())
}

#[tokio::test]
async fn compatible_versions_merge_and_an_older_one_takes_nothing_back() -> Result<()> {
    let space = alone().await?;
    space.register::<First>().await?;
    space.transact(|tx| tx.insert(&second()).map(drop)).await?;
    let after_second = space.schema()?;
    let [notes] = &after_second[..] else { panic!("one collection") };
    let title = notes.fields.iter().find(|field| field.id == "title").expect("it is declared");
    assert_eq!((title.name.as_str(), title.optional, title.index), ("headline", true, true));
    assert_eq!((notes.versions, notes.fields.len(), notes.conflicts.len()), (2, 7, 0));
    space.register::<First>().await?;
    assert_eq!(space.schema()?, after_second);
    Ok(())
}

#[tokio::test]
async fn whoever_declares_first_every_version_is_written_once_and_all_is_kept() -> Result<()> {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    #[derive(Model)]
    #[model(collection = "notes")]
    struct Third {
        #[model(index)]
        colour: Register<String>,
        #[model(default = "me")]
        author: Register<String>,
    }
    for order in ORDERS {
        let space = alone().await?;
        let declare = async |version| match version {
            0 => space.register::<First>().await,
            1 => space.register::<Second>().await,
            _ => space.register::<Third>().await,
        };
        for version in order {
            declare(version).await?;
        }
        let (schema, events) = (space.schema()?, space.status().await?.events);
        for version in ORDERS.into_iter().flatten() {
            declare(version).await?;
        }
        assert_eq!((&space.schema()?, space.status().await?.events), (&schema, events), "{order:?}");
        let field = |id: &str| schema[0].fields.iter().find(|field| field.id == id).expect("it is declared");
        assert!(field("title").optional && field("title").index, "{order:?}");
        assert!(field("colour").optional && field("colour").index, "{order:?}");
        assert_eq!(field("author").default, Some(Value::from("me")), "{order:?}");
        assert_eq!((schema[0].versions, schema[0].conflicts.len()), (3, 0));
    }
    Ok(())
}

#[tokio::test]
async fn a_view_of_an_entity_alone_reads_and_follows_nothing() -> Result<()> {
    let space = alone().await?;
    let album = insert_blue(&space).await?;
    let entity = space.get("albums", album.id())?.expect("it was inserted");
    let view = View::<Album>::detached(entity.clone());
    assert_eq!(view.title()?, "Blue");
    assert!(matches!(view.artist().load().await, Err(Error::Model(ModelError::Detached))));
    assert_eq!(space.as_view::<Album>(entity).artist().load().await?.name()?, "Nina");
    Ok(())
}

/// The same collection, as another app would have it.
#[derive(Model)]
#[model(collection = "notes")]
struct Other {
    title: Register<i64>,
    body: Counter,
    #[model(id = "stars")]
    rating: Register<Ref<Artist>>,
    fresh: Text,
}

#[tokio::test]
async fn an_incompatible_model_is_refused_with_every_difference_and_writes_nothing() -> Result<()> {
    let space = alone().await?;
    space.register::<Second>().await?;
    let (before, events) = (space.schema()?, space.status().await?.events);
    let refused = space.register::<Other>().await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the space has collection notes otherwise than this app: field body is a text, and the model has a counter; \
         field stars is a register of int, and the model has a register of references to artists; \
         field title is a register of text, and the model has a register of int; give each such field another id, \
         #[model(id = \"..\")], or the model another collection. Nothing was written"
    );
    let new = || Other {
        title: 1.into(),
        body: 1.into(),
        rating: Ref::new(EntityId::from_bytes([1; 16])).into(),
        fresh: "".into(),
    };
    let insert = space.transact(move |tx| tx.insert(&new())).await;
    assert!(matches!(insert, Err(Error::Model(ModelError::Schema(_)))));
    // One who carries on after the refusal is refused again.
    let stubborn = space.transact(move |tx| tx.insert(&new()).or_else(|_| tx.insert(&new()))).await;
    assert!(matches!(stubborn, Err(Error::Model(ModelError::Schema(_)))));
    assert_eq!((space.schema()?, space.status().await?.events), (before, events));
    Ok(())
}

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_that_comes_by_merge_is_reported_alike_everywhere_and_loses_nothing() -> Result<()> {
    let start = |name: &str| Peer::ephemeral().device_name(name).loopback().start();
    let (a, b) = (start("a").await?, start("b").await?);
    let here = a.create_space("home").await?;
    let ticket = here.invite(Role::Writer, None).await?;
    let there = timeout(SOON, b.join(&ticket)).await??;
    timeout(SOON, here.until_converged()).await??;
    b.pause_network().await;
    let mut told = b.events();
    let note = here.transact(|tx| tx.insert(&second())).await?;
    let artist = Ref::new(EntityId::from_bytes([1; 16]));
    let other = Other { title: 1.into(), body: 1.into(), rating: artist.into(), fresh: "new".into() };
    let theirs = there.transact(move |tx| tx.insert(&other)).await?;
    b.resume_network().await;
    timeout(SOON, async {
        while here.schema()? != there.schema()? || here.list("notes")?.len() < 2 {
            tokio::try_join!(here.until_converged(), there.until_converged())?;
        }
        Ok::<_, Error>(())
    })
    .await??;
    let told = timeout(SOON, async {
        loop {
            match told.next().await {
                Some(PeerEvent::SchemaConflict { collection, differences, .. }) => {
                    return (collection, differences);
                }
                Some(_) => {}
                None => panic!("the peer stopped"),
            }
        }
    })
    .await?;
    let [schema] = &here.schema()?[..] else { panic!("one collection") };
    assert_eq!(schema.versions, 2);
    assert_eq!((told.0.as_str(), &told.1), ("notes", &schema.conflicts));
    let fields: Vec<_> = schema.conflicts.iter().map(|conflict| conflict.field.as_str()).collect();
    assert_eq!(fields, ["body", "stars", "title"]);
    // All that was written is readable by who wrote it, at both.
    for space in [&here, &there] {
        assert_eq!(space.view(note)?.expect("it arrived").body()?, "milk");
        assert_eq!(space.view(theirs)?.expect("it arrived").body()?, 1);
    }
    // The merge took the later registers of one transaction as a whole, so one of the two models stands.
    let (ours, others) = (here.register::<Second>().await, there.register::<Other>().await);
    assert_ne!(ours.is_ok(), others.is_ok(), "{ours:?} {others:?}");
    Ok(())
}

#[tokio::test]
async fn entities_of_a_model_are_found_by_conditions() -> Result<()> {
    let space = alone().await?;
    let nina = space.transact(|tx| tx.insert(&Artist { name: "Nina".into() })).await?;
    let other = space.transact(|tx| tx.insert(&Artist { name: "Billie".into() })).await?;
    let album = space.transact(move |tx| tx.insert(&blue(nina))).await?;
    space.transact(move |tx| tx.insert(&Album { year: 1955.into(), ..blue(other) })).await?;
    let ids = |predicate| -> Result<Vec<_>> {
        Ok(space.find::<Album>(predicate)?.iter().map(|view| view.reference()).collect())
    };
    assert_eq!(ids(Album::year().gt(1960).and(Album::title().like("Bl%")))?, [album]);
    assert_eq!(ids(Album::artist().then(Artist::name()).eq("Nina"))?, [album]);
    assert_eq!(ids(Album::liner().matches("rain"))?.len(), 2);
    assert_eq!(ids(!Album::year().gt(1960))?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn queries_call_fields_as_the_model_does_and_know_their_defaults() -> Result<()> {
    let space = alone().await?;
    let nina = space.transact(|tx| tx.insert(&Artist { name: "Nina".into() })).await?;
    space.transact(move |tx| tx.insert(&blue(nina))).await?;
    space.transact(|tx| tx.create("albums")?.set("title", "From elsewhere").map(drop)).await?;
    let ask = |sql| space.query(sql, &reknit::Params::new());
    let labels =
        ask("SELECT title FROM albums WHERE label = 'self-released' AND genre IS NOT NULL ORDER BY title")?;
    assert!(labels.rows.contains(&vec!["From elsewhere".into()]), "{labels:?}");
    assert_eq!(ask("SELECT title FROM albums WHERE artist.name = 'Nina'")?.rows, [["Blue".into()]]);
    assert_eq!(ask("SELECT COUNT(*) FROM albums WHERE gnr IS NULL")?.rows, [[Value::Int(0)]]);
    assert!(ask("SELECT * FROM albums")?.columns.contains(&"genre".to_owned()));
    let error = ask("SELECT title FROM albums WHERE title ==== 'x'").unwrap_err();
    assert!(matches!(error, Error::QueryText(_)), "{error:?}");
    Ok(())
}
