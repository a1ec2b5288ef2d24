//! Measures Reknit and its peers on the same work, in the same run, and writes the table of `BENCHMARKS.md`.
//!
//! The parent process spawns itself once for each side of each system and tells both what to do. What a system
//! does is in `systems/`, one file each behind one trait; what is done and compared is in `lines.rs`.

use std::{fs, net::IpAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    lines::{Bench, Line},
    network::Network,
    results::{Results, Sample},
    systems::{NAMES, Name, Role},
};

mod checker;
mod child;
mod lines;
mod measure;
mod network;
mod pair;
mod protocol;
mod report;
mod results;
mod side;
mod systems;
mod work;

/// Measures Reknit and its peers on the same work, in the same run.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    mode: Option<Mode>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Args)]
struct Run {
    /// Only these systems, comma separated.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these lines, comma separated.
    #[arg(long, value_delimiter = ',', value_enum)]
    lines: Vec<Line>,
    /// How often to measure each line; the table shows medians.
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Where to write the table.
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Where to write every sample.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Directory of `automerge-paper.json.gz`; without it the trace line is left out.
    #[arg(long)]
    traces: Option<PathBuf>,
    /// Replay at most this many edits of the trace.
    #[arg(long)]
    trace_cap: Option<usize>,
    /// Where the systems keep their data meanwhile; give a directory on a real disk.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Leave the data and the logs where they are.
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// One side of one system; started by the parent.
    #[command(hide = true)]
    Child { system: String, side: Letter, ip: IpAddr, device: String, dir: PathBuf },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Letter {
    A,
    B,
}

fn main() -> Result<()> {
    let born = measure::now_ns();
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        match cli.mode {
            Some(Mode::Child { system, side, ip, device, dir }) => {
                log_if_asked();
                let role = match side {
                    Letter::A => Role::A,
                    Letter::B => Role::B,
                };
                systems::run_child(&system, child::Child { dir, ip, role, device, born }).await
            }
            None => tokio::select! {
                outcome = run(&cli.run) => outcome,
                _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            },
        }
    });
    // A system may leave threads behind that read stdin or never end.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

async fn run(options: &Run) -> Result<()> {
    let names = chosen(&options.only)?;
    let data =
        options.data.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/data"));
    let data = data.join(std::process::id().to_string());
    fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
    let started = measure::now_ns();
    let (traces, trace_cap) = (options.traces.clone(), options.trace_cap);
    let keep = options.keep;
    let mut bench =
        Bench { keep, network: Network::new(), data, traces, trace_cap, results: Results::default() };
    let load = report::load_average();
    for line in Line::value_variants() {
        if options.lines.is_empty() || options.lines.contains(line) {
            measure_line(&mut bench, &names, *line, options.runs).await;
        }
    }
    let context = report::Context {
        names: &names,
        runs: options.runs,
        network: bench.network.describe(),
        command: command(options),
        seconds: (measure::now_ns() - started) as f64 / 1e9,
        load,
    };
    let table = report::markdown(&bench.results, &context);
    match &options.markdown {
        Some(path) => fs::write(path, table)?,
        None => println!("{table}"),
    }
    if let Some(path) = &options.json {
        fs::write(path, serde_json::to_string_pretty(&bench.results)?)?;
    }
    if !options.keep {
        fs::remove_dir_all(&bench.data)?;
    }
    Ok(())
}

/// The systems take turns, so that what else the machine does meets all of them.
async fn measure_line(bench: &mut Bench, names: &[Name], line: Line, runs: u32) {
    // A trace takes long and says the same each time.
    let runs = if line == Line::Trace { 1 } else { runs };
    for run in 1..=runs {
        for name in names {
            eprintln!("{}: {line:?}, run {run} of {runs}", name.id);
            let outcome = tokio::time::timeout(LINE_TIMEOUT, bench.run(name.id, line)).await;
            let reason = match outcome {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no end after {} s", LINE_TIMEOUT.as_secs()),
            };
            bench.results.add(name.id, line.metric(), Sample::Failed(reason));
        }
    }
}

fn chosen(only: &[String]) -> Result<Vec<Name>> {
    if let Some(unknown) = only.iter().find(|id| !NAMES.iter().any(|name| name.id == id.as_str())) {
        let known: Vec<&str> = NAMES.iter().map(|name| name.id).collect();
        bail!("{unknown} is not one of {}", known.join(", "));
    }
    Ok(NAMES.iter().filter(|name| only.is_empty() || only.iter().any(|id| id == name.id)).copied().collect())
}

/// With `RUST_LOG` set, what a side logs goes to a file next to its data; see `--keep`.
fn log_if_asked() {
    if std::env::var_os("RUST_LOG").is_some() {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_writer(std::io::stderr)
            .init();
    }
}

/// The command as a reader would type it, without the paths of this machine.
fn command(options: &Run) -> String {
    let mut words = vec!["cargo run --release --".to_owned()];
    if !options.only.is_empty() {
        words.push(format!("--only {}", options.only.join(",")));
    }
    if !options.lines.is_empty() {
        let lines: Vec<String> =
            options.lines.iter().map(|line| format!("{line:?}").to_lowercase()).collect();
        words.push(format!("--lines {}", lines.join(",")));
    }
    words.push(format!("--runs {}", options.runs));
    if options.traces.is_some() {
        words.push("--traces DIR".to_owned());
    }
    words.push("--markdown ../BENCHMARKS.md".to_owned());
    words.join(" ")
}

const LINE_TIMEOUT: Duration = Duration::from_secs(150);
