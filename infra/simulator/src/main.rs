//! `cargo run --release -p simulator -- --seeds N --steps M [--seed FIRST]`

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use clap::Parser;
use simulator::simulation::{Tally, run};

/// Attacks the ledger with everything that can go wrong, seed by seed.
#[derive(Parser)]
#[command(name = "simulator", version)]
struct Args {
    /// How many seeds to run
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// How many steps each
    #[arg(long, default_value_t = 500)]
    steps: u64,
    /// The first seed
    #[arg(long, value_name = "FIRST", default_value_t = 1)]
    seed: u64,
}

/// What all threads have come to.
#[derive(Default)]
struct Outcome {
    all: Tally,
    /// The lowest seed that failed, and how.
    broken: Option<(u64, String)>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let started = Instant::now();
    let outcome = run_all(&args, started);
    match outcome.broken {
        None => {
            print(&outcome.all, started);
            ExitCode::SUCCESS
        }
        Some((seed, how)) => {
            println!("\nseed {seed}, {how}");
            println!(
                "again: cargo run --release -p simulator -- --seeds 1 --steps {} --seed {seed}",
                args.steps
            );
            ExitCode::FAILURE
        }
    }
}

/// A seed runs on one thread, so that it runs the same again; there is a thread for each core.
fn run_all(args: &Args, started: Instant) -> Outcome {
    let (next, last) = (AtomicU64::new(args.seed), args.seed.saturating_add(args.seeds));
    let outcome = Mutex::new(Outcome::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= last {
                return;
            }
            let ran = run(seed, args.steps);
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            match ran {
                Ok(tally) => outcome.all.add(tally),
                Err(how) => {
                    next.store(last, Ordering::Relaxed);
                    if outcome.broken.as_ref().is_none_or(|(other, _)| seed < *other) {
                        outcome.broken = Some((seed, how.to_string()));
                    }
                }
            }
            progress(outcome.all.seeds, args.seeds, started);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn progress(done: u64, of: u64, started: Instant) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let seconds = started.elapsed().as_secs();
        // Nothing depends on whether anybody sees it.
        drop(write!(stderr, "\r{done} of {of} seeds, {seconds} s").and_then(|()| stderr.flush()));
    }
}

fn print(all: &Tally, started: Instant) {
    let Tally { seeds, steps, operations, faults, crashed_at, entries } = all;
    println!();
    let operations = print_counts("operations", operations);
    let entries = print_counts("entries", entries);
    let faults = print_counts("faults", faults);
    println!("killed at {} distinct await points", crashed_at.len());
    println!(
        "simulator: {seeds} seeds, {steps} steps, {operations} operations, {faults} faults, {entries} entries, \
         {} s, ok",
        started.elapsed().as_secs()
    );
}

/// Answers with their sum.
fn print_counts<K: Display>(title: &str, counts: &BTreeMap<K, u64>) -> u64 {
    println!("{title}:");
    for (name, count) in counts {
        println!("  {count:>9}  {name}");
    }
    counts.values().sum()
}
