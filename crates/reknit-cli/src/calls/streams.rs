//! What goes on, as it happens.

use super::{Follow, Host, pick};
use crate::exit::Failure;
use crate::view::{HappeningView, WatchView};
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};

/// Changes to the entities of a space.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) space: Option<String>,
    /// Only this collection.
    pub(crate) collection: Option<String>,
}

impl Follow for Watch {
    const PATH: &'static str = "/v1/watch";
    type Item = WatchView;

    fn follow(self, host: &Host) -> Result<impl Stream<Item = WatchView> + Send + 'static, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        let changes = space.watch();
        Ok(changes.filter_map(move |change| {
            let view = WatchView::of(change, &space, self.collection.as_deref());
            async move { view }
        }))
    }
}

/// What happens to the peer: others come and go, spaces converge.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Happenings {}

impl Follow for Happenings {
    const PATH: &'static str = "/v1/happenings";
    type Item = HappeningView;

    fn follow(self, host: &Host) -> Result<impl Stream<Item = HappeningView> + Send + 'static, Failure> {
        let peer = host.peer().clone();
        Ok(host
            .peer()
            .events()
            .map(move |event| HappeningView::of(event, |device| Host::name_of(&peer, device))))
    }
}
