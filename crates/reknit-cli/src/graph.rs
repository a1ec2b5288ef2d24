//! The history of a space drawn as lanes of characters, newest event first, as `git log --graph` does.

/// An event and the events it follows, named by anything that can be compared.
#[derive(Debug, Clone)]
pub(crate) struct Node<K> {
    pub(crate) id: K,
    pub(crate) parents: Vec<K>,
}

/// The drawing beside one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Drawing {
    /// Above it, if lanes join there.
    pub(crate) above: Option<String>,
    /// Beside the event itself.
    pub(crate) at: String,
    /// Below it, if lanes part there.
    pub(crate) below: Option<String>,
}

/// Draws nodes that stand before all of their parents. Parents that are not among them keep their lane to the end.
pub(crate) fn draw<K: PartialEq + Clone>(nodes: &[Node<K>]) -> Vec<Drawing> {
    let mut lanes: Vec<Option<K>> = Vec::new();
    nodes.iter().map(|node| step(&mut lanes, node)).collect()
}

/// `lanes` holds, from left to right, the event each lane leads down to.
fn step<K: PartialEq + Clone>(lanes: &mut Vec<Option<K>>, node: &Node<K>) -> Drawing {
    let here = lane_of(lanes, &node.id);
    let leads_here = |lane: &usize| *lane != here && lanes[*lane].as_ref() == Some(&node.id);
    let joining: Vec<usize> = (0..lanes.len()).filter(leads_here).collect();
    let above = bend(lanes, here, &joining, |_| (true, false));
    joining.iter().for_each(|lane| lanes[*lane] = None);
    let at = row(lanes, here);
    let mut parents = node.parents.iter();
    lanes[here] = parents.next().cloned();
    let (mut parting, mut fresh) = (Vec::new(), Vec::new());
    for parent in parents {
        match lanes.iter().position(|lane| lane.as_ref() == Some(parent)) {
            Some(lane) => parting.push(lane),
            None => fresh.push(free_lane(lanes, parent.clone())),
        }
    }
    parting.extend(&fresh);
    let below = bend(lanes, here, &parting, |lane| (!fresh.contains(&lane), true));
    while lanes.last().is_some_and(Option::is_none) {
        lanes.pop();
    }
    Drawing { above, at, below }
}

fn lane_of<K: PartialEq + Clone>(lanes: &mut Vec<Option<K>>, id: &K) -> usize {
    let found = lanes.iter().position(|lane| lane.as_ref() == Some(id));
    found.unwrap_or_else(|| free_lane(lanes, id.clone()))
}

fn free_lane<K>(lanes: &mut Vec<Option<K>>, leads_to: K) -> usize {
    let free = lanes.iter().position(Option::is_none).unwrap_or(lanes.len());
    if free == lanes.len() {
        lanes.push(None);
    }
    lanes[free] = Some(leads_to);
    free
}

fn row<K>(lanes: &[Option<K>], here: usize) -> String {
    let cell = |(lane, leads_to): (usize, &Option<K>)| {
        let passing = if leads_to.is_some() { PASSING } else { ' ' };
        [if lane == here { EVENT } else { passing }, ' ']
    };
    let row: String = lanes.iter().enumerate().flat_map(cell).collect();
    row.trim_end().to_owned()
}

/// A line across from the event's lane to `others`, if there are any. `ways` says whether such a lane goes up and down.
fn bend<K>(
    lanes: &[Option<K>],
    here: usize,
    others: &[usize],
    ways: impl Fn(usize) -> (bool, bool),
) -> Option<String> {
    let (first, last) = ((*others.iter().min()?).min(here), (*others.iter().max()?).max(here));
    let cell = |(lane, leads_to): (usize, &Option<K>)| {
        let passes = leads_to.is_some();
        let symbol = if lane == here {
            corner((lane == first, lane == last), (true, true))
        } else if others.contains(&lane) {
            corner((lane == first, lane == last), ways(lane))
        } else if (first..last).contains(&lane) {
            if passes { '┼' } else { '─' }
        } else {
            if passes { PASSING } else { ' ' }
        };
        [symbol, if (first..last).contains(&lane) { '─' } else { ' ' }]
    };
    let line: String = lanes.iter().enumerate().flat_map(cell).collect();
    Some(line.trim_end().to_owned())
}

/// A place where a line across meets a lane that goes up, down, or both.
fn corner((first, last): (bool, bool), (up, down): (bool, bool)) -> char {
    match (first, last, up, down) {
        (true, _, true, true) => '├',
        (true, _, true, false) => '╰',
        (true, _, false, _) => '╭',
        (_, true, true, true) => '┤',
        (_, true, true, false) => '╯',
        (_, true, false, _) => '╮',
        (_, _, true, true) => '┼',
        (_, _, true, false) => '┴',
        (_, _, false, _) => '┬',
    }
}

const EVENT: char = '●';
const PASSING: char = '│';

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picture(nodes: &[(u8, &[u8])]) -> String {
        let nodes: Vec<_> =
            nodes.iter().map(|(id, parents)| Node { id: *id, parents: parents.to_vec() }).collect();
        let drawn = draw(&nodes);
        let lines = drawn.into_iter().flat_map(|drawing| [drawing.above, Some(drawing.at), drawing.below]);
        lines.flatten().collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_chain_is_one_lane() {
        assert_eq!(picture(&[(3, &[2]), (2, &[1]), (1, &[])]), "●\n●\n●");
    }

    #[test]
    fn two_branches_part_and_join() {
        let drawn = picture(&[(4, &[2, 3]), (3, &[1]), (2, &[1]), (1, &[])]);
        assert_eq!(drawn, "●\n├─╮\n│ ●\n● │\n├─╯\n●");
    }

    #[test]
    fn two_heads_need_no_merge_to_be_shown() {
        assert_eq!(picture(&[(3, &[1]), (2, &[1]), (1, &[])]), "●\n│ ●\n├─╯\n●");
    }

    proptest! {
        #[test]
        fn any_history_can_be_drawn(edges in proptest::collection::vec(proptest::collection::vec(1u8..8, 0..4), 1..30)) {
            let nodes: Vec<_> = edges.iter().enumerate().map(|(place, back)| {
                let place = place as u8;
                let mut parents: Vec<_> = back.iter().map(|step| place + step).collect();
                parents.sort_unstable();
                parents.dedup();
                Node { id: place, parents }
            }).collect();
            let drawn = draw(&nodes);
            prop_assert!(drawn.iter().all(|drawing| drawing.at.matches(EVENT).count() == 1));
        }
    }
}
