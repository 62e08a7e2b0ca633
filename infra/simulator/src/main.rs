//! `cargo run --release -p simulator -- --seeds N --steps M [--seed FIRST]`

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use simulator::simulation::{Tally, run};

/// Attacks the ledger with everything that can go wrong, seed by seed.
#[derive(Parser)]
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

fn main() -> ExitCode {
    let Args { seeds, steps, seed: first } = Args::parse();
    let started = Instant::now();
    let mut all = Tally::default();
    for seed in first..first.saturating_add(seeds) {
        match run(seed, steps) {
            Ok(tally) => all.add(tally),
            Err(broken) => {
                eprintln!("\nseed {seed}, {broken}");
                eprintln!(
                    "again: cargo run --release -p simulator -- --seeds 1 --steps {steps} --seed {seed}"
                );
                return ExitCode::FAILURE;
            }
        }
        progress(all.seeds, seeds, started);
    }
    print(&all, started);
    ExitCode::SUCCESS
}

fn progress(done: u64, of: u64, started: Instant) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let seconds = started.elapsed().as_secs();
        drop(write!(stderr, "\r{done} of {of} seeds, {seconds} s").and_then(|()| stderr.flush()));
    }
}

fn print(all: &Tally, started: Instant) {
    println!("\noperations:");
    for (operation, count) in &all.operations {
        println!("  {count:>9}  {operation}");
    }
    println!("faults:");
    for (fault, count) in &all.faults {
        println!("  {count:>9}  {fault}");
    }
    let (operations, faults) = (all.operations.values().sum::<u64>(), all.faults.values().sum::<u64>());
    let (seeds, steps, entries) = (all.seeds, all.steps, all.entries);
    let (points, seconds) = (all.crashed_at.len(), started.elapsed().as_secs());
    println!("killed at {points} distinct await points");
    println!(
        "simulator: {seeds} seeds, {steps} steps, {operations} operations, {faults} faults, {entries} entries, \
         {seconds} s, ok"
    );
}
