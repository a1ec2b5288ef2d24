//! Asking a space in SQL.

use super::{Call, Follow, Host, pick};
use crate::exit::Failure;
use crate::view::LiveView;
use futures::{Stream, StreamExt};
use reknit::{Answer, Params, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a query finds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Query {
    pub(crate) space: Option<String>,
    pub(crate) sql: String,
    /// For each `?` a value, in order.
    pub(crate) positional: Vec<Value>,
    /// The values of `:name`s.
    pub(crate) named: BTreeMap<String, Value>,
    /// Only say how it would be run.
    pub(crate) explain: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// How it was run, and how much it read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) plan: Option<String>,
}

impl Call for Query {
    const PATH: &'static str = "/v1/query";
    type Reply = Found;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        let Self { sql, positional, named, explain, .. } = self;
        // A query may take long, and nobody else shall wait for it.
        tokio::task::spawn_blocking(move || {
            let params = positional.into_iter().fold(Params::new(), Params::with);
            let params =
                named.iter().fold(params, |params, (name, value)| params.with_named(name, value.clone()));
            let snapshot = space.snapshot()?;
            let Answer { columns, rows, reads, .. } = snapshot.query(&sql, &params)?;
            if explain {
                let plan = format!("{}\n{reads}", snapshot.plan(&sql, &params)?.explain());
                return Ok(Found { columns, rows: vec![], plan: Some(plan) });
            }
            Ok(Found { columns, rows, plan: None })
        })
        .await
        .map_err(|error| Failure::error(error.to_string()))?
    }
}

/// As [`Query`], and then how that changes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LiveQuery {
    pub(crate) space: Option<String>,
    pub(crate) sql: String,
    pub(crate) positional: Vec<Value>,
    pub(crate) named: BTreeMap<String, Value>,
}

impl Follow for LiveQuery {
    const PATH: &'static str = "/v1/live";
    type Item = LiveView;

    fn follow(self, host: &Host) -> Result<impl Stream<Item = LiveView> + Send + 'static, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        Ok(space.live(&self.sql, &params(self.positional, &self.named))?.map(LiveView::from))
    }
}

fn params(positional: Vec<Value>, named: &BTreeMap<String, Value>) -> Params {
    let params = positional.into_iter().fold(Params::new(), Params::with);
    named.iter().fold(params, |params, (name, value)| params.with_named(name, value.clone()))
}
