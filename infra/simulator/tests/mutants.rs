//! Every deliberate fault is found, within so many seeds. `cargo test --release -p simulator --features mutants`
#![cfg(feature = "mutants")]

use std::io::Write;

use domain::mutants::Mutant;
use simulator::simulation::run;

const SEEDS: u64 = 60;
const STEPS: u64 = 250;

#[test]
fn every_mutant_dies() {
    let mut survivors = Vec::new();
    for mutant in Mutant::ALL {
        match found(mutant) {
            Some((seed, how)) => say(&format!("{mutant:?} dies at seed {seed}: {how}")),
            None => survivors.push(mutant),
        }
    }
    assert!(survivors.is_empty(), "{survivors:?} live on after {SEEDS} seeds of {STEPS} steps");
}

#[test]
fn the_unbroken_ledger_passes_the_same_seeds() {
    for seed in 1..=SEEDS {
        run(seed, STEPS).unwrap_or_else(|broken| panic!("seed {seed}, {broken}"));
    }
}

fn found(mutant: Mutant) -> Option<(u64, String)> {
    (1..=SEEDS).find_map(|seed| {
        Mutant::breed(Some(mutant));
        let outcome = run(seed, STEPS);
        Mutant::breed(None);
        outcome.err().map(|broken| (seed, broken.to_string()))
    })
}

/// Also where the test's own output is kept back.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("stderr is there");
}
