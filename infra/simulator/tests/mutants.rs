//! Every deliberate fault is found, within so many seeds. `cargo test --release -p simulator --features mutants`
#![cfg(feature = "mutants")]

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use domain::mutants::Mutant;
use simulator::simulation::run;

const SEEDS: u64 = 30;
const STEPS: u64 = 250;

#[test]
fn every_mutant_dies_where_the_unbroken_ledger_lives() {
    let next = AtomicUsize::new(0);
    // What is bred lives on its own thread only.
    let hunt = || {
        let mut found = Vec::new();
        while let Some(mutant) = Mutant::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.push((*mutant, death(*mutant)));
        }
        found
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let found: Vec<_> = thread::scope(|scope| {
        let hunters: Vec<_> = (0..threads).map(|_| scope.spawn(hunt)).collect();
        hunters.into_iter().flat_map(|hunter| hunter.join().unwrap()).collect()
    });
    let survivors: Vec<_> = found.iter().filter(|(_, death)| death.is_none()).collect();
    assert!(survivors.is_empty(), "{survivors:?} live on after {SEEDS} seeds of {STEPS} steps");
    let last = found.iter().filter_map(|(_, death)| *death).max().unwrap();
    for seed in 1..=last {
        run(seed, STEPS).unwrap_or_else(|broken| panic!("unbroken, seed {seed}, {broken}"));
    }
}

/// The seed that finds it.
fn death(mutant: Mutant) -> Option<u64> {
    let (seed, how) = (1..=SEEDS).find_map(|seed| {
        Mutant::breed(Some(mutant));
        let outcome = run(seed, STEPS);
        Mutant::breed(None);
        outcome.err().map(|broken| (seed, broken.to_string()))
    })?;
    // Also where the test's own output is kept back.
    let how = how.lines().next().unwrap_or_default();
    writeln!(std::io::stderr(), "{mutant:?} dies at seed {seed}, {how}").expect("stderr is there");
    Some(seed)
}
