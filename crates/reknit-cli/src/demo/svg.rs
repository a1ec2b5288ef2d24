//! The timeline as a picture: three strands that are twisted together, part, and are twisted together again.

use super::record::{Moment, Outcome, What, Who};
use crate::clock::precise;
use crate::view::short;
use std::fmt::Write;
use std::time::Duration;

/// An SVG of what happened.
pub(super) fn draw(moments: &[Moment], outcome: &Outcome) -> String {
    let scene = Scene::lay_out(moments);
    let mut svg = String::new();
    scene.open(&mut svg);
    scene.wall(&mut svg);
    for who in Who::ALL {
        scene.strand(who, &mut svg);
    }
    for placed in &scene.placed {
        scene.mark(placed, &mut svg);
    }
    scene.ends(outcome, &mut svg);
    svg.push_str("</svg>\n");
    svg
}

/// A moment and where it stands.
struct Placed<'a> {
    x: f64,
    moment: &'a Moment,
}

/// Where everything is.
struct Scene<'a> {
    placed: Vec<Placed<'a>>,
    /// From where to where Cleo is away.
    away: (f64, f64),
    end: f64,
}

impl<'a> Scene<'a> {
    fn lay_out(moments: &'a [Moment]) -> Self {
        let (mut placed, mut x): (Vec<Placed<'a>>, f64) = (Vec::new(), LEFT);
        for moment in moments {
            placed.push(Placed { x, moment });
            x += width_of(&moment.what);
        }
        let at =
            |what: &What| placed.iter().find(|placed| placed.moment.what == *what).map(|placed| placed.x);
        // Every sixth of a turn the three are evenly apart.
        let evenly = TWIST / 6.0;
        let last = placed.last().map_or(LEFT, |last| last.x);
        let end = LEFT + ((last - LEFT) / evenly).ceil() * evenly;
        let away = (at(&What::Cut).unwrap_or(end), at(&What::Heal).unwrap_or(end));
        Self { placed, away, end }
    }

    /// The height of a strand. Together the three swap places in turn, apart two of them do.
    fn y(&self, who: Who, x: f64) -> f64 {
        let place = f64::from(who as u8);
        let phase = (x - LEFT) / TWIST * std::f64::consts::TAU;
        let braided = MIDDLE + SPREAD * (phase + place * std::f64::consts::TAU / 3.0).sin();
        let apart = match who {
            Who::Ada | Who::Ben => UPPER + SPREAD * (phase + place * std::f64::consts::PI).sin(),
            Who::Cleo => LOWER,
        };
        let gone = ramp((x - self.away.0) / BEND) * (1.0 - ramp((x - self.away.1) / BEND));
        braided + (apart - braided) * gone
    }

    fn open(&self, svg: &mut String) {
        let width = self.end + RIGHT;
        let _ = write!(
            svg,
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {HEIGHT:.0}" width="{width:.0}" height="{HEIGHT:.0}" role="img" font-family="ui-sans-serif, system-ui, sans-serif" font-size="13">
<title>Three peers meet, are cut apart, write on both sides, and reknit</title>
<rect width="100%" height="100%" rx="14" fill="#10151c"/>
"##
        );
    }

    /// What stands between the two sides.
    fn wall(&self, svg: &mut String) {
        let (from, to) = (self.away.0 + BEND, self.away.1);
        let y = (UPPER + LOWER) / 2.0;
        let _ = writeln!(
            svg,
            r##"<line x1="{from:.1}" y1="{y:.1}" x2="{to:.1}" y2="{y:.1}" stroke="#5b6775" stroke-width="2" stroke-dasharray="3 9" stroke-linecap="round"/>"##
        );
    }

    fn strand(&self, who: Who, svg: &mut String) {
        let mut path = format!("M{LEFT:.1} {:.1}", self.y(who, LEFT));
        let mut x = LEFT;
        while x < self.end {
            x = (x + STEP).min(self.end);
            let _ = write!(path, "L{x:.1} {:.1}", self.y(who, x));
        }
        let colour = colour(who);
        let _ = writeln!(
            svg,
            r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="4" stroke-linecap="round" stroke-linejoin="round"/>"#
        );
    }

    fn mark(&self, placed: &Placed<'_>, svg: &mut String) {
        let x = placed.x;
        match &placed.moment.what {
            What::Edit { who, label, .. } => {
                let y = self.y(*who, x);
                let _ = writeln!(
                    svg,
                    r##"<circle cx="{x:.1}" cy="{y:.1}" r="6.5" fill="#10151c" stroke="{}" stroke-width="3"/>"##,
                    colour(*who)
                );
                text(svg, (x, self.label_y(*who)), colour(*who), "middle", label);
            }
            What::Start => {
                for who in Who::ALL {
                    let y = self.y(who, x);
                    let _ =
                        writeln!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="7" fill="{}"/>"#, colour(who));
                    text(svg, (x - 16.0, y + 4.5), colour(who), "end", who.name());
                }
            }
            What::Meet => self.caption(svg, x, "meet"),
            What::Share => self.caption(svg, x, "share"),
            What::Cut => self.caption(svg, x, "cut"),
            What::Heal => self.caption(svg, x, "heal"),
            What::Equal => {}
        }
    }

    /// Labels of the upper side stand above it, in turn nearer and farther; those of the lower side below.
    fn label_y(&self, who: Who) -> f64 {
        match who {
            Who::Ada => UPPER - SPREAD - 18.0,
            Who::Ben => UPPER - SPREAD - 38.0,
            Who::Cleo => LOWER + 28.0,
        }
    }

    fn caption(&self, svg: &mut String, x: f64, word: &str) {
        text(svg, (x, CAPTIONS), MUTED, "middle", word);
        let _ = writeln!(
            svg,
            r##"<line x1="{x:.1}" y1="{:.1}" x2="{x:.1}" y2="{:.1}" stroke="#2a3440" stroke-width="1"/>"##,
            CAPTIONS + 8.0,
            HEIGHT - 24.0
        );
    }

    fn ends(&self, outcome: &Outcome, svg: &mut String) {
        for receipt in &outcome.receipts {
            let y = self.y(receipt.who, self.end);
            let colour = colour(receipt.who);
            let _ = writeln!(svg, r#"<circle cx="{:.1}" cy="{y:.1}" r="7" fill="{colour}"/>"#, self.end);
            text(svg, (self.end + 18.0, y + 4.5), colour, "start", &short(&receipt.frontier));
        }
        let verdict = if outcome.equal { "equal, healed in" } else { "NOT EQUAL after" };
        let healed = format!("{verdict} {}", precise(Duration::from_millis(outcome.heal_ms)));
        text(svg, (self.end + RIGHT - 24.0, CAPTIONS), INK, "end", &healed);
    }
}

fn width_of(what: &What) -> f64 {
    match what {
        What::Start | What::Meet | What::Share => 100.0,
        What::Edit { letter: '+', .. } => 90.0,
        What::Cut => 110.0,
        What::Edit { .. } => 78.0,
        What::Heal => 170.0,
        What::Equal => 0.0,
    }
}

/// From 0 to 1, softly.
fn ramp(t: f64) -> f64 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

fn colour(who: Who) -> &'static str {
    match who {
        Who::Ada => "#4cc9a7",
        Who::Ben => "#f4b740",
        Who::Cleo => "#ef6f8a",
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), colour: &str, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ =
        writeln!(svg, r#"<text x="{x:.1}" y="{y:.1}" fill="{colour}" text-anchor="{anchor}">{words}</text>"#);
}

const LEFT: f64 = 76.0;
const RIGHT: f64 = 150.0;
const HEIGHT: f64 = 330.0;
const CAPTIONS: f64 = 34.0;
/// Where the braid runs, and where its two parts do while the network is cut.
const MIDDLE: f64 = 165.0;
const UPPER: f64 = 130.0;
const LOWER: f64 = 250.0;
/// How far a strand swings, and over which length it does.
const SPREAD: f64 = 24.0;
const TWIST: f64 = 300.0;
/// Length of the way out and of the way back.
const BEND: f64 = 90.0;
const STEP: f64 = 6.0;
const INK: &str = "#e6edf3";
const MUTED: &str = "#93a1b0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::picture::tests::sample;

    #[test]
    fn a_drawing_is_closed_and_its_words_are_escaped() {
        let (moments, outcome) = sample();
        let svg = draw(&moments, &outcome);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("t &amp; &lt;label&gt;") && !svg.contains("<label>"));
        assert_eq!(svg.matches("<path ").count(), 3);
        assert_eq!(svg.matches("<text ").count(), svg.matches("</text>").count());
    }

    #[test]
    fn strands_part_during_the_cut_and_only_then() {
        let (moments, _) = sample();
        let scene = Scene::lay_out(&moments);
        let (cut, heal) = scene.away;
        assert!((scene.y(Who::Cleo, cut + BEND) - LOWER).abs() < 0.01);
        assert!((scene.y(Who::Cleo, heal + BEND) - MIDDLE).abs() <= SPREAD);
        assert!((scene.y(Who::Ada, cut) - MIDDLE).abs() <= SPREAD);
    }
}
