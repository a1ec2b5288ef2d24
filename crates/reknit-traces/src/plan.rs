//! Who meets whom, and when, so that every transaction is made on exactly the history the trace gives it.
//!
//! Peers that meet end up equal. In a recorded session, though, messages were under way: when one author saw what the
//! other had written a second ago, the other had long gone on. So what an author had at some moment is carried by a
//! *courier*, a peer that does not write: it meets the one author at that moment and the other one later. Where the
//! authors can meet without learning too much, they do.

use crate::trace::{Trace, TraceError};
use std::collections::BTreeMap;

/// What to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How many couriers there are.
    pub couriers: usize,
    /// In this order.
    pub steps: Vec<Step>,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The author makes these transactions, one after the other, alone.
    Write {
        /// The author's number.
        author: usize,
        /// Their places in the trace.
        transactions: Vec<usize>,
        /// How many transactions the author has seen by then, its own included.
        seen: usize,
    },
    /// Two are connected until they are equal.
    Meet {
        /// One of them.
        one: Part,
        /// The other.
        other: Part,
    },
}

/// Somebody who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// An author, by number.
    Author(usize),
    /// A courier, by number.
    Courier(usize),
}

/// How many transactions of each author somebody has. Authors' transactions form chains, so this says which.
type Known = Vec<usize>;

impl Plan {
    /// Plans a trace.
    ///
    /// # Errors
    /// [`TraceError::Forgetful`].
    pub fn of(trace: &Trace) -> Result<Self, TraceError> {
        let seen = seen(trace)?;
        let mut planner = Planner::new(trace, &seen);
        for place in 0..trace.transactions.len() {
            planner.transaction(place);
        }
        (0..trace.authors).for_each(|author| planner.flush(author));
        Ok(Self { couriers: planner.couriers.len(), steps: planner.steps })
    }

    /// How often two meet.
    pub fn meetings(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Meet { .. })).count()
    }
}

/// What each transaction's author had seen before it.
fn seen(trace: &Trace) -> Result<Vec<Known>, TraceError> {
    let mut before: Vec<Known> = Vec::with_capacity(trace.transactions.len());
    let mut written = vec![0; trace.authors];
    for (place, transaction) in trace.transactions.iter().enumerate() {
        let mut known = vec![0; trace.authors];
        for parent in &transaction.parents {
            let author = trace.transactions[*parent].author;
            known = merge(&known, &before[*parent]);
            known[author] = known[author].max(before[*parent][author] + 1);
        }
        if known[transaction.author] != written[transaction.author] {
            return Err(TraceError::Forgetful { transaction: place, author: transaction.author });
        }
        written[transaction.author] += 1;
        before.push(known);
    }
    Ok(before)
}

/// An author's history at some moment, which others will need when its author has gone on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    author: usize,
    /// How many transactions the author had made.
    written: usize,
}

#[derive(Debug)]
struct Courier {
    known: Known,
    /// The transaction before which it will be met, if it carries something.
    carries_to: Option<usize>,
}

struct Planner<'a> {
    trace: &'a Trace,
    seen: &'a [Known],
    /// Transactions that need a moment of another author, by that moment.
    wanted: BTreeMap<Moment, Vec<usize>>,
    /// Each author's transactions in order.
    chains: Vec<Vec<usize>>,
    authors: Vec<Known>,
    /// Transactions that an author can make before it next meets anybody.
    waiting: Vec<Vec<usize>>,
    couriers: Vec<Courier>,
    steps: Vec<Step>,
}

impl<'a> Planner<'a> {
    fn new(trace: &'a Trace, seen: &'a [Known]) -> Self {
        let mut chains = vec![Vec::new(); trace.authors];
        let mut wanted: BTreeMap<Moment, Vec<usize>> = BTreeMap::new();
        let mut latest = vec![vec![0; trace.authors]; trace.authors];
        for (place, transaction) in trace.transactions.iter().enumerate() {
            chains[transaction.author].push(place);
            let latest: &mut Known = &mut latest[transaction.author];
            for (author, written) in seen[place].iter().copied().enumerate() {
                if author != transaction.author && written > latest[author] {
                    wanted.entry(Moment { author, written }).or_default().push(place);
                }
            }
            latest.clone_from(&seen[place]);
        }
        Self {
            trace,
            seen,
            wanted,
            chains,
            authors: vec![vec![0; trace.authors]; trace.authors],
            waiting: vec![Vec::new(); trace.authors],
            couriers: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Lets the author of a transaction learn what it lacks, and make it.
    fn transaction(&mut self, place: usize) {
        let author = self.trace.transactions[place].author;
        let seen = self.seen[place].clone();
        if self.authors[author] != seen {
            self.send_off(author);
            for (other, written) in seen.iter().copied().enumerate() {
                if other != author && self.authors[author][other] < written {
                    self.deliver(place, Moment { author: other, written });
                }
            }
        }
        self.call_off(place, &seen);
        assert_eq!(self.authors[author], seen, "the plan gives transaction {place} its history");
        self.send_off(author);
        self.waiting[author].push(place);
        self.authors[author][author] += 1;
    }

    /// The author is about to change: what others still want of this moment leaves with couriers.
    fn send_off(&mut self, author: usize) {
        let moment = Moment { author, written: self.authors[author][author] };
        for place in self.wanted.remove(&moment).unwrap_or_default() {
            self.hand_over(author, place);
        }
    }

    /// What came by way of another need not come again.
    fn call_off(&mut self, place: usize, seen: &[usize]) {
        for (author, written) in seen.iter().copied().enumerate() {
            if let Some(wanting) = self.wanted.get_mut(&Moment { author, written }) {
                wanting.retain(|wants| *wants != place);
            }
        }
        for courier in &mut self.couriers {
            courier.carries_to = courier.carries_to.filter(|to| *to != place);
        }
    }

    fn deliver(&mut self, place: usize, moment: Moment) {
        let author = self.trace.transactions[place].author;
        if let Some(courier) = self.couriers.iter().position(|courier| {
            courier.carries_to == Some(place) && courier.known[moment.author] == moment.written
        }) {
            self.couriers[courier].carries_to = None;
            return self.meet(Part::Author(author), Part::Courier(courier));
        }
        // Nobody carries it, so it is still the other's present.
        if let Some(wanting) = self.wanted.get_mut(&moment) {
            wanting.retain(|wants| *wants != place);
        }
        if self.may_learn(moment.author, author) && covers(&self.seen[place], &self.authors[moment.author]) {
            // Others may still want the moment that this meeting ends.
            self.send_off(moment.author);
            return self.meet(Part::Author(author), Part::Author(moment.author));
        }
        let courier = self.hand_over(moment.author, place);
        self.couriers[courier].carries_to = None;
        self.meet(Part::Author(author), Part::Courier(courier));
    }

    /// Whether `author` knows all that `other` has before it next writes, or never writes again.
    fn may_learn(&self, author: usize, other: usize) -> bool {
        let next = self.chains[author].get(self.authors[author][author]);
        next.is_none_or(|next| covers(&self.seen[*next], &self.authors[other]))
    }

    /// Has a courier carry what the author has now to the transaction at `place`.
    fn hand_over(&mut self, author: usize, place: usize) -> usize {
        let has = self.authors[author].clone();
        let may_come = |courier: &Courier| courier.carries_to.is_none() && covers(&has, &courier.known);
        let best = (0..self.couriers.len())
            .filter(|courier| may_come(&self.couriers[*courier]))
            .max_by_key(|courier| self.couriers[*courier].known.iter().sum::<usize>());
        let courier = best.unwrap_or_else(|| {
            self.couriers.push(Courier { known: vec![0; self.trace.authors], carries_to: None });
            self.couriers.len() - 1
        });
        self.couriers[courier].carries_to = Some(place);
        if self.couriers[courier].known != has {
            self.meet(Part::Author(author), Part::Courier(courier));
        }
        courier
    }

    fn meet(&mut self, one: Part, other: Part) {
        for part in [one, other] {
            if let Part::Author(author) = part {
                self.flush(author);
            }
        }
        let merged = merge(self.known(one), self.known(other));
        self.known_mut(one).clone_from(&merged);
        *self.known_mut(other) = merged;
        self.steps.push(Step::Meet { one, other });
    }

    fn flush(&mut self, author: usize) {
        let transactions = std::mem::take(&mut self.waiting[author]);
        if !transactions.is_empty() {
            let seen = self.authors[author].iter().sum::<usize>() - transactions.len();
            self.steps.push(Step::Write { author, transactions, seen });
        }
    }

    fn known(&self, part: Part) -> &Known {
        match part {
            Part::Author(author) => &self.authors[author],
            Part::Courier(courier) => &self.couriers[courier].known,
        }
    }

    fn known_mut(&mut self, part: Part) -> &mut Known {
        match part {
            Part::Author(author) => &mut self.authors[author],
            Part::Courier(courier) => &mut self.couriers[courier].known,
        }
    }
}

/// Whether who knows `more` learns nothing from who knows `less`.
fn covers(more: &[usize], less: &[usize]) -> bool {
    more.iter().zip(less).all(|(more, less)| more >= less)
}

fn merge(one: &[usize], other: &[usize]) -> Known {
    one.iter().zip(other).map(|(one, other)| *one.max(other)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Transaction;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn trace(authors: usize, transactions: &[(usize, &[usize])]) -> Trace {
        let transactions = transactions
            .iter()
            .map(|(author, parents)| Transaction {
                author: *author,
                parents: parents.to_vec(),
                patches: Vec::new(),
            })
            .collect();
        Trace { name: String::new(), start: String::new(), end: None, authors, transactions }
    }

    /// Carries the plan out with sets in place of peers, and checks the history under every transaction.
    fn carry_out(trace: &Trace, plan: &Plan) {
        let mut ancestors: Vec<BTreeSet<usize>> = Vec::new();
        for transaction in &trace.transactions {
            let mut all: BTreeSet<usize> = transaction.parents.iter().copied().collect();
            transaction.parents.iter().for_each(|parent| all.extend(&ancestors[*parent]));
            ancestors.push(all);
        }
        let mut has: BTreeMap<Part, BTreeSet<usize>> = BTreeMap::new();
        let mut made = 0;
        for step in &plan.steps {
            match step {
                Step::Write { author, transactions, seen } => {
                    assert_eq!(has.get(&Part::Author(*author)).map_or(0, BTreeSet::len), *seen);
                    for place in transactions {
                        let known = has.entry(Part::Author(*author)).or_default();
                        assert_eq!(known, &ancestors[*place], "under transaction {place}");
                        known.insert(*place);
                        made += 1;
                    }
                }
                Step::Meet { one, other } => {
                    let both: BTreeSet<_> =
                        [one, other].iter().filter_map(|part| has.get(part)).flatten().copied().collect();
                    has.insert(*one, both.clone());
                    has.insert(*other, both);
                }
            }
        }
        assert_eq!(made, trace.transactions.len());
    }

    #[test]
    fn authors_who_take_turns_meet_without_couriers() {
        let trace = trace(2, &[(0, &[]), (0, &[0]), (1, &[1]), (0, &[2])]);
        let plan = Plan::of(&trace).unwrap();
        carry_out(&trace, &plan);
        assert_eq!((plan.couriers, plan.meetings()), (0, 2));
        assert_eq!(plan.steps[0], Step::Write { author: 0, transactions: vec![0, 1], seen: 0 });
    }

    #[test]
    fn what_was_under_way_comes_by_courier() {
        // Author 1 sees transaction 0 only, though 0's author has gone on, and then sees the rest.
        let trace = trace(2, &[(0, &[]), (0, &[0]), (1, &[0]), (1, &[1, 2])]);
        let plan = Plan::of(&trace).unwrap();
        carry_out(&trace, &plan);
        assert_eq!((plan.couriers, plan.meetings()), (1, 3));
    }

    #[test]
    fn an_author_who_forgets_is_refused() {
        let trace = trace(1, &[(0, &[]), (0, &[])]);
        assert!(Plan::of(&trace).unwrap_err().to_string().contains("transaction 1 of author 0"));
    }

    /// Sessions in which each author now and then sees a somewhat old state of another.
    fn sessions() -> impl Strategy<Value = Trace> {
        let write = (0usize..3, proptest::option::weighted(0.4, (0usize..3, 0usize..4)));
        proptest::collection::vec(write, 1..60).prop_map(|writes| {
            let mut chains: Vec<Vec<usize>> = vec![Vec::new(); 3];
            let mut transactions = Vec::new();
            for (author, sight) in writes {
                let mut parents: Vec<usize> = chains[author].last().copied().into_iter().collect();
                if let Some((other, ago)) = sight {
                    let back = chains[other].len().checked_sub(ago + 1);
                    parents.extend(back.map(|place| chains[other][place]));
                    parents.dedup();
                }
                chains[author].push(transactions.len());
                transactions.push(Transaction { author, parents, patches: Vec::new() });
            }
            Trace { name: String::new(), start: String::new(), end: None, authors: 3, transactions }
        })
    }

    proptest! {
        #[test]
        fn every_transaction_gets_exactly_its_history(trace in sessions()) {
            carry_out(&trace, &Plan::of(&trace).unwrap());
        }
    }
}
