//! What the simulator is there for does happen.

use simulator::simulation::{Tally, run};

const SEEDS: u64 = 8;
const STEPS: u64 = 100;

#[test]
fn every_kind_of_fault_strikes_within_a_few_seeds() {
    let mut all = Tally::default();
    for seed in 1..=SEEDS {
        all.add(run(seed, STEPS).unwrap_or_else(|broken| panic!("seed {seed}, {broken}")));
        if all.faults.values().all(|count| *count > 0) {
            return;
        }
    }
    panic!("{:?}", all.faults);
}
