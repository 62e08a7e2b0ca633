//! What goes wrong, how often, and how often it did.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;

/// In percent, drawn for each seed anew. One seed in eight is calm: what fails there fails without any fault.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    /// Of Stripe's deliveries.
    pub dropped: u8,
    pub duplicated: u8,
    /// Among so many others an event may come too early or too late.
    pub reordered_within: usize,
    /// Of calls to the table.
    pub store_error: u8,
    pub commit_then_error: u8,
    pub conflict: u8,
    pub throttled: u8,
    /// Of calls to Stripe.
    pub stripe_error: u8,
    pub stripe_lost_answer: u8,
    /// Of whole invocations.
    pub crash: u8,
    pub clock_jump: u8,
}

impl Rates {
    pub fn draw(rng: &mut Rng) -> Rates {
        if rng.u8(0..8) == 0 {
            return Rates::default();
        }
        Rates {
            dropped: rng.u8(0..=30),
            duplicated: rng.u8(0..=50),
            reordered_within: rng.usize(0..=20),
            store_error: rng.u8(0..=15),
            commit_then_error: rng.u8(0..=10),
            conflict: rng.u8(0..=10),
            throttled: rng.u8(0..=8),
            stripe_error: rng.u8(0..=10),
            stripe_lost_answer: rng.u8(0..=8),
            crash: rng.u8(0..=20),
            clock_jump: rng.u8(0..=6),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Dropped,
    Duplicated,
    Reordered,
    StoreError,
    CommitThenError,
    Conflict,
    Throttled,
    StripeError,
    StripeLostAnswer,
    Crash,
    ClockJump,
    ClockSetBack,
    DeadLetter,
}

impl Fault {
    pub const ALL: [Fault; 13] = [
        Fault::Dropped,
        Fault::Duplicated,
        Fault::Reordered,
        Fault::StoreError,
        Fault::CommitThenError,
        Fault::Conflict,
        Fault::Throttled,
        Fault::StripeError,
        Fault::StripeLostAnswer,
        Fault::Crash,
        Fault::ClockJump,
        Fault::ClockSetBack,
        Fault::DeadLetter,
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Dropped => "webhooks dropped",
            Fault::Duplicated => "webhooks duplicated",
            Fault::Reordered => "webhooks reordered",
            Fault::StoreError => "errors of the table",
            Fault::CommitThenError => "committed, then an error",
            Fault::Conflict => "transactions in conflict",
            Fault::Throttled => "calls throttled",
            Fault::StripeError => "errors of Stripe",
            Fault::StripeLostAnswer => "answers of Stripe lost",
            Fault::Crash => "crashes",
            Fault::ClockJump => "jumps of the clock",
            Fault::ClockSetBack => "clocks set back",
            Fault::DeadLetter => "dead letters redriven",
        })
    }
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Fine,
    /// Refused before anything was done.
    Refused(Fault),
    /// Done, and nobody is told.
    Lost(Fault),
}

/// One call's fate, and how long it is on its way there and back. Different delays are what reorders calls.
#[derive(Debug, Clone, Copy)]
pub struct Luck {
    pub fate: Fate,
    pub there: Duration,
    pub back: Duration,
}

/// Shared by the table, Stripe and the mail. Clones are the same dice.
#[derive(Clone)]
pub struct Faults(Arc<Mutex<State>>);

struct State {
    rng: Rng,
    rates: Rates,
    counts: BTreeMap<Fault, u64>,
}

impl Faults {
    pub fn new(seed: u64) -> Faults {
        let mut rng = Rng::with_seed(seed);
        let rates = Rates::draw(&mut rng);
        Faults::with(rng, rates)
    }

    /// For whoever only looks.
    pub fn none() -> Faults {
        Faults::with(Rng::with_seed(0), Rates::default())
    }

    /// What never strikes is counted too, so that it is seen.
    fn with(rng: Rng, rates: Rates) -> Faults {
        let counts = Fault::ALL.map(|fault| (fault, 0)).into();
        Faults(Arc::new(Mutex::new(State { rng, rates, counts })))
    }

    pub fn rates(&self) -> Rates {
        self.state().rates
    }

    /// From now on nothing goes wrong any more.
    pub fn cease(&self) {
        self.state().rates = Rates::default();
    }

    pub fn counts(&self) -> BTreeMap<Fault, u64> {
        self.state().counts.clone()
    }

    /// Whether a fault of this likelihood happens now. It is counted if it does.
    pub fn strikes(&self, fault: Fault, percent: u8) -> bool {
        let mut state = self.state();
        let strikes = state.rng.u8(0..100) < percent;
        if strikes {
            *state.counts.entry(fault).or_default() += 1;
        }
        strikes
    }

    pub fn of_table(&self, is_transaction: bool, is_write: bool) -> Luck {
        let rates = self.rates();
        let fate = if self.strikes(Fault::StoreError, rates.store_error) {
            Fate::Refused(Fault::StoreError)
        } else if self.strikes(Fault::Throttled, rates.throttled) {
            Fate::Refused(Fault::Throttled)
        } else if is_transaction && self.strikes(Fault::Conflict, rates.conflict) {
            Fate::Refused(Fault::Conflict)
        } else if is_write && self.strikes(Fault::CommitThenError, rates.commit_then_error) {
            Fate::Lost(Fault::CommitThenError)
        } else {
            Fate::Fine
        };
        self.luck(fate)
    }

    pub fn of_stripe(&self) -> Luck {
        let rates = self.rates();
        let fate = if self.strikes(Fault::StripeError, rates.stripe_error) {
            Fate::Refused(Fault::StripeError)
        } else if self.strikes(Fault::StripeLostAnswer, rates.stripe_lost_answer) {
            Fate::Lost(Fault::StripeLostAnswer)
        } else {
            Fate::Fine
        };
        self.luck(fate)
    }

    fn luck(&self, fate: Fate) -> Luck {
        let mut state = self.state();
        // Some take long: only then others overtake a whole invocation.
        let mut delay = || {
            let most = if state.rng.u8(0..12) == 0 { 600 } else { 30 };
            Duration::from_millis(state.rng.u64(1..most))
        };
        Luck { fate, there: delay(), back: delay() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
