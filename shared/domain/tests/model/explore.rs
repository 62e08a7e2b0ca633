//! The search: every state that can be reached, each once, the nearest first.
//!
//! By hand rather than with a model checker's crate: it is forty lines, an account needs no `Hash` for it, and no web
//! server comes along. Breadth first, so that a counterexample is as short as can be.

use std::collections::{HashSet, VecDeque};
use std::fmt::Debug;

use sha2::{Digest, Sha256};

/// Something that can go on in several ways. Its `Debug` text tells it from every other.
pub trait World: Clone + Debug {
    type Step: Copy + Debug;

    /// What can happen next. Nothing can when everybody is done.
    fn steps(&self) -> Vec<Self::Step>;

    fn take(&mut self, step: Self::Step);

    /// What is wrong in this state, if something is.
    fn fault(&self) -> Option<String>;

    /// What is wrong if this is how it ended.
    fn fault_at_end(&self) -> Option<String>;
}

/// How much there was to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub states: usize,
    pub ends: usize,
}

/// The shortest way to something wrong.
#[derive(Debug)]
pub struct Counterexample<S> {
    pub fault: String,
    pub steps: Vec<S>,
}

/// Far more than any world here has: one that goes on for ever is a mistake in its model.
const MOST_STATES: usize = 200_000;

pub fn explore<W: World>(start: W) -> Result<Seen, Counterexample<W::Step>> {
    let mut ways = vec![None];
    let mut known = HashSet::from([fingerprint(&start)]);
    let mut waiting = VecDeque::from([(0, start)]);
    let mut ends = 0;
    while let Some((here, world)) = waiting.pop_front() {
        let steps = world.steps();
        let ended = steps.is_empty();
        ends += usize::from(ended);
        if let Some(fault) = world.fault().or_else(|| world.fault_at_end().filter(|_| ended)) {
            return Err(Counterexample { fault, steps: way_to(here, &ways) });
        }
        for step in steps {
            let mut next = world.clone();
            next.take(step);
            if known.insert(fingerprint(&next)) {
                waiting.push_back((ways.len(), next));
                ways.push(Some((here, step)));
            }
        }
        assert!(ways.len() < MOST_STATES, "there is no end to it");
    }
    Ok(Seen { states: ways.len(), ends })
}

fn fingerprint(world: &impl World) -> [u8; 32] {
    Sha256::digest(format!("{world:?}")).into()
}

fn way_to<S: Copy>(mut state: usize, ways: &[Option<(usize, S)>]) -> Vec<S> {
    let mut steps = Vec::new();
    while let Some((before, step)) = ways[state] {
        steps.push(step);
        state = before;
    }
    steps.reverse();
    steps
}
