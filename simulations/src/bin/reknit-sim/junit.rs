//! Results as JUnit XML, in the form that GitHub actions and GitLab read.

use reknit_sim::results::{FailureResult, Results, RunResult, ScenarioResults};

/// A suite for each scenario, a case for each seed.
pub(crate) fn junit(results: &Results) -> String {
    let suites: String = results.scenarios.iter().map(suite).collect();
    let tests: usize = results.scenarios.iter().map(|scenario| scenario.runs.len()).sum();
    let failures: u64 = results.scenarios.iter().map(|scenario| scenario.summary.failures).sum();
    let time: f64 = results.scenarios.iter().map(|scenario| scenario.summary.real_s).sum();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"reknit-sim\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"{time:.3}\">\n\
         {suites}</testsuites>\n"
    )
}

fn suite(scenario: &ScenarioResults) -> String {
    let cases: String = scenario.runs.iter().map(|run| case(&scenario.name, run)).collect();
    let (name, summary) = (text(&scenario.name), &scenario.summary);
    format!(
        "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\" time=\"{:.3}\">\n\
         {cases}  </testsuite>\n",
        summary.runs, summary.failures, summary.real_s
    )
}

fn case(scenario: &str, run: &RunResult) -> String {
    let head = format!(
        "    <testcase classname=\"reknit-sim.{}\" name=\"seed {}\" time=\"{:.3}\"",
        text(scenario),
        run.seed,
        run.real_s
    );
    match &run.failure {
        None => format!("{head}/>\n"),
        Some(failure) => format!("{head}>\n{}    </testcase>\n", broken(failure)),
    }
}

fn broken(failure: &FailureResult) -> String {
    let first = failure.what.lines().next().unwrap_or_default();
    format!(
        "      <failure type=\"{}\" message=\"{}\">{}</failure>\n",
        text(&failure.rule),
        text(&format!("{}: {first}", failure.rule)),
        text(&format!(
            "{}\n\n{} at {:.3} virtual s:\n{}\n\nthe last that happened:\n{}",
            failure.reproduce,
            failure.rule,
            failure.at_s,
            failure.what,
            failure.story.join("\n")
        ))
    )
}

/// What XML 1.0 can hold: of control characters, line breaks and tabs only.
fn text(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    for letter in raw.chars() {
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\n' | '\t' => text.push(letter),
            '\u{fffe}' | '\u{ffff}' => text.push('\u{fffd}'),
            letter if letter.is_control() => text.push('\u{fffd}'),
            letter => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn nothing_that_xml_cannot_hold_gets_through() {
        assert_eq!(
            text("a<b> & \"c\"\u{0}\u{1b}[0m\r\n"),
            "a&lt;b&gt; &amp; &quot;c&quot;\u{fffd}\u{fffd}[0m\u{fffd}\n"
        );
    }
}
