//! What time and paid invoices bring of an allowance, each stretch of time once.

use super::{Granted, PaidFor, Period, Seen, Status, Subscription};
use crate::catalog::{Allowance, Window};
use crate::money::{Money, Tokens};
use crate::mutants::Mutant;
use crate::time::{DAY_MS, Time};

/// A stretch of time that is granted for once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub every: Window,
    pub index: i64,
    pub start: Time,
    pub end: Time,
}

/// What has come due of an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Granted and lapsed while nobody looked, summed, with the end of the last of them.
    pub missed: Option<(Tokens, Time)>,
    /// Into the running slot's lot.
    pub grant: Option<(Tokens, Slot)>,
    pub granted: Granted,
}

impl Slot {
    /// The slot of a drip that an instant lies in, counted from the anchor.
    /// `None` before the anchor, and for allowances that a paid invoice grants.
    pub fn at(anchor: Time, every: Window, now: Time) -> Option<Slot> {
        let since_ms = now.millis() - anchor.millis();
        let index = match every {
            _ if since_ms < 0 => return None,
            Window::Day => since_ms / DAY_MS,
            Window::Week => since_ms / (7 * DAY_MS),
            Window::Month => anchor.months_until(now),
            Window::Billing => return None,
        };
        let starts = |index: i64| match every {
            Window::Day => anchor.plus_ms(index * DAY_MS),
            Window::Week => anchor.plus_ms(index * 7 * DAY_MS),
            Window::Month | Window::Billing => anchor.plus_months(index),
        };
        Some(Slot { every, index, start: starts(index), end: starts(index + 1) })
    }

    /// The billing period that an invoice paid for.
    fn billed(period: Period) -> Slot {
        Slot { every: Window::Billing, index: period.start.seconds(), start: period.start, end: period.end }
    }
}

impl Subscription {
    /// What has come due by `now` of an allowance that drips, in closed form however long nobody looked.
    pub fn drip(&self, now: Time) -> Option<Due> {
        let Some(Allowance::Tokens { count, every, .. }) = self.seen.allowance else { return None };
        let is_tried = self.seen.status == Status::Trialing;
        let count = if is_tried { self.seen.terms.trial_tokens } else { count };
        if !self.seen.is_open() || count.is_zero() {
            return None;
        }
        let now = self.seen.by_stripes_clock(now);
        let until = self.dripping_until()?;
        let (from, until) = match self.seen.trial_end {
            Some(end) if is_tried => (self.seen.anchor, end.min(until)),
            Some(end) => (end, until),
            None => (self.seen.anchor, until),
        };
        let last_moment = until.plus_ms(-1).min(now);
        if last_moment < from {
            return None;
        }
        let slot = Slot::at(self.seen.anchor, every, last_moment)?;
        // What was heard of after the last paid slot was over finds it settled, by what was known then.
        if self.granted.is_some_and(|granted| slot.end <= granted.start) {
            return None;
        }
        let left = self.left_of(slot, count)?;
        let first = Slot::at(self.seen.anchor, every, from)?.index.max(self.next_index(every));
        let earlier = u64::try_from(slot.index - first).unwrap_or(0);
        let lapsed = count.saturating_mul(earlier);
        let running = slot.end > now && self.seen.end().is_none_or(|end| end > now);
        let missed = match running {
            true => (lapsed, slot.start),
            false => (lapsed.saturating_add(left), self.seen.end().map_or(slot.end, |end| end.min(slot.end))),
        };
        let missed = Some(missed).filter(|(tokens, _)| !tokens.is_zero());
        Some(Due { missed, grant: running.then_some((left, slot)), granted: self.granted_with(slot, count) })
    }

    /// What a paid invoice grants, where the allowance of what it paid for comes with invoices:
    /// up to the plan's, once per period.
    pub fn invoiced(&self, paid_for: &PaidFor, paid: Money, now: Time) -> Option<Due> {
        let Some(Allowance::Tokens { count, every: Window::Billing, .. }) = paid_for.allowance else {
            return None;
        };
        let period = paid_for.period.filter(|period| !paid_for.proration || self.has_paid_for(*period))?;
        if paid_for.proration && self.seen.terms.tokens_wait {
            return None;
        }
        let is_tried = paid.amount_minor == 0 && self.seen.trial_end.is_some_and(|end| period.end <= end);
        let count = if is_tried { self.seen.terms.trial_tokens } else { count };
        // A change in mid-period is billed for the rest of it, but it is still the same period.
        let whole = Period { start: self.seen.period_start, end: self.seen.period_end };
        let slot = Slot::billed(if period.end == whole.end { whole } else { period });
        let left = self.left_of(slot, count)?;
        let end = self.seen.end().map_or(slot.end, |end| end.min(slot.end));
        let granted = self.granted_with(slot, count);
        match end > now {
            true => Some(Due { missed: None, grant: Some((left, slot)), granted }),
            false => Some(Due { missed: Some((left, end)), grant: None, granted }),
        }
    }

    /// Takes over what Stripe says now. The caller has settled what came due before.
    pub fn see(&mut self, seen: Seen, now: Time) {
        let drips_otherwise = self.seen.dripping() != seen.dripping();
        self.seen = seen;
        // Where nothing was paid yet nothing was settled: what is paid for then counts from its own beginning.
        if drips_otherwise && self.paid.is_some() {
            self.skip_to(now);
            self.wait(now);
        }
    }

    /// A later period counts, whichever was heard of first: what was given up for another is not paid any more.
    pub fn pay(&mut self, paid_for: &PaidFor) {
        let Some(period) = paid_for.period else { return };
        // A change within a month that is not paid does not pay the month.
        if paid_for.proration && !self.has_paid_for(period) {
            return;
        }
        if self.paid.is_none() {
            self.skip_to(period.start);
        }
        self.paid = self.paid.max(Some(period));
    }

    /// Slots before the one around this moment are nobody's; what it was granted already counts.
    fn skip_to(&mut self, moment: Time) {
        let Some(Allowance::Tokens { every, .. }) = self.seen.allowance else { return };
        let Some(slot) = Slot::at(self.seen.anchor, every, moment) else { return };
        if self.granted.is_none_or(|granted| granted.until <= slot.start) {
            self.granted = Some(Granted { start: slot.start, until: slot.start, tokens: Tokens::ZERO });
        }
    }

    /// Where an upgrade's tokens wait, what the running slot was granted already is all that it brings. A period that
    /// begins with the change is paid in full, and waits for nothing.
    fn wait(&mut self, now: Time) {
        let Some(Allowance::Tokens { count, every, .. }) = self.seen.allowance else { return };
        let goes_on = |granted: &Granted| every != Window::Billing || granted.until == self.seen.period_end;
        let running = self.granted.filter(|granted| self.seen.terms.tokens_wait && now < granted.until);
        let running = running.filter(goes_on);
        if let Some(granted) = running.filter(|granted| !granted.tokens.is_zero()) {
            self.granted = Some(Granted { tokens: granted.tokens.max(count), ..granted });
        }
    }

    fn has_paid_for(&self, period: Period) -> bool {
        self.paid.is_some_and(|paid| paid.start <= period.start && period.start < paid.end)
    }

    /// The end of what was paid for, or of the subscription itself.
    fn dripping_until(&self) -> Option<Time> {
        let paid_through = self.paid?.end;
        Some(self.seen.end().map_or(paid_through, |end| end.min(paid_through)))
    }

    /// What a slot brings beyond what was granted for the same time already. `None` if that is nothing.
    fn left_of(&self, slot: Slot, count: Tokens) -> Option<Tokens> {
        if Mutant::AllowanceWithoutCap.lives() {
            return Some(count);
        }
        let before = self.granted.filter(|granted| slot.start < granted.until);
        let left = before.map_or(count, |granted| count.saturating_sub(granted.tokens));
        (!left.is_zero()).then_some(left)
    }

    fn granted_with(&self, slot: Slot, tokens: Tokens) -> Granted {
        let before = self.granted.filter(|granted| slot.start < granted.until);
        let until = before.map_or(slot.end, |granted| granted.until.max(slot.end));
        Granted { start: slot.start, until, tokens }
    }

    /// The first slot that may still be granted whole.
    fn next_index(&self, every: Window) -> i64 {
        let last =
            self.granted.and_then(|granted| Slot::at(self.seen.anchor, every, granted.until.plus_ms(-1)));
        last.map_or(0, |slot| slot.index + 1)
    }
}
