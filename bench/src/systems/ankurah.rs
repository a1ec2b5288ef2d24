//! ankurah: an entity is a model of last-writer-wins strings in sled; side A is the durable hub with a websocket
//! server, side B a client of it with a sled of its own.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ankurah::{
    Context, EntityId, LiveQuery, Model, Mutable, Node, PermissiveAgent,
    changes::ChangeSet,
    core::node::nocache,
    policy::DEFAULT_CONTEXT,
    signals::{Peek, Subscribe, SubscriptionGuard},
};
use ankurah_storage_sled::SledStorageEngine;
use ankurah_websocket_client::WebsocketClient;
use ankurah_websocket_server::WebsocketServer;
use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;

use super::{Name, Options, Role, System};
use crate::{
    checker::Checker,
    work::{Edit, Splice},
};

pub(super) const NAME: Name = Name {
    id: "ankurah",
    package: "ankurah",
    setup: "an entity of ten LWW strings, sled storage, one durable hub (A) and one client (B) over a websocket; \
            events are not signed. A client gets the state, not the history",
};

/// The derived code needs the model to be public.
#[derive(Model, Debug, Default, Serialize, Deserialize)]
pub struct Item {
    #[active_type(LWW)]
    pub number: i32,
    #[active_type(LWW)]
    pub f0: Option<String>,
    #[active_type(LWW)]
    pub f1: Option<String>,
    #[active_type(LWW)]
    pub f2: Option<String>,
    #[active_type(LWW)]
    pub f3: Option<String>,
    #[active_type(LWW)]
    pub f4: Option<String>,
    #[active_type(LWW)]
    pub f5: Option<String>,
    #[active_type(LWW)]
    pub f6: Option<String>,
    #[active_type(LWW)]
    pub f7: Option<String>,
    #[active_type(LWW)]
    pub f8: Option<String>,
    #[active_type(LWW)]
    pub f9: Option<String>,
}

#[derive(Model, Debug, Serialize, Deserialize)]
pub struct Page {
    #[active_type(YrsString)]
    pub text: String,
}

type SledNode = Node<SledStorageEngine, PermissiveAgent>;
type Client = WebsocketClient<SledStorageEngine, PermissiveAgent>;

pub(crate) struct Ankurah {
    engine: Arc<SledStorageEngine>,
    node: SledNode,
    address: SocketAddr,
    serving: Option<AbortHandle>,
    items: Arc<Items>,
    watch: bool,
    client: Mutex<Option<Client>>,
    query: Mutex<Option<(LiveQuery<ItemView>, SubscriptionGuard)>>,
    page: Mutex<Option<PageView>>,
}

/// The views at hand; a view that is let go of is read from sled again.
struct Items {
    by_number: Mutex<HashMap<u32, ItemView>>,
    checker: Arc<Checker>,
}

impl System for Ankurah {
    async fn open(options: Options) -> Result<Self> {
        let engine = Arc::new(SledStorageEngine::with_path(options.dir)?);
        let durable = options.role == Role::A;
        let node = if durable {
            Node::new_durable(engine.clone(), PermissiveAgent::new())
        } else {
            Node::new(engine.clone(), PermissiveAgent::new())
        };
        // Its own wait can miss the notification.
        until(|| node.system.is_loaded()).await?;
        // The server binds by itself and does not tell the port, so one that is free now is given to it.
        let address = std::net::TcpListener::bind((options.ip, 0))?.local_addr()?;
        let mut serving = None;
        if durable {
            if node.system.root().is_none() {
                node.system.create().await?;
            }
            let mut server = WebsocketServer::new(node.clone());
            let serve = async move { server.run(&address.to_string()).await };
            serving = Some(tokio::spawn(serve).abort_handle());
        }
        let items = Arc::new(Items { by_number: Mutex::default(), checker: options.checker });
        let (client, query, page) = Default::default();
        Ok(Self { engine, node, address, serving, items, watch: options.watch, client, query, page })
    }

    async fn apply(&self, edit: &Edit) -> Result<()> {
        let transaction = self.context()?.begin();
        let view = self.items.get(edit.entity);
        if let Some(view) = view {
            let item = view.edit(&transaction)?;
            set_field(&item, edit)?;
            drop(item);
            transaction.commit().await?;
            return Ok(());
        }
        let item = Item { number: i32::try_from(edit.entity)?, ..Item::default() };
        let created = transaction.create(&item).await?;
        set_field(&created, edit)?;
        let view = created.read();
        transaction.commit().await?;
        lock(&self.items.by_number).insert(edit.entity, view);
        Ok(())
    }

    async fn read(&self, entity: u32, field: u8) -> Result<Option<String>> {
        self.items.get(entity).map_or(Ok(None), |view| field_of(&view, field))
    }

    async fn invite(&self) -> Result<String> {
        if self.watch {
            self.subscribe()?;
        }
        Ok(self.address.to_string())
    }

    async fn connect(&self, invite: &str) -> Result<()> {
        let client = WebsocketClient::builder(self.node.clone(), &format!("ws://{invite}"));
        let client = client.disable_nagle().build().await?;
        until(|| client.is_connected()).await?;
        // Its own wait can miss the notification.
        until(|| self.node.system.is_system_ready()).await?;
        *lock(&self.client) = Some(client);
        if self.watch && lock(&self.query).is_none() {
            self.subscribe()?;
        }
        Ok(())
    }

    async fn disconnect(&self) -> Result<()> {
        let client = lock(&self.client).take().context("not connected")?;
        let hub = client.server_node_id();
        // Its shutdown holds a lock while it waits, so it cannot move between threads.
        let handle = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || handle.block_on(client.shutdown())).await??;
        // The client does not tell its node that the hub is gone, and every write would then fail.
        if let Some(hub) = hub {
            self.node.deregister_peer(hub);
        }
        Ok(())
    }

    async fn known_equal(&self) -> Result<bool> {
        Ok(false)
    }

    async fn locate(&self, entity: u32) -> Result<String> {
        Ok(self.items.get(entity).context("no such entity")?.id().to_base64())
    }

    async fn read_located(&self, locator: &str, field: u8) -> Result<Option<String>> {
        let id = EntityId::from_base64(locator).map_err(|error| anyhow!("{error}"))?;
        field_of(&self.context()?.get_cached::<ItemView>(id).await?, field)
    }

    async fn splice(&self, edit: &[Splice]) -> Result<bool> {
        let page = lock(&self.page).clone();
        let transaction = self.context()?.begin();
        let Some(page) = page else {
            let created = transaction.create(&Page { text: String::new() }).await?;
            splice(&created, edit)?;
            let view = created.read();
            transaction.commit().await?;
            *lock(&self.page) = Some(view);
            return Ok(true);
        };
        let page = page.edit(&transaction)?;
        splice(&page, edit)?;
        drop(page);
        transaction.commit().await?;
        Ok(true)
    }

    async fn text(&self) -> Result<String> {
        let page = lock(&self.page).clone();
        page.map_or(Ok(String::new()), |page| Ok(page.text()?))
    }

    async fn stop(self) -> Result<()> {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
        let database = lock(&self.engine.database).clone();
        database.db.flush_async().await?;
        Ok(())
    }
}

impl Ankurah {
    fn context(&self) -> Result<Context> {
        self.node.context(DEFAULT_CONTEXT)
    }

    fn subscribe(&self) -> Result<()> {
        let query: LiveQuery<ItemView> = self.context()?.query(nocache("number >= 0")?)?;
        let items = self.items.clone();
        let guard = query.subscribe(move |changes: ChangeSet<ItemView>| {
            for change in changes.changes {
                items.update(change.entity());
            }
        });
        // What was there before the subscription.
        for view in query.peek() {
            self.items.update(&view);
        }
        *lock(&self.query) = Some((query, guard));
        Ok(())
    }
}

impl Items {
    fn get(&self, number: u32) -> Option<ItemView> {
        lock(&self.by_number).get(&number).cloned()
    }

    fn update(&self, view: &ItemView) {
        let Some(number) = view.number().ok().and_then(|number| u32::try_from(number).ok()) else { return };
        for field in self.checker.wanted(number) {
            if let Ok(Some(value)) = field_of(view, field) {
                self.checker.seen(number, field, &value);
            }
        }
        lock(&self.by_number).insert(number, view.clone());
    }
}

fn set_field(item: &ItemMut, edit: &Edit) -> Result<()> {
    let field = match edit.field {
        0 => item.f0(),
        1 => item.f1(),
        2 => item.f2(),
        3 => item.f3(),
        4 => item.f4(),
        5 => item.f5(),
        6 => item.f6(),
        7 => item.f7(),
        8 => item.f8(),
        _ => item.f9(),
    };
    Ok(field.set(&Some(edit.value.clone()))?)
}

fn field_of(view: &ItemView, field: u8) -> Result<Option<String>> {
    Ok(match field {
        0 => view.f0(),
        1 => view.f1(),
        2 => view.f2(),
        3 => view.f3(),
        4 => view.f4(),
        5 => view.f5(),
        6 => view.f6(),
        7 => view.f7(),
        8 => view.f8(),
        _ => view.f9(),
    }?)
}

fn splice(page: &PageMut, edit: &[Splice]) -> Result<()> {
    let text = page.text();
    for splice in edit {
        let at = u32::try_from(splice.at)?;
        text.delete(at, u32::try_from(splice.delete)?)?;
        text.insert(at, &splice.insert)?;
    }
    Ok(())
}

/// Polls, in steps too short to matter; the caller's own timeout bounds it.
async fn until(ready: impl Fn() -> bool) -> Result<()> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !ready() {
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "not ready after {} s", PATIENCE.as_secs());
        tokio::time::sleep(STEP).await;
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const PATIENCE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_micros(500);
