//! What the table charged, so that budgets can be tested and a stack can be watched.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Counts since the store was opened.
#[derive(Debug, Default)]
pub struct Meter {
    round_trips: AtomicU64,
    transactions: AtomicU64,
    half_reads: AtomicU64,
    half_writes: AtomicU64,
}

/// A reading of the meter. Capacity comes in halves: an eventually consistent read costs one half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    pub round_trips: u64,
    pub transactions: u64,
    pub half_read_units: u64,
    pub half_write_units: u64,
}

impl Meter {
    pub fn reading(&self) -> Spent {
        Spent {
            round_trips: self.round_trips.load(Ordering::Relaxed),
            transactions: self.transactions.load(Ordering::Relaxed),
            half_read_units: self.half_reads.load(Ordering::Relaxed),
            half_write_units: self.half_writes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn read(&self, charged: Option<&ConsumedCapacity>) {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        self.half_reads.fetch_add(halves(charged), Ordering::Relaxed);
    }

    pub(crate) fn wrote(&self, charged: Option<&ConsumedCapacity>) {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        self.half_writes.fetch_add(halves(charged), Ordering::Relaxed);
    }

    pub(crate) fn transacted(&self, charged: &[ConsumedCapacity]) {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        self.transactions.fetch_add(1, Ordering::Relaxed);
        let halves = charged.iter().map(|one| halves(Some(one))).sum();
        self.half_writes.fetch_add(halves, Ordering::Relaxed);
    }
}

#[expect(clippy::float_arithmetic, reason = "DynamoDB reports capacity as floats; it is not money")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count of halves")]
fn halves(charged: Option<&ConsumedCapacity>) -> u64 {
    let units = charged.and_then(|charged| charged.capacity_units).unwrap_or_default();
    (units * 2.0).round() as u64
}
