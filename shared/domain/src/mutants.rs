//! Deliberate faults, each one that a plausible ledger has had. The simulator must find every one of them; without the
//! feature `mutants`, which no function enables, there are none.

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// A sale is booked under the event that told of it.
    DedupeByEventId,
    /// Whoever writes last is right.
    NoVersionFence,
    /// What was reversed before is reversed again.
    RefundByDelta,
    AllowanceWithoutCap,
    /// A captured hold stays open.
    HoldResolvedTwice,
    ExpiryIgnored,
    BurnOrderReversed,
    /// A client's key is not the request's cause.
    RetryWithNewCause,
    /// A payment that is begun counts as paid.
    CreditOnPending,
    RolloverLost,
    /// A refusal is answered without looking whether the same request was accepted before.
    RefusalBeforeCause,
    /// Looks at Stripe are not counted.
    SyncFencedByVersionAlone,
    /// A credit does not pay what is owed.
    DebtForgotten,
    /// A refund leaves the bonus.
    BonusKept,
}

impl Mutant {
    pub const ALL: [Mutant; 14] = [
        Mutant::DedupeByEventId,
        Mutant::NoVersionFence,
        Mutant::RefundByDelta,
        Mutant::AllowanceWithoutCap,
        Mutant::HoldResolvedTwice,
        Mutant::ExpiryIgnored,
        Mutant::BurnOrderReversed,
        Mutant::RetryWithNewCause,
        Mutant::CreditOnPending,
        Mutant::RolloverLost,
        Mutant::RefusalBeforeCause,
        Mutant::SyncFencedByVersionAlone,
        Mutant::DebtForgotten,
        Mutant::BonusKept,
    ];

    /// Whether this thread's ledger is broken in this way.
    #[cfg(feature = "mutants")]
    pub fn lives(self) -> bool {
        LIVING.get() == Some(self)
    }

    #[cfg(not(feature = "mutants"))]
    pub const fn lives(self) -> bool {
        false
    }

    /// Breaks this thread's ledger in this way, or mends it.
    #[cfg(feature = "mutants")]
    pub fn breed(mutant: Option<Mutant>) {
        LIVING.set(mutant);
    }
}

#[cfg(feature = "mutants")]
thread_local! {
    static LIVING: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}
