//! What models say about collections.

use super::{Call, Host, pick};
use crate::exit::Failure;
use crate::view::SchemaView;
use serde::{Deserialize, Serialize};

/// What models say about the collections of a space, or about one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Schema {
    pub(crate) space: Option<String>,
    pub(crate) collection: Option<String>,
}

impl Call for Schema {
    const PATH: &'static str = "/v1/schema";
    type Reply = Vec<SchemaView>;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        let mut schemas = space.schema()?;
        if let Some(wanted) = self.collection {
            schemas.retain(|schema| schema.collection == wanted);
            if schemas.is_empty() {
                let message = format!("no app has declared what the fields of {wanted:?} are");
                return Err(Failure::not_found(message));
            }
        }
        Ok(schemas.into_iter().map(SchemaView::from).collect())
    }
}
