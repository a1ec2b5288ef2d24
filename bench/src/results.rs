//! Samples as they come, and what one cell of the table says of them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::measure::percentile;

/// One measurement, in seconds, bytes, writes a second or a plain count.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) enum Sample {
    Number(f64),
    TimedOut {
        unseen: usize,
        lost: usize,
    },
    /// The system cannot do this, or cannot say.
    NoAnswer,
    Failed(String),
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    /// By system, then by metric.
    samples: BTreeMap<String, BTreeMap<String, Vec<Sample>>>,
}

impl Results {
    pub(crate) fn add(&mut self, system: &str, metric: &str, sample: Sample) {
        eprintln!("  {system:<10} {metric:<18} {}", plain(&sample));
        let metrics = self.samples.entry(system.to_owned()).or_default();
        metrics.entry(metric.to_owned()).or_default().push(sample);
    }

    pub(crate) fn cell(&self, system: &str, metric: &str) -> Option<Cell> {
        let samples = self.samples.get(system)?.get(metric)?;
        let number = |sample: &Sample| if let Sample::Number(number) = sample { Some(*number) } else { None };
        let numbers: Vec<f64> = samples.iter().filter_map(number).collect();
        let wrong: Vec<&Sample> = samples.iter().filter(|sample| number(sample).is_none()).collect();
        Some(Cell {
            median: percentile(&numbers, 0.5),
            wrong: wrong.first().map(|first| ((*first).clone(), wrong.len())),
            runs: samples.len(),
        })
    }

    pub(crate) fn median(&self, system: &str, metric: &str) -> Option<f64> {
        self.cell(system, metric)?.median
    }
}

/// All runs of one metric on one system.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    /// Of the runs that gave a number.
    pub(crate) median: Option<f64>,
    /// The first run that gave none, and how many did not.
    pub(crate) wrong: Option<(Sample, usize)>,
    pub(crate) runs: usize,
}

fn plain(sample: &Sample) -> String {
    match sample {
        Sample::Number(number) if *number < 10.0 => format!("{number:.5}"),
        Sample::Number(number) => format!("{number:.0}"),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_a_median_and_tells_of_the_runs_that_gave_none() {
        let mut results = Results::default();
        for number in [3.0, 1.0, 2.0] {
            results.add("x", "cold.time", Sample::Number(number));
        }
        assert_eq!(results.cell("x", "cold.time"), Some(Cell { median: Some(2.0), wrong: None, runs: 3 }));
        let timed_out = Sample::TimedOut { unseen: 1, lost: 1 };
        results.add("x", "cold.time", timed_out.clone());
        let cell = Cell { median: Some(2.0), wrong: Some((timed_out, 1)), runs: 4 };
        assert_eq!(results.cell("x", "cold.time"), Some(cell));
        assert_eq!(results.cell("y", "cold.time"), None);
    }
}
