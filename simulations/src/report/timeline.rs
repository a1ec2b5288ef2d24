//! The picture of a run over virtual time.

mod axis;
mod groups;

use super::moments::{Broken, Moments, Point};
use super::text::{Count, Px, Seconds, Text, clipped, finite};
use crate::outcome::{Mark, MarkKind, Standing};
use axis::{step, tick};
use groups::{about, membership, named};
use std::fmt::Write;

/// Draws it. Names of elements begin with `prefix`.
pub(super) fn draw(moments: &Moments<'_>, prefix: &str) -> String {
    let chart = Chart::new(moments, prefix);
    // Writing to a string does not fail.
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<div class=\"chart\" data-from=\"{}\" data-span=\"{}\" data-width=\"{WIDTH}\">\
         <svg class=\"labels\" width=\"{LABELS}\" height=\"{height}\" aria-hidden=\"true\">{labels}</svg>\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Timeline, scrolls sideways\">\
         <svg class=\"plot\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-label=\"Standing, events behind and heads of each peer over virtual time\">{plot}</svg>\
         </div></div>",
        moments.from_s,
        moments.span,
        height = Px(chart.bottom() + AXIS),
        labels = chart.labels(),
        plot = chart.plot(),
    );
    out
}

struct Chart<'a> {
    moments: &'a Moments<'a>,
    prefix: &'a str,
    /// Height of a lane in the panel of standings, and in each of the others.
    bar: f64,
    row: f64,
    /// The most on the scales of events behind and of heads; at least one.
    behind: u64,
    heads: u64,
}

/// The value of a point that a panel shows.
type Shows = fn(&Point) -> Option<u64>;

impl<'a> Chart<'a> {
    fn new(moments: &'a Moments<'a>, prefix: &'a str) -> Self {
        let (bar, row) = match moments.lanes.len() {
            0..=8 => (24.0, 28.0),
            9..=14 => (20.0, 20.0),
            _ => (16.0, 16.0),
        };
        let most = moments.most();
        Self { moments, prefix, bar, row, behind: most.behind.max(1), heads: most.heads.max(1) }
    }

    fn lanes(&self) -> f64 {
        self.moments.lanes.len() as f64
    }

    fn bars_top(&self) -> f64 {
        TRACK + TITLE
    }

    fn behind_top(&self) -> f64 {
        self.bars_top() + self.lanes() * self.bar + GAP + TITLE
    }

    fn heads_top(&self) -> f64 {
        self.behind_top() + self.lanes() * self.row + GAP + TITLE
    }

    fn bottom(&self) -> f64 {
        self.heads_top() + self.lanes() * self.row + GAP / 2.0
    }

    fn x(&self, at_s: f64) -> f64 {
        ((finite(at_s) - self.moments.from_s) / self.moments.span * WIDTH).clamp(0.0, WIDTH)
    }

    fn labels(&self) -> String {
        let mut out = String::new();
        let mut title = |y: f64, text: &str| {
            let _ = write!(out, "<text class=\"title\" x=\"0\" y=\"{}\">{text}</text>", Px(y - 8.0));
        };
        title(self.bars_top(), "Peers");
        title(self.behind_top(), "Events behind");
        title(self.heads_top(), "Heads");
        for (lane, peer) in self.moments.lanes.iter().enumerate() {
            let mut label = |top: f64, height: f64, value: Option<u64>, kind: &str| {
                let y = Px(top + (lane as f64 + 0.5) * height + 4.0);
                let _ = write!(out, "<text x=\"0\" y=\"{y}\">peer {peer}</text>");
                let text = value.map(|value| format!("max {}", Count(value))).unwrap_or_default();
                let _ = write!(
                    out,
                    "<text class=\"value\" data-of=\"{kind}{lane}\" x=\"{}\" y=\"{y}\">{text}</text>",
                    Px(LABELS - 10.0)
                );
            };
            let most = |shows: Shows| {
                let points =
                    self.moments.moments.iter().filter_map(|moment| moment.lanes.get(lane)?.as_ref());
                points.filter_map(shows).max()
            };
            label(self.bars_top(), self.bar, None, "s");
            label(self.behind_top(), self.row, most(behind), "b");
            label(self.heads_top(), self.row, most(heads), "h");
        }
        out
    }

    fn plot(&self) -> String {
        let mut out = String::new();
        self.axis(&mut out);
        self.draw_bands(&mut out);
        self.draw_bars(&mut out);
        self.draw_panel(&mut out, self.behind_top(), ("behind", "b"), (self.behind, behind));
        self.draw_panel(&mut out, self.heads_top(), ("heads", "h"), (self.heads, heads));
        self.draw_groups(&mut out);
        self.draw_outcome(&mut out);
        for (number, mark) in self.moments.marks.iter().enumerate() {
            self.draw_mark(&mut out, number, mark);
        }
        let _ =
            write!(out, "<line class=\"cursor\" y1=\"0\" y2=\"{}\" x1=\"-9\" x2=\"-9\"/>", Px(self.bottom()));
        out
    }

    fn axis(&self, out: &mut String) {
        let step = step(self.moments.span);
        let first = (self.moments.from_s / step).ceil();
        let mut number = first;
        while number * step <= self.moments.from_s + self.moments.span && number < first + 50.0 {
            let (at_s, x) = (number * step, self.x(number * step));
            let bottom = self.bottom();
            let _ = write!(out, "<path class=\"grid\" d=\"M{} {}V{}\"/>", Px(x), Px(TRACK), Px(bottom));
            let anchor = match x {
                x if x < 20.0 => "start",
                x if x > WIDTH - 20.0 => "end",
                _ => "middle",
            };
            let _ = write!(
                out,
                "<text class=\"tick\" text-anchor=\"{anchor}\" x=\"{}\" y=\"{}\">{}</text>",
                Px(x),
                Px(bottom + 15.0),
                tick(at_s, step)
            );
            number += 1.0;
        }
    }

    fn draw_bands(&self, out: &mut String) {
        for band in &self.moments.bands {
            let (from, until) = (self.x(band.from_s), self.x(band.until_s));
            let width = (until - from).max(1.0);
            match &band.what {
                Broken::Partition(groups) => {
                    let _ = write!(
                        out,
                        "<g class=\"split\"><title>{}</title><rect x=\"{}\" y=\"0\" width=\"{}\" height=\"{}\"/>",
                        Text(&about(band)),
                        Px(from),
                        Px(width),
                        Px(self.bottom()),
                    );
                    let text = format!("partition {}", named(groups));
                    let room = (width / CHAR) as usize;
                    let shown = if text.chars().count() <= room { text.as_str() } else { "partition" };
                    if shown.len() <= room {
                        let _ = write!(out, "<text x=\"{}\" y=\"12\">{}</text>", Px(from + 5.0), Text(shown));
                    }
                    out.push_str("</g>");
                }
                Broken::Cut(from_peer, to_peer) => {
                    for peer in [from_peer, to_peer] {
                        let Ok(lane) = self.moments.lanes.binary_search(peer) else { continue };
                        let _ = write!(
                            out,
                            "<rect class=\"cut\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"4\"><title>{}</title></rect>",
                            Px(from),
                            Px(self.bars_top() + (lane as f64 + 1.0) * self.bar - 4.0),
                            Px(width),
                            Text(&about(band)),
                        );
                    }
                }
            }
        }
    }

    /// A bar for each time that a peer stood in one way.
    fn draw_bars(&self, out: &mut String) {
        let moments = &self.moments.moments;
        let end_s = self.moments.from_s + self.moments.span;
        for (lane, peer) in self.moments.lanes.iter().enumerate() {
            let standing = |at: usize| {
                let point = moments.get(at)?.lanes.get(lane)?.as_ref()?;
                Some(point.standing)
            };
            let _ = write!(out, "<g class=\"bars\" data-lane=\"{lane}\">");
            let mut at = 0;
            while at < moments.len() {
                let now = standing(at);
                let mut next = at + 1;
                while next < moments.len() && standing(next) == now {
                    next += 1;
                }
                let (from_s, until_s) = (moments[at].at_s, moments.get(next).map_or(end_s, |m| m.at_s));
                if let Some(now) = now {
                    self.draw_bar(out, (lane, *peer), now, (from_s, until_s));
                }
                at = next;
            }
            out.push_str("</g>");
        }
    }

    /// Each standing has a colour and a height: it can be told without colours.
    fn draw_bar(
        &self,
        out: &mut String,
        (lane, peer): (usize, usize),
        now: Standing,
        (from, until): (f64, f64),
    ) {
        let (class, share) = match now {
            Standing::Up => ("up", 0.58),
            Standing::Asleep => ("asleep", 0.3),
            Standing::Down => ("down", 0.12),
        };
        let height = self.bar * share;
        let _ = write!(
            out,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>peer {peer} {class}, {} to {}</title></rect>",
            Px(self.x(from)),
            Px(self.bars_top() + (lane as f64 + 0.5) * self.bar - height / 2.0),
            Px((self.x(until) - self.x(from)).max(0.5)),
            Px(height),
            Seconds(from),
            Seconds(until),
        );
    }

    /// A line for each peer, all on one scale. Its points are values, and a transformation brings them to their place.
    fn draw_panel(
        &self,
        out: &mut String,
        top: f64,
        (class, kind): (&str, &str),
        (most, shows): (u64, Shows),
    ) {
        let moments = &self.moments.moments;
        for lane in 0..self.moments.lanes.len() {
            let base = top + (lane as f64 + 1.0) * self.row - 2.0;
            let _ = write!(out, "<path class=\"base\" d=\"M0 {}H{WIDTH}\"/>", Px(base));
            let mut points = String::new();
            let mut last: Option<u64> = None;
            for moment in moments {
                let value = moment.lanes.get(lane).and_then(|point| point.as_ref()).and_then(shows);
                if value == last {
                    continue;
                }
                let x = Px(self.x(moment.at_s));
                let _ = match (last, value) {
                    (None, Some(value)) => write!(points, "M{x} 0V{value}"),
                    (Some(_), Some(value)) => write!(points, "H{x}V{value}"),
                    (Some(_), None) => write!(points, "H{x}V0Z"),
                    (None, None) => Ok(()),
                };
                last = value;
            }
            if last.is_some() {
                let _ = write!(points, "H{WIDTH}V0Z");
            }
            let scale = (self.row - 6.0) / most as f64;
            let _ = write!(
                out,
                "<path class=\"{class}\" data-of=\"{kind}{lane}\" transform=\"translate(0 {}) scale(1 -{scale:.8})\" d=\"{points}\"/>",
                Px(base),
            );
        }
    }

    /// The group of each peer, under its bar.
    fn draw_groups(&self, out: &mut String) {
        for band in &self.moments.bands {
            let Broken::Partition(groups) = &band.what else { continue };
            let (from, until) = (self.x(band.from_s), self.x(band.until_s));
            if until - from < CHAR * 1.6 {
                continue;
            }
            for (lane, peer) in self.moments.lanes.iter().enumerate() {
                let y = self.bars_top() + (lane as f64 + 0.5) * self.bar + 3.5;
                let room = ((until - from) / CHAR) as usize;
                let name = clipped(&membership(groups, *peer), 40).into_owned();
                let name = if name.chars().count() < room { name.as_str() } else { "…" };
                let _ = write!(
                    out,
                    "<text class=\"group\" x=\"{}\" y=\"{}\">{name}</text>",
                    Px(from + 4.0),
                    Px(y)
                );
            }
        }
    }

    /// When all had become equal, or what went wrong.
    fn draw_outcome(&self, out: &mut String) {
        let (run, bottom) = (self.moments.run, Px(self.bottom()));
        let healed = self.moments.marks.iter().rev().find(|mark| mark.kind == MarkKind::Heal);
        if let (Some(mark), Some(heal_s)) = (healed, run.heal_s) {
            let (from, until) = (self.x(mark.at_s), self.x(mark.at_s + heal_s));
            let _ = write!(
                out,
                "<g class=\"healing\"><title>whole again at {}; all equal {} later</title>\
                 <rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/><path d=\"M{x} {}V{bottom}\"/></g>",
                Seconds(mark.at_s),
                Seconds(heal_s),
                Px(from),
                Px(TRACK),
                Px((until - from).max(0.5)),
                Px(self.bottom() - TRACK),
                Px(TRACK),
                x = Px(until),
            );
        }
        if let Some(failure) = &run.failure {
            let x = self.x(failure.at_s).clamp(1.0, WIDTH - 1.0);
            let _ = write!(
                out,
                "<g class=\"failed\"><title>{} is broken at {}</title><path d=\"M{x} 0V{bottom}\"/><path class=\"flag\" d=\"M{x} 0h-9v9h9z\"/></g>",
                Text(&clipped(&failure.rule, 100)),
                Seconds(failure.at_s),
                x = Px(x),
            );
        }
    }

    fn draw_mark(&self, out: &mut String, number: usize, mark: &Mark) {
        if matches!(mark.kind, MarkKind::Partition(_) | MarkKind::Cut | MarkKind::Mend) {
            return;
        }
        let x = self.x(mark.at_s);
        let (class, shape) = shape(&mark.kind);
        let lanes = mark.peers.iter().filter_map(|peer| self.moments.lanes.binary_search(peer).ok());
        let mut ys: Vec<f64> =
            lanes.map(|lane| self.bars_top() + (lane as f64 + 0.5) * self.bar).take(2).collect();
        if mark.peers.is_empty() {
            ys.push(if mark.kind == MarkKind::Heal { TRACK - 14.0 } else { TRACK - 5.0 });
        }
        for y in ys {
            let _ = write!(
                out,
                "<a class=\"mark {class}\" tabindex=\"-1\" href=\"#{}m{number}\"><title>{}: {}</title>\
                 <path transform=\"translate({} {})\" d=\"{shape}\"/></a>",
                self.prefix,
                Seconds(mark.at_s),
                Text(&clipped(&mark.what, 160)),
                Px(x.clamp(5.0, WIDTH - 5.0)),
                Px(y),
            );
        }
        if mark.kind == MarkKind::Heal {
            let (x, bottom) = (Px(x), Px(self.bottom()));
            let _ = write!(out, "<path class=\"heal-line\" d=\"M{x} {}V{bottom}\"/>", Px(TRACK));
        }
    }
}

fn behind(point: &Point) -> Option<u64> {
    point.graph.map(|graph| graph.behind)
}

fn heads(point: &Point) -> Option<u64> {
    point.graph.map(|graph| graph.heads)
}

/// The class of a mark, and its shape around the origin.
pub(super) fn shape(kind: &MarkKind) -> (&'static str, &'static str) {
    match kind {
        MarkKind::Crash => ("crash", "M-5 -5L5 5M5 -5L-5 5"),
        MarkKind::Start => ("start", "M-3 -5L5 0L-3 5z"),
        MarkKind::Sleep => ("sleep", "M-5 -3H5L0 5z"),
        MarkKind::Wake => ("wake", "M-5 3H5L0 -5z"),
        MarkKind::Clock => ("clock", "M0 -6L5 0L0 6L-5 0z"),
        MarkKind::Disk => ("disk", "M-4 -4H4V4H-4z"),
        MarkKind::Heal => ("heal", "M-5 0L-1 4L6 -5"),
        MarkKind::Partition(_) | MarkKind::Cut => ("split", "M-5 -5H5V5H-5z"),
        MarkKind::Mend | MarkKind::Other => ("other", "M0 -4A4 4 0 0 1 0 4A4 4 0 0 1 0 -4z"),
    }
}

/// Of the plot, in pixels: its height follows from the number of lanes.
const WIDTH: f64 = 960.0;
const LABELS: f64 = 116.0;
/// Where marks stand that are about nobody in particular.
const TRACK: f64 = 34.0;
const TITLE: f64 = 24.0;
const GAP: f64 = 8.0;
const AXIS: f64 = 22.0;
/// A character of small text.
const CHAR: f64 = 6.6;
