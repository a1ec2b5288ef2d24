//! The events around a failure, as a picture.

use super::text::{Px, Text, clipped, peers};
use crate::outcome::{EventSeen, Failure, Outcome, Standing};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The newest events, and who has them.
pub(super) struct Graph<'a> {
    /// The oldest first.
    events: Vec<Node<'a>>,
    /// Authors that have a lane.
    lanes: Vec<Option<usize>>,
    /// Peers whose events are known.
    known: Vec<usize>,
    peers: usize,
}

struct Node<'a> {
    event: &'a EventSeen,
    lane: usize,
    column: usize,
    /// Its parents in the picture.
    parents: Vec<usize>,
    /// What its author wrote before it, if that is in the picture and no parent.
    previous: Option<usize>,
    lacking: Vec<usize>,
}

impl<'a> Graph<'a> {
    pub(super) fn of(run: &Outcome, failure: &'a Failure) -> Self {
        let last = run.timeline.samples.last();
        let down = |peer: &usize| {
            last.and_then(|sample| sample.peers.get(*peer))
                .is_some_and(|peer| peer.standing == Standing::Down)
        };
        let known: Vec<usize> = (0..run.peers).filter(|peer| !down(peer)).collect();
        let shown: Vec<&EventSeen> = failure.events.iter().take(EVENTS_MAX).rev().collect();
        let lanes: Vec<Option<usize>> = {
            let authors: BTreeSet<(bool, Option<usize>)> =
                shown.iter().map(|event| (event.author.is_none(), event.author)).collect();
            authors.into_iter().map(|(_, author)| author).collect()
        };
        let mut graph = Self { events: vec![], lanes, known, peers: run.peers };
        let mut places = Places::default();
        for event in shown {
            let node = graph.place(event, &mut places);
            graph.events.push(node);
        }
        graph
    }

    /// An event comes to the right of its causes, and to the right of what its author wrote before.
    fn place(&self, event: &'a EventSeen, places: &mut Places<'a>) -> Node<'a> {
        let at = self.events.len();
        let lane = self.lanes.iter().position(|author| *author == event.author).unwrap_or(0);
        let mut parents: Vec<usize> =
            event.parents.iter().filter_map(|parent| places.ids.get(parent.as_str()).copied()).collect();
        parents.truncate(PARENTS_SHOWN);
        let before = event.seq.checked_sub(1);
        let previous = before.and_then(|before| places.numbers.get(&(event.author, before)).copied());
        let previous = previous.filter(|previous| !parents.contains(previous));
        let causes = parents.iter().chain(&previous).map(|cause| self.events[*cause].column + 1);
        let mut column = causes.max().unwrap_or(0);
        while !places.taken.insert((lane, column)) {
            column += 1;
        }
        places.ids.insert(&event.id, at);
        places.numbers.insert((event.author, event.seq), at);
        let has: BTreeSet<usize> = event.at.iter().copied().collect();
        let lacking = self.known.iter().copied().filter(|peer| !has.contains(peer)).collect();
        Node { event, lane, column, parents, previous, lacking }
    }

    /// What is to be seen, in words.
    pub(super) fn summary(&self) -> String {
        let partial = self.events.iter().filter(|node| !node.lacking.is_empty()).count();
        let mut text = match partial {
            0 => format!("All {} events are at every peer that runs.", self.events.len()),
            _ => format!("{partial} of {} events are not at every peer that runs: ", self.events.len()),
        };
        let mut lacks: BTreeMap<usize, usize> = BTreeMap::new();
        self.events
            .iter()
            .flat_map(|node| &node.lacking)
            .for_each(|peer| *lacks.entry(*peer).or_default() += 1);
        let each = lacks.iter().take(PEERS_SHOWN).map(|(peer, count)| format!("peer {peer} lacks {count}"));
        text.push_str(&each.collect::<Vec<_>>().join(", "));
        if lacks.len() > PEERS_SHOWN {
            let _ = write!(text, ", and {} more peers lack some", lacks.len() - PEERS_SHOWN);
        }
        if partial > 0 {
            text.push('.');
        }
        let down = self.peers - self.known.len();
        if down > 0 {
            let _ = write!(text, " What peers have that are down ({down}) is not known.");
        }
        text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn draw(&self, prefix: &str) -> String {
        let columns = self.events.iter().map(|node| node.column + 1).max().unwrap_or(1);
        let (width, height) = (columns as f64 * COLUMN + MARGIN, self.lanes.len() as f64 * LANE + MARGIN);
        let mut out = String::new();
        let _ = write!(
            out,
            "<div class=\"chart\"><svg class=\"labels\" width=\"76\" height=\"{height}\" aria-hidden=\"true\">",
            height = Px(height)
        );
        for (lane, author) in self.lanes.iter().enumerate() {
            let y = Px(y(lane) + 4.0);
            let _ = match author {
                Some(peer) => write!(out, "<text x=\"0\" y=\"{y}\">peer {peer}</text>"),
                None => write!(out, "<text x=\"0\" y=\"{y}\">a stranger</text>"),
            };
        }
        let _ = write!(
            out,
            "</svg><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Events, scrolls sideways\">\
             <svg class=\"dag\" width=\"{width}\" height=\"{height}\" role=\"group\" \
             aria-label=\"Events in lanes by author, with edges to their parents\">",
            width = Px(width),
            height = Px(height),
        );
        for lane in 0..self.lanes.len() {
            let _ = write!(out, "<path class=\"grid\" d=\"M0 {y}H{}\"/>", Px(width), y = Px(y(lane)));
        }
        self.events.iter().for_each(|node| self.draw_edges(&mut out, node));
        for (at, node) in self.events.iter().enumerate() {
            self.draw_node(&mut out, &format!("{prefix}e{at}"), node);
        }
        out.push_str("</svg></div></div>\n");
        out
    }

    fn draw_edges(&self, out: &mut String, node: &Node<'_>) {
        let chain = node.previous.iter().map(|cause| (*cause, "chain"));
        for (cause, class) in node.parents.iter().map(|cause| (*cause, "edge")).chain(chain) {
            let cause = &self.events[cause];
            let (from_x, from_y) = (x(cause.column) + BOX_WIDTH / 2.0, y(cause.lane));
            let (to_x, to_y) = (x(node.column) - BOX_WIDTH / 2.0, y(node.lane));
            let bend = ((to_x - from_x) / 2.0).max(8.0);
            let partial = if node.lacking.is_empty() { "" } else { " partial" };
            // An edge along a lane passes above what lies between.
            let far = cause.lane == node.lane && node.column > cause.column + 1;
            let lift = if far { 24.0 } else { 0.0 };
            let _ = write!(
                out,
                "<path class=\"{class}{partial}\" d=\"M{} {}C{} {} {} {} {} {}\"/>",
                Px(from_x),
                Px(from_y),
                Px(from_x + bend),
                Px(from_y - lift),
                Px(to_x - bend),
                Px(to_y - lift),
                Px(to_x),
                Px(to_y),
            );
        }
        if node.event.parents.len() > node.parents.len() {
            let (x, y) = (x(node.column) - BOX_WIDTH / 2.0, y(node.lane));
            let _ = write!(out, "<path class=\"outside\" d=\"M{} {}h-8\"/>", Px(x), Px(y));
        }
    }

    fn draw_node(&self, out: &mut String, name: &str, node: &Node<'_>) {
        let (x, y) = (x(node.column), y(node.lane));
        let class = if node.lacking.is_empty() { "event" } else { "event partial" };
        let seq = node.event.seq.to_string();
        let seq = if seq.len() > 5 { format!("…{}", &seq[seq.len() - 4..]) } else { seq };
        let _ = write!(
            out,
            "<a class=\"{class}\" href=\"#{name}\"><title>{}</title>\
             <rect x=\"{}\" y=\"{}\" width=\"{BOX_WIDTH}\" height=\"20\" rx=\"4\"/>\
             <text text-anchor=\"middle\" x=\"{}\" y=\"{}\">{seq}</text>",
            Text(&about(node)),
            Px(x - BOX_WIDTH / 2.0),
            Px(y - 10.0),
            Px(x),
            Px(y + 4.0),
        );
        if self.peers <= PIPS_MAX {
            let left = x - (self.peers as f64 * PIP) / 2.0;
            for peer in 0..self.peers {
                let has = match () {
                    () if node.event.at.contains(&peer) => "has",
                    () if node.lacking.contains(&peer) => "lacks",
                    () => "unknown",
                };
                let x = Px(left + peer as f64 * PIP);
                let _ = write!(
                    out,
                    "<rect class=\"{has}\" x=\"{x}\" y=\"{}\" width=\"4\" height=\"5\"/>",
                    Px(y + 13.0)
                );
            }
        } else {
            let count = self.known.len() - node.lacking.len();
            let _ = write!(
                out,
                "<text class=\"share\" text-anchor=\"middle\" x=\"{}\" y=\"{}\">{count}/{}</text>",
                Px(x),
                Px(y + 21.0),
                self.known.len()
            );
        }
        out.push_str("</a>");
    }

    /// The same as a table, the newest first.
    pub(super) fn table(&self, prefix: &str) -> String {
        let mut out = String::from(
            "<table><thead><tr><th>Event</th><th>Author</th><th class=\"n\">Number</th><th>Parents</th>\
             <th>At peers</th><th>Lacking at</th></tr></thead><tbody>\n",
        );
        for (at, node) in self.events.iter().enumerate().rev() {
            let event = node.event;
            let class = if node.lacking.is_empty() { "" } else { " class=\"partial\"" };
            let author = author(event);
            let _ = writeln!(
                out,
                "<tr id=\"{prefix}e{at}\"{class}><td><code>{}</code></td><td>{author}</td><td class=\"n\">{}</td>\
                 <td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                Text(&clipped(&event.id, 64)),
                event.seq,
                Text(&clipped(&event.parents.join(" "), 400)),
                peers(&event.at),
                peers(&node.lacking),
            );
        }
        out.push_str("</tbody></table>\n");
        out
    }
}

/// Where events are that were placed.
#[derive(Default)]
struct Places<'a> {
    ids: BTreeMap<&'a str, usize>,
    numbers: BTreeMap<(Option<usize>, u64), usize>,
    taken: BTreeSet<(usize, usize)>,
}

fn about(node: &Node<'_>) -> String {
    let event = node.event;
    let parents = if event.parents.is_empty() { "none".to_owned() } else { event.parents.join(" ") };
    let lacking = if node.lacking.is_empty() {
        String::new()
    } else {
        format!("\nlacking at {}", peers(&node.lacking))
    };
    let text = format!(
        "{}\n{}, number {}\nparents: {parents}\nat peers {}{lacking}",
        event.id,
        author(event),
        event.seq,
        peers(&event.at)
    );
    clipped(&text, 600).into_owned()
}

fn author(event: &EventSeen) -> String {
    event.author.map_or_else(|| "a stranger".to_owned(), |peer| format!("peer {peer}"))
}

fn x(column: usize) -> f64 {
    (column as f64 + 0.5) * COLUMN + MARGIN / 2.0
}

fn y(lane: usize) -> f64 {
    (lane as f64 + 0.5) * LANE + MARGIN / 2.0
}

const EVENTS_MAX: usize = 100;
const PARENTS_SHOWN: usize = 16;
const PEERS_SHOWN: usize = 10;
const PIPS_MAX: usize = 7;
const PIP: f64 = 6.0;
const COLUMN: f64 = 58.0;
const LANE: f64 = 52.0;
const BOX_WIDTH: f64 = 38.0;
const MARGIN: f64 = 16.0;
