//! Which way costs least.
//!
//! Nothing is known of how values are spread, so every kind of condition is taken to leave a fixed part of the rows. What is
//! known is whether an order is delivered, and how many rows a `LIMIT` asks for.

use super::{Access, Constraints, Delivery, IndexAccess, Span};
use crate::bound::Bound;
use crate::exec::as_entity;
use crate::expr::Expr;
use crate::source::{Direction, FieldPath, IndexInfo, KeyRange};

/// A way to read the rows, and what it is thought to cost.
pub(super) struct Choice {
    pub(super) access: Access,
    pub(super) delivery: Delivery,
    pub(super) delivered: Vec<usize>,
    cost: f64,
}

pub(super) fn choose(
    bound: &Bound,
    constraints: &Constraints,
    indexes: &[IndexInfo],
    reverse_indexes: &[Option<IndexInfo>],
) -> Choice {
    let wanted = Wanted::of(bound, constraints);
    if let Some(ids) = entities(bound) {
        let access = Access::Entities(ids);
        return Choice { access, delivery: wanted.by_id, delivered: vec![], cost: 0.0 };
    }
    let nothing = |spans: &Vec<Span>| spans.is_empty();
    if constraints.fields.values().any(nothing) || constraints.id.as_ref().is_some_and(nothing) {
        let access = Access::Entities(vec![]);
        return Choice { access, delivery: wanted.by_id, delivered: vec![], cost: 0.0 };
    }
    let mut best = wanted.scan();
    let usable: Vec<Usable> = indexes
        .iter()
        .filter(|index| index.collection == *bound.collection())
        .map(|index| Usable::of(index, constraints))
        .collect();
    let single = usable.iter().filter_map(|usable| wanted.index(usable, constraints));
    let pairs = usable
        .iter()
        .enumerate()
        .flat_map(|(nth, first)| usable.iter().skip(nth + 1).map(move |second| (first, second)));
    let pairs = pairs.filter_map(|(first, second)| wanted.intersection(first, second));
    let through = reverse_indexes.iter().enumerate().filter_map(|(relation, reverse)| {
        let reverse = reverse.as_ref()?;
        wanted.through(relation, reverse, indexes)
    });
    for choice in single.chain(pairs).chain(through) {
        if choice.cost < best.cost {
            best = choice;
        }
    }
    best
}

/// The ids that the conditions name.
fn entities(bound: &Bound) -> Option<Vec<reknit_types::EntityId>> {
    bound.filter.iter().find_map(|condition| match condition {
        Expr::Compare(crate::syntax::Comparison::Equal, left, right) => match (&**left, &**right) {
            (Expr::Id(0), Expr::Constant(value)) | (Expr::Constant(value), Expr::Id(0)) => {
                Some(as_entity(&crate::datum::Datum::borrowed(value)).into_iter().collect())
            }
            _ => None,
        },
        Expr::InSet { term, set, negated: false } if **term == Expr::Id(0) => {
            let values = set.values().iter();
            Some(values.filter_map(|value| as_entity(&crate::datum::Datum::borrowed(value))).collect())
        }
        _ => None,
    })
}

/// What a query wants of a way.
struct Wanted<'b> {
    bound: &'b Bound,
    /// What a way delivers whose rows come by id.
    by_id: Delivery,
    /// Whether the order of rows matters.
    sorts: bool,
    /// How many rows are enough, if they come in order.
    enough: Option<f64>,
    /// The part of the rows that is thought to pass.
    passes: f64,
}

impl<'b> Wanted<'b> {
    fn of(bound: &'b Bound, constraints: &Constraints) -> Self {
        let plain = bound.is_plain();
        let by_id = match bound.order.as_slice() {
            _ if !plain => Delivery::Unordered,
            [] => Delivery::ById(Direction::Forward),
            [by] if by.term == Expr::Id(0) && by.descending => Delivery::ById(Direction::Backward),
            [by] if by.term == Expr::Id(0) => Delivery::ById(Direction::Forward),
            _ => Delivery::Unordered,
        };
        let known: f64 = constraints.fields.values().map(|spans| part(spans)).product();
        let others = bound.filter.len().saturating_sub(constraints.fields.len());
        let passes = known * OTHER_PART.powi(i32::try_from(others).unwrap_or(i32::MAX));
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let enough = bound.limit.filter(|_| plain).map(|limit| limit.saturating_add(bound.offset) as f64);
        Self { bound, by_id, sorts: plain && !bound.order.is_empty(), enough, passes: passes.max(1.0 / ROWS) }
    }

    /// How many of the rows of a way that holds a part of all are read.
    fn examined(&self, part: f64, in_order: bool) -> f64 {
        let all = ROWS * part;
        match self.enough {
            Some(enough) if in_order => all.min(enough * part.max(self.passes) / self.passes),
            _ => all,
        }
    }

    fn sort_cost(&self, delivery: Delivery) -> f64 {
        if self.sorts && delivery == Delivery::Unordered { ROWS * self.passes * SORT_COST } else { 0.0 }
    }

    fn scan(&self) -> Choice {
        let delivery = self.by_id;
        let direction = if let Delivery::ById(direction) = delivery { direction } else { Direction::Forward };
        let examined = self.examined(1.0, delivery != Delivery::Unordered);
        let cost = examined * SCAN_COST + self.sort_cost(delivery);
        Choice { access: Access::Scan(direction), delivery, delivered: vec![], cost }
    }

    fn index(&self, usable: &Usable<'_>, constraints: &Constraints) -> Option<Choice> {
        let (delivered, direction) = self.delivered(usable, constraints);
        let asks_nothing = usable.part >= 1.0;
        if asks_nothing && delivered.is_empty() {
            return None;
        }
        let mut delivery = self.by_id;
        let mut access = usable.access(direction);
        if !delivered.is_empty() {
            delivery = Delivery::Runs(usable.fixed_components + delivered.len());
        } else if let Delivery::ById(direction) = delivery {
            access.direction = direction;
        }
        let streams = delivery != Delivery::Unordered
            && (access.sorted_ids() || !matches!(delivery, Delivery::ById(_)));
        let entries = self.examined(usable.part, streams);
        let fetched = self.examined(usable.part, delivery != Delivery::Unordered);
        let cost = entries * ENTRY_COST + fetched * FETCH_COST + self.sort_cost(delivery);
        Some(Choice { access: Access::Index(access), delivery, delivered, cost })
    }

    /// The order keys that an index delivers behind its fixed components, and which way it is walked.
    fn delivered(&self, usable: &Usable<'_>, constraints: &Constraints) -> (Vec<usize>, Direction) {
        let mut delivered = vec![];
        let mut direction = Direction::Forward;
        if !self.sorts {
            return (delivered, direction);
        }
        let mut fields = usable.index.fields.iter().skip(usable.fixed_components);
        for (nth, by) in self.bound.order.iter().enumerate() {
            let Some(path) = self.bound.base_path(&by.term) else { break };
            if constraints.fixes(&path) {
                continue;
            }
            let way = if by.descending { Direction::Backward } else { Direction::Forward };
            let nulls_fit = by.nulls_first != by.descending || constraints.excludes_null(&path);
            let goes_on = delivered.is_empty() || way == direction;
            if fields.next() != Some(&path) || !nulls_fit || !goes_on {
                break;
            }
            direction = way;
            delivered.push(nth);
        }
        (delivered, direction)
    }

    /// Conditions on what a reference leads to: those entities first, then the ones that refer to them.
    fn through(&self, relation: usize, reverse: &IndexInfo, indexes: &[IndexInfo]) -> Option<Choice> {
        let collection = &self.bound.relations.get(relation)?.fields.collection;
        let constraints = Constraints::of_partners(self.bound, relation);
        let usable = indexes.iter().filter(|index| index.collection == *collection);
        let usable = usable.map(|index| Usable::of(index, &constraints)).filter(|usable| usable.part < 1.0);
        let best = usable.min_by(|left, right| left.part.total_cmp(&right.part))?;
        let found = ROWS * best.part;
        let fetched = self.examined(best.part, self.by_id != Delivery::Unordered);
        let cost = 2.0 * found * ENTRY_COST + fetched * FETCH_COST + self.sort_cost(self.by_id);
        let access = Access::Through(best.access(Direction::Forward), reverse.clone());
        Some(Choice { access, delivery: self.by_id, delivered: vec![], cost })
    }

    fn intersection(&self, first: &Usable<'_>, second: &Usable<'_>) -> Option<Choice> {
        let asks = |usable: &Usable<'_>| usable.part < 1.0 && usable.points > 0;
        let overlap =
            first.index.fields.iter().take(1).any(|field| second.index.fields.first() == Some(field));
        if !asks(first) || !asks(second) || overlap {
            return None;
        }
        let entries = ROWS * (first.part + second.part);
        let fetched = self.examined(first.part * second.part, self.by_id != Delivery::Unordered);
        let cost = entries * ENTRY_COST + fetched * FETCH_COST + self.sort_cost(self.by_id);
        let (first, second) = (first.access(Direction::Forward), second.access(Direction::Forward));
        Some(Choice {
            access: Access::Intersection(first, second),
            delivery: self.by_id,
            delivered: vec![],
            cost,
        })
    }
}

/// What the conditions ask of an index.
struct Usable<'i> {
    index: &'i IndexInfo,
    ranges: Vec<KeyRange>,
    fixed: Vec<u8>,
    fixed_components: usize,
    /// How many components are asked for single values.
    points: usize,
    /// The part of the rows that lies there.
    part: f64,
    asks: Vec<String>,
}

impl<'i> Usable<'i> {
    fn of(index: &'i IndexInfo, constraints: &Constraints) -> Self {
        let mut usable = Self {
            index,
            ranges: vec![],
            fixed: vec![],
            fixed_components: 0,
            points: 0,
            part: 1.0,
            asks: vec![],
        };
        let mut prefixes = vec![vec![]];
        for (nth, path) in index.fields.iter().enumerate() {
            let Some(spans) = constraints.fields.get(path) else { break };
            if prefixes.len().saturating_mul(spans.len()) > RANGES_MAX {
                break;
            }
            usable.part *= part(spans);
            usable.asks.push(asks(path, spans));
            let points: Option<Vec<&Vec<u8>>> = spans.iter().map(as_point).collect();
            let Some(points) = points else {
                usable.ranges = prefixes
                    .iter()
                    .flat_map(|prefix| spans.iter().map(|span| behind(prefix, span)))
                    .collect();
                return usable;
            };
            let behind_each = |prefix: &Vec<u8>| -> Vec<Vec<u8>> {
                points.iter().map(|point| [prefix.as_slice(), point.as_slice()].concat()).collect()
            };
            prefixes = prefixes.iter().flat_map(behind_each).collect();
            usable.points = nth + 1;
            if let (true, [only]) = (usable.fixed_components == nth, prefixes.as_slice()) {
                usable.fixed = only.clone();
                usable.fixed_components = nth + 1;
            }
        }
        usable.ranges = prefixes.into_iter().map(KeyRange::prefix).collect();
        usable
    }

    fn access(&self, direction: Direction) -> IndexAccess {
        IndexAccess {
            index: self.index.clone(),
            ranges: self.ranges.clone(),
            direction,
            fixed: self.fixed.clone(),
            fixed_components: self.fixed_components,
            asks: if self.asks.is_empty() { "all".to_owned() } else { self.asks.join(", ") },
        }
    }
}

fn as_point(span: &Span) -> Option<&Vec<u8>> {
    if let Span::Point(key) = span { Some(key) } else { None }
}

fn behind(prefix: &[u8], span: &Span) -> KeyRange {
    let range = span.range();
    let from = [prefix, &range.from].concat();
    let to = match range.to {
        Some(to) => Some([prefix, &to].concat()),
        None => crate::key::after_prefix(prefix),
    };
    KeyRange { from, to }
}

/// The part of all rows that is thought to lie in `spans`.
fn part(spans: &[Span]) -> f64 {
    let each = |span: &Span| match span {
        Span::Point(_) => POINT_PART,
        Span::Range(range) if range.to.is_some() => CLOSED_PART,
        Span::Range(_) => OPEN_PART,
    };
    spans.iter().map(each).sum::<f64>().min(1.0)
}

fn asks(path: &FieldPath, spans: &[Span]) -> String {
    match spans {
        [Span::Point(_)] => format!("{path} = .."),
        [Span::Range(range)] if range.to.is_some() => format!("{path} in a range"),
        [Span::Range(_)] => format!("{path} from .."),
        spans => format!("{path} = one of {}", spans.len()),
    }
}

/// The number of rows that a collection is taken to have. Only ratios matter.
const ROWS: f64 = 10_000.0;
const POINT_PART: f64 = 0.01;
const CLOSED_PART: f64 = 0.05;
const OPEN_PART: f64 = 0.3;
const OTHER_PART: f64 = 0.3;
/// A row that comes by in a scan, against one that is looked up.
const SCAN_COST: f64 = 0.4;
const ENTRY_COST: f64 = 0.2;
const FETCH_COST: f64 = 1.0;
const SORT_COST: f64 = 0.3;
/// Ranges of one access.
const RANGES_MAX: usize = 4_096;
