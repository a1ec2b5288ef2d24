//! A run's timeline, brought to a size that can be drawn.

use super::text::finite;
use crate::outcome::{Mark, MarkKind, Outcome, PeerSample, Sample, Standing};

/// What is drawn of a run.
pub(super) struct Moments<'a> {
    pub(super) run: &'a Outcome,
    /// Virtual seconds at which the picture begins, and how many it spans; that is more than zero.
    pub(super) from_s: f64,
    pub(super) span: f64,
    /// The peers that have a lane.
    pub(super) lanes: Vec<usize>,
    pub(super) moments: Vec<Moment>,
    pub(super) bands: Vec<Band<'a>>,
    /// The last marks, and how many there were before them.
    pub(super) marks: &'a [Mark],
    pub(super) marks_before: u64,
}

/// The lanes at one moment.
pub(super) struct Moment {
    pub(super) at_s: f64,
    /// One for each lane; none where there was no such peer yet.
    pub(super) lanes: Vec<Option<Point>>,
}

/// One peer at one moment.
#[derive(Clone, Copy)]
pub(super) struct Point {
    pub(super) standing: Standing,
    /// Events that it has less than the most advanced peer, and its heads; none while it is down.
    pub(super) graph: Option<Graph>,
}

#[derive(Clone, Copy)]
pub(super) struct Graph {
    pub(super) behind: u64,
    pub(super) heads: u64,
}

/// A time in which the network was not whole.
pub(super) struct Band<'a> {
    pub(super) from_s: f64,
    pub(super) until_s: f64,
    pub(super) what: Broken<'a>,
}

pub(super) enum Broken<'a> {
    /// Peers reach each other only inside these groups.
    Partition(&'a [Vec<usize>]),
    /// The first does not reach the second.
    Cut(usize, usize),
}

impl<'a> Moments<'a> {
    pub(super) fn of(run: &'a Outcome) -> Self {
        let timeline = &run.timeline;
        let sampled = timeline.samples.iter().map(|sample| sample.at_s);
        let marked = timeline.marks.iter().map(|mark| mark.at_s);
        let failed = run.failure.iter().map(|failure| failure.at_s);
        let times = || sampled.clone().chain(marked.clone()).chain(failed.clone()).map(finite);
        let end_s = times().fold(finite(run.virtual_s), f64::max);
        let from_s = times().reduce(f64::min).unwrap_or(0.0);
        let lanes = lanes(run);
        let stride = (timeline.samples.len() * lanes.len()).div_ceil(POINTS_MAX).max(1);
        let moments = timeline.samples.chunks(stride).map(|chunk| moment(chunk, &lanes)).collect();
        let first = timeline.marks.len().saturating_sub(MARKS_MAX);
        Self {
            run,
            from_s,
            span: (end_s - from_s).max(0.001),
            lanes,
            moments,
            bands: bands(&timeline.marks, end_s),
            marks: &timeline.marks[first..],
            marks_before: timeline.marks_before + first as u64,
        }
    }

    /// The most that any lane is behind at any time, and the most heads.
    pub(super) fn most(&self) -> Graph {
        let points = self.moments.iter().flat_map(|moment| &moment.lanes).flatten();
        let graphs = points.filter_map(|point| point.graph);
        graphs.fold(Graph { behind: 0, heads: 0 }, |most, graph| Graph {
            behind: most.behind.max(graph.behind),
            heads: most.heads.max(graph.heads),
        })
    }
}

/// All peers, or of many those that are most behind in the end, and then those that changed most.
fn lanes(run: &Outcome) -> Vec<usize> {
    let samples = &run.timeline.samples;
    let mut ranked: Vec<(u64, usize, usize)> = (0..run.peers)
        .map(|peer| {
            let end = samples.last().map_or(0, |sample| {
                let own = sample.peers.get(peer).map_or(0, |peer| peer.events);
                most_advanced(sample).saturating_sub(own)
            });
            let standings =
                samples.iter().filter_map(|sample| sample.peers.get(peer)).map(|peer| peer.standing);
            let changes = standings.clone().zip(standings.skip(1)).filter(|(one, next)| one != next).count();
            (end, changes, peer)
        })
        .collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2)));
    let mut lanes: Vec<usize> = ranked.into_iter().take(LANES_MAX).map(|(_, _, peer)| peer).collect();
    lanes.sort_unstable();
    lanes
}

fn most_advanced(sample: &Sample) -> u64 {
    sample.peers.iter().map(|peer| peer.events).max().unwrap_or(0)
}

/// Some samples as one moment: what was worst in it is what it shows.
fn moment(samples: &[Sample], lanes: &[usize]) -> Moment {
    let points = lanes.iter().map(|peer| {
        let seen = samples.iter().filter_map(|sample| {
            let found = sample.peers.get(*peer)?;
            Some(point(found, most_advanced(sample)))
        });
        seen.reduce(worst)
    });
    Moment { at_s: samples.first().map_or(0.0, |sample| finite(sample.at_s)), lanes: points.collect() }
}

fn point(peer: &PeerSample, most: u64) -> Point {
    let graph = Graph { behind: most.saturating_sub(peer.events), heads: u64::from(peer.heads) };
    Point { standing: peer.standing, graph: (peer.standing != Standing::Down).then_some(graph) }
}

fn worst(one: Point, other: Point) -> Point {
    let severe = |standing| match standing {
        Standing::Up => 0,
        Standing::Asleep => 1,
        Standing::Down => 2,
    };
    let standing = if severe(one.standing) >= severe(other.standing) { one.standing } else { other.standing };
    let graph = match (one.graph, other.graph) {
        (Some(one), Some(other)) => {
            Some(Graph { behind: one.behind.max(other.behind), heads: one.heads.max(other.heads) })
        }
        (one, other) => one.or(other),
    };
    Point { standing, graph }
}

fn bands(marks: &[Mark], end_s: f64) -> Vec<Band<'_>> {
    let mut bands: Vec<Band<'_>> = vec![];
    let mut open: Vec<usize> = vec![];
    for mark in marks {
        let at_s = finite(mark.at_s);
        let ends = |what: &Broken<'_>| match (&mark.kind, what) {
            (MarkKind::Heal, _) | (MarkKind::Partition(_), Broken::Partition(_)) => true,
            (MarkKind::Mend | MarkKind::Cut, Broken::Cut(from, to)) => mark.peers == [*from, *to],
            _ => false,
        };
        open.retain(|at| {
            let ended = ends(&bands[*at].what);
            if ended {
                bands[*at].until_s = at_s;
            }
            !ended
        });
        let what = match (&mark.kind, mark.peers.as_slice()) {
            (MarkKind::Partition(groups), _) => Broken::Partition(groups),
            (MarkKind::Cut, [from, to]) => Broken::Cut(*from, *to),
            _ => continue,
        };
        open.push(bands.len());
        bands.push(Band { from_s: at_s, until_s: end_s, what });
    }
    let more = bands.len().saturating_sub(BANDS_MAX);
    bands.drain(..more);
    bands
}

pub(super) const LANES_MAX: usize = 24;
pub(super) const MARKS_MAX: usize = 200;
const BANDS_MAX: usize = 200;
/// Points of one panel.
const POINTS_MAX: usize = 3_200;
