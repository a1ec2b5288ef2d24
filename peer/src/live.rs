//! Queries that stay open: what they find, and how that changes.

use crate::changes::{Change, Changes};
use crate::error::Error;
use crate::query::Known;
use crate::space::Space;
use crate::status::EventRef;
use futures::Stream;
use reknit_engine::rows::Declared;
use reknit_query::{Changed, Difference, LiveResult, Params, Plan};
use reknit_types::Value;
use std::pin::Pin;
use std::task::{Context, Poll};

/// An open query: first what it finds, then how that changes, for as long as the peer runs.
///
/// A consumer that is slow gets what happened meanwhile as one step, and nothing is ever left out: what follows a step is
/// what the query finds then. Dropping it ends it.
pub struct Live {
    space: Space,
    changes: Changes,
    declared: Declared,
    state: State,
}

enum State {
    /// Nothing was said yet.
    New(Box<Plan>),
    /// The first result was said, and that this was all is not.
    Found(Box<LiveResult>),
    /// What follows is news.
    Shown(Box<LiveResult>),
    /// An error was said, which is the last word.
    Over,
}

/// What an open query says.
#[derive(Debug, Clone, PartialEq)]
pub enum LiveStep {
    /// What there is at first: the names of the columns, and the rows.
    Found {
        /// The names.
        columns: Vec<String>,
        /// The rows, each with a value a column.
        rows: Vec<Vec<Value>>,
    },
    /// All that was there has been said. What follows is news.
    Current,
    /// How the result changed.
    Changed {
        /// The steps from the result before to that of now, in order.
        differences: Vec<Difference>,
        /// The events that caused it; empty if the consumer was so slow that they are not known any more.
        events: Vec<EventRef>,
    },
}

impl Space {
    /// A query that stays open.
    ///
    /// ```
    /// # use futures::StreamExt;
    /// # use reknit::{LiveStep, Params, Peer};
    /// # #[tokio::main]
    /// # async fn main() -> anyhow::Result<()> {
    /// # let peer = Peer::ephemeral().offline().start().await?;
    /// # let space = peer.create_space("home").await?;
    /// let mut live = space.live("SELECT title FROM albums ORDER BY title LIMIT 10", &Params::new())?;
    /// space.transact(|tx| tx.create("albums")?.set("title", "Silk").map(drop)).await?;
    /// assert!(matches!(live.next().await, Some(Ok(LiveStep::Found { .. }))));
    /// # peer.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`Space::query`].
    pub fn live(&self, sql: &str, params: &Params) -> Result<Live, Error> {
        // Whoever looks after this sees the change or is told of it.
        let changes = self.watch();
        let snapshot = self.snapshot()?;
        let known = snapshot.known()?;
        let plan = Box::new(known.plan(sql, params)?);
        let declared = known.into_declared();
        Ok(Live { space: self.clone(), changes, declared, state: State::New(plan) })
    }
}

impl Live {
    fn open(&mut self, plan: Plan) -> Result<LiveStep, Error> {
        let snapshot = self.space.snapshot()?;
        let known = Known::of(&snapshot, self.declared.clone());
        let live = LiveResult::open(plan, known.rows())?;
        let columns = live.query().columns().to_vec();
        let rows = live.rows().map(<[Value]>::to_vec).collect();
        self.state = State::Found(Box::new(live));
        Ok(LiveStep::Found { columns, rows })
    }

    fn update(&mut self, news: News) -> Result<Option<LiveStep>, Error> {
        let State::Shown(live) = &mut self.state else { return Ok(None) };
        let snapshot = self.space.snapshot()?;
        let known = Known::of(&snapshot, self.declared.clone());
        let differences =
            if news.missed { live.refresh(known.rows())? } else { live.update(known.rows(), &news.changed)? };
        let events = if news.missed { vec![] } else { news.events };
        Ok((!differences.is_empty()).then_some(LiveStep::Changed { differences, events }))
    }

    /// Everything that happened since; `None` if the peer has stopped and there is nothing left to say.
    fn poll_news(&mut self, context: &mut Context<'_>) -> Poll<Option<News>> {
        let mut news = News::default();
        loop {
            match Pin::new(&mut self.changes).poll_next(context) {
                Poll::Ready(Some(change)) => news.take(change),
                Poll::Ready(None) if news.is_empty() => return Poll::Ready(None),
                Poll::Pending if news.is_empty() => return Poll::Pending,
                Poll::Ready(None) | Poll::Pending => return Poll::Ready(Some(news)),
            }
            if news.events.len() >= EVENTS_A_STEP {
                return Poll::Ready(Some(news));
            }
        }
    }

    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<LiveStep, Error>>> {
        loop {
            let Some(news) = futures::ready!(self.poll_news(context)) else { return Poll::Ready(None) };
            match self.update(news) {
                Ok(None) => {}
                Ok(Some(step)) => return Poll::Ready(Some(Ok(step))),
                Err(error) => {
                    self.state = State::Over;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl Stream for Live {
    type Item = Result<LiveStep, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let live = self.get_mut();
        match std::mem::replace(&mut live.state, State::Over) {
            State::New(plan) => Poll::Ready(Some(live.open(*plan))),
            State::Found(result) => {
                live.state = State::Shown(result);
                Poll::Ready(Some(Ok(LiveStep::Current)))
            }
            State::Shown(result) => {
                live.state = State::Shown(result);
                live.poll_step(context)
            }
            State::Over => Poll::Ready(None),
        }
    }
}

/// What happened since the last step.
#[derive(Default)]
struct News {
    changed: Vec<Changed>,
    events: Vec<EventRef>,
    missed: bool,
}

impl News {
    fn take(&mut self, change: Change) {
        match change {
            Change::Missed { .. } => self.missed = true,
            Change::Committed { event, entities, .. } => {
                self.events.push(event);
                let changed = entities
                    .into_iter()
                    .map(|entity| Changed { collection: entity.collection, entity: entity.id });
                self.changed.extend(changed);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty() && !self.missed
    }
}

/// Events that are taken together.
const EVENTS_A_STEP: usize = 1_024;
