mod markup;

use super::graph::Graph;
use super::moments::{Broken, LANES_MAX, Moments};
use super::scenario::FAILURES_MAX;
use super::text::{Bytes, Count, Seconds, Text, clipped, ranges};
use super::{DETAIL_BYTES_MAX, html};
use crate::action::{Action, heal, partition};
use crate::outcome::{EventSeen, Failure, Mark, MarkKind, Outcome, PeerSample, Sample, Standing, Timeline};
use crate::sim::{Sim, Time};
use crate::world::Traffic;
use markup::Element;
use std::collections::BTreeSet;

const HOSTILE: &str =
    "</title></script><script>alert('x')</script>\"&amp;<!-- ]]> \u{0}\u{1b}\u{202e}\u{ffff} --";

fn outcome(scenario: &str, seed: u64) -> Outcome {
    Outcome {
        scenario: scenario.to_owned(),
        seed,
        peers: 3,
        failure: None,
        heal_s: Some(0.5 + seed as f64),
        heal: Traffic { messages: 20, bytes: 3_000, ..Traffic::default() },
        minimum_bytes: Some(2_000),
        virtual_s: 60.0,
        traffic: Traffic { messages: 200, bytes: 30_000, ..Traffic::default() },
        steps: 1_000,
        digest: "0123456789abcdef".repeat(4),
        timeline: timeline(3, 20),
        attacks: Default::default(),
        answers: Default::default(),
    }
}

fn failing(scenario: &str, seed: u64) -> Outcome {
    let failure = Failure {
        rule: "converges".to_owned(),
        at_s: 60.0,
        what: "the peers are not equal:\n  0: 5 events\n  1: 4 events".to_owned(),
        story: vec!["   59.9 a packet is lost".to_owned()],
        events: vec![event("c", 1, 2, &["a", "b"]), event("b", 1, 1, &["a"]), event("a", 0, 1, &["outside"])],
        reproduce: Some(format!("reknit-sim run mine/{scenario}.toml --seed {seed}")),
    };
    Outcome { failure: Some(failure), heal_s: None, ..outcome(scenario, seed) }
}

fn event(id: &str, author: usize, seq: u64, parents: &[&str]) -> EventSeen {
    let parents = parents.iter().map(|parent| (*parent).to_owned()).collect();
    EventSeen { id: id.to_owned(), author: Some(author), seq, parents, at: vec![0, 1] }
}

fn timeline(peers: usize, samples: usize) -> Timeline {
    let samples = (0..samples).map(|at| {
        let peers = (0..peers).map(|peer| PeerSample {
            standing: [Standing::Up, Standing::Asleep, Standing::Down][(at + peer) % 3],
            events: 100 + (at * (1 + peer % 2)) as u64,
            heads: (1 + (at + peer) % 4) as u32,
            connected: 2,
        });
        Sample { at_s: at as f64, peers: peers.collect() }
    });
    let marks = vec![
        mark(5.0, MarkKind::Partition(vec![vec![0, 1], vec![1]]), &[]),
        mark(6.0, MarkKind::Cut, &[0, 2]),
        mark(7.0, MarkKind::Crash, &[1]),
        mark(9.0, MarkKind::Mend, &[0, 2]),
        mark(12.0, MarkKind::Heal, &[]),
        mark(13.0, MarkKind::Partition(vec![vec![2]]), &[]),
    ];
    Timeline { samples: samples.collect(), marks, marks_before: 0 }
}

fn mark(at_s: f64, kind: MarkKind, peers: &[usize]) -> Mark {
    Mark { at_s, what: format!("{kind:?}"), peers: peers.to_vec(), kind }
}

/// The page as elements; it is well-formed and refers to nothing outside it.
fn parsed(outcomes: &[Outcome]) -> (String, Vec<Element>) {
    let page = html(outcomes);
    let elements = markup::parse(&page);
    let ids: Vec<&str> = elements.iter().filter_map(|element| element.attribute("id")).collect();
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "ids are unique");
    for element in &elements {
        assert_eq!(element.attribute("src"), None);
        assert!(element.attributes.iter().all(|(name, _)| !name.starts_with("on")), "{element:?}");
        match element.attribute("href") {
            None | Some("data:,") => {}
            Some(href) => {
                assert!(unique.contains(href.strip_prefix('#').expect("links stay in the page")), "{href}");
            }
        }
    }
    (page, elements)
}

#[test]
fn a_page_is_well_formed_whatever_it_tells() {
    let mut odd = failing("odd", u64::MAX);
    odd.timeline = Timeline::default();
    odd.peers = 0;
    odd.virtual_s = f64::NAN;
    odd.minimum_bytes = Some(0);
    let mut strange = outcome("strange", 0);
    strange.heal_s = Some(f64::INFINITY);
    strange.timeline.samples[3].at_s = f64::NAN;
    strange.timeline.samples.truncate(5);
    let mut stranger = failing("stranger", 2);
    let events = &mut stranger.failure.as_mut().unwrap().events;
    // Ids that repeat, numbers that repeat, an event that is its own parent, peers that do not exist.
    events.extend([event("a", 0, 1, &["a", "c"]), event("a", 9, u64::MAX, &[]), event("z", 0, 0, &["z"])]);
    events[0].author = None;
    events[0].at = vec![7, 7, 900];
    for outcomes in [vec![], vec![outcome("one", 1)], vec![odd, strange, stranger]] {
        parsed(&outcomes);
    }
}

#[test]
fn hostile_text_stays_text() {
    let mut run = failing(HOSTILE, 3);
    run.digest = HOSTILE.to_owned();
    run.timeline.marks.iter_mut().for_each(|mark| mark.what = HOSTILE.to_owned());
    let failure = run.failure.as_mut().unwrap();
    failure.rule = HOSTILE.to_owned();
    failure.what = HOSTILE.to_owned();
    failure.story = vec![HOSTILE.to_owned()];
    failure.events.iter_mut().for_each(|event| {
        event.id = HOSTILE.to_owned();
        event.parents = vec![HOSTILE.to_owned()];
    });
    let (page, elements) = parsed(&[run]);
    assert_eq!(elements.iter().filter(|element| element.name == "script").count(), 1);
    assert!(!page.contains("<script>alert"));
    assert!(!page.contains(['\u{0}', '\u{1b}', '\u{202e}', '\u{ffff}']));
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;amp;"));
    assert!(page.contains("<code>reknit-sim run mine/&lt;/title&gt;"));
}

#[test]
fn every_failing_run_is_named() {
    let mut outcomes: Vec<Outcome> = (0..30).map(|seed| outcome("fine", seed)).collect();
    outcomes.extend((0..FAILURES_MAX as u64 + 10).map(|seed| failing("broken", seed * 2)));
    outcomes.push(failing("late", 77));
    let (page, elements) = parsed(&outcomes);
    for run in outcomes.iter().filter(|run| run.failure.is_some()) {
        let row = format!("<th scope=\"row\">{}</th><td class=\"n\">", run.scenario);
        let linked = page.split(&row).skip(1).any(|rest| {
            let cell = &rest[..rest.find("</td>").unwrap()];
            cell == run.seed.to_string() || cell.ends_with(&format!(">{}</a>", run.seed))
        });
        assert!(linked, "{} {}", run.scenario, run.seed);
    }
    let articles = elements.iter().filter(|element| element.name == "article");
    let failed: Vec<&Element> =
        articles.filter(|article| article.attribute("data-failed") == Some("1")).collect();
    assert_eq!(failed.len(), FAILURES_MAX);
    // A failure of another kind is not crowded out.
    assert!(page.contains("late <span class=\"seed\">seed 77</span>"));
    assert!(page.contains("fine <span class=\"seed\">seed 29</span>"), "the slowest to heal");
    assert!(!page.contains("fine <span class=\"seed\">seed 28</span>"));
}

#[test]
fn of_very_many_failures_the_seeds_are_named_as_ranges() {
    let outcomes: Vec<Outcome> =
        (0..1_200).filter(|seed| *seed != 700).map(|seed| failing("broken", seed)).collect();
    let (page, _) = parsed(&outcomes);
    assert!(page.contains("broken: 0–699, 701–1199"));
}

#[test]
fn equal_outcomes_give_equal_pages_in_any_order() {
    let mut outcomes =
        vec![outcome("a", 1), failing("b", 2), outcome("b", 3), failing("a", 4), outcome("a", 5)];
    let page = html(&outcomes);
    assert_eq!(page, html(&outcomes));
    outcomes.reverse();
    assert_eq!(page, html(&outcomes));
}

#[test]
fn a_page_has_a_bounded_size() {
    let mut large = failing("large", 0);
    large.peers = 60;
    large.timeline = timeline(60, 400);
    large.timeline.marks = (0..2_000).map(|at| mark(at as f64 / 5.0, MarkKind::Crash, &[at % 60])).collect();
    large.timeline.marks.iter_mut().for_each(|mark| mark.what = "<".repeat(1_000));
    let failure = large.failure.as_mut().unwrap();
    failure.what = "&".repeat(100_000);
    failure.story = vec!["&".repeat(10_000); 100];
    failure.events = (0..150).map(|at| event(&"\"".repeat(500), at % 60, at as u64, &["x"; 50])).collect();
    let outcomes: Vec<Outcome> = (0..30).map(|seed| Outcome { seed, ..large.clone() }).collect();
    let one = html(&outcomes[..1]).len();
    let page = html(&outcomes);
    assert!(one > 200_000, "{one}: a large run");
    assert!(page.len() < 2 * DETAIL_BYTES_MAX + 1_000_000, "{}", page.len());
}

#[test]
fn a_band_lasts_until_the_network_is_as_it_was() {
    let run = outcome("bands", 0);
    let bands: Vec<(f64, f64, bool)> = Moments::of(&run)
        .bands
        .iter()
        .map(|band| (band.from_s, band.until_s, matches!(band.what, Broken::Cut(0, 2))))
        .collect();
    assert_eq!(bands, [(5.0, 12.0, false), (6.0, 9.0, true), (13.0, 60.0, false)]);
}

#[test]
fn of_many_peers_those_that_are_behind_have_lanes() {
    let mut run = outcome("many", 0);
    run.peers = 100;
    run.timeline = timeline(100, 400);
    let last = run.timeline.samples.last_mut().unwrap();
    last.peers.iter_mut().for_each(|peer| peer.events = 900);
    last.peers[83] = PeerSample { standing: Standing::Up, events: 4, ..last.peers[83] };
    let moments = Moments::of(&run);
    assert_eq!(moments.lanes.len(), LANES_MAX);
    assert!(moments.lanes.contains(&83));
    // Thinned, a moment shows what was worst: the gap in the end is not lost.
    let lane = moments.lanes.iter().position(|peer| *peer == 83).unwrap();
    assert!(moments.moments.len() < 400);
    let end = moments.moments.last().unwrap().lanes[lane].unwrap();
    assert_eq!(end.graph.unwrap().behind, 896);
}

#[test]
fn what_only_some_peers_have_stands_out() {
    let mut run = failing("graph", 0);
    run.failure.as_mut().unwrap().events[0].at = vec![1];
    let standing = |standing: [Standing; 3]| {
        standing.map(|standing| PeerSample { standing, events: 3, heads: 1, connected: 2 }).to_vec()
    };
    let mut picture = |standings| {
        run.timeline.samples.last_mut().unwrap().peers = standing(standings);
        let graph = Graph::of(&run, run.failure.as_ref().unwrap());
        (graph.summary(), graph.draw("g").matches("class=\"event partial\"").count())
    };
    let (summary, partial) = picture([Standing::Up, Standing::Up, Standing::Down]);
    assert_eq!(
        summary,
        "1 of 3 events are not at every peer that runs: peer 0 lacks 1. What peers have that are down (1) is not known."
    );
    assert_eq!(partial, 1);
    let (summary, partial) = picture([Standing::Up, Standing::Up, Standing::Asleep]);
    assert_eq!(summary, "3 of 3 events are not at every peer that runs: peer 0 lacks 1, peer 2 lacks 3.");
    assert_eq!(partial, 3);
}

#[test]
fn numbers_are_written_for_people() {
    assert_eq!(Count(1_234_567).to_string(), "1,234,567");
    assert_eq!(Count(12).to_string(), "12");
    assert_eq!(
        [Bytes(999), Bytes(1_250), Bytes(3_000_000)].map(|bytes| bytes.to_string()),
        ["999 B", "1.2 kB", "3.0 MB"]
    );
    let seconds = [0.25, 75.04, 125.0, 7_500.0, f64::NAN].map(|seconds| Seconds(seconds).to_string());
    assert_eq!(seconds, ["0.25 s", "75.0 s", "2 min 05 s", "2 h 05 min", "0.00 s"]);
    assert_eq!(ranges([1, 2, 3, 7, 9, 10]), "1–3, 7, 9, 10");
    assert_eq!(ranges([u64::MAX]), u64::MAX.to_string());
    assert_eq!(clipped("abcdef", 6), "abcdef");
    assert_eq!(clipped("äbcdef", 2), "äb … (4 more characters)");
    assert_eq!(Text("a<b>\u{7}").to_string(), "a&lt;b&gt;\u{fffd}");
}

#[test]
fn what_is_done_to_a_world_is_in_its_picture() {
    let ran = Sim::new(1)
        .peers(2)
        .at(1.s(), partition([&[0], &[1]]))
        .at(2.s(), Action::Jump(1, 50))
        .at(3.s(), Action::Power(0))
        .at(5.s(), heal())
        .run(|_| Ok(()))
        .assert_converged();
    let timeline = ran.world.timeline().clone();
    let kinds: Vec<MarkKind> = timeline.marks.iter().take(4).map(|mark| mark.kind.clone()).collect();
    let parts = MarkKind::Partition(vec![vec![0], vec![1]]);
    assert_eq!(kinds, [parts, MarkKind::Clock, MarkKind::Crash, MarkKind::Heal]);
    let (page, _) = parsed(&[Outcome { timeline, peers: 2, ..outcome("real", 1) }]);
    assert!(page.contains("partition A: 0 | B: 1"));
    assert!(page.contains("class=\"mark crash\" tabindex=\"-1\""));
}
