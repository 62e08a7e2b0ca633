//! The state of one account.

use std::collections::BTreeMap;

use serde::Serialize;

use super::SubscriptionView;
use super::subscription::Dates;
use crate::account::{Account, InForce};
use crate::catalog::{Allows, Feature, FeatureKind, Shelf, Window};
use crate::hold::Hold;
use crate::ids::HoldId;
use crate::lot::{Balances, Lot};
use crate::money::Tokens;
use crate::time::{DAY_MS, Time};

/// `GET /v1/me`: the whole state of one account.
#[derive(Debug, Serialize)]
pub struct AccountView {
    user: String,
    /// When its user was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<String>,
    plan: CurrentPlan,
    subscriptions: Vec<SubscriptionView>,
    wallet: WalletView,
    features: BTreeMap<String, FeatureView>,
    version: u64,
}

#[derive(Debug, Serialize)]
struct CurrentPlan {
    id: String,
    name: String,
    status: &'static str,
    level: u32,
    #[serde(flatten)]
    dates: Dates,
}

#[derive(Debug, Serialize)]
pub struct WalletView {
    #[serde(flatten)]
    balances: Balances,
    unlimited: bool,
    lots: Vec<LotView>,
    /// The one that ends first comes first.
    holds: Vec<HoldView>,
}

#[derive(Debug, Serialize)]
struct LotView {
    id: String,
    source: &'static str,
    remaining: u64,
    expires_at: Option<String>,
}

/// Tokens that are set aside, and until when.
#[derive(Debug, Serialize)]
pub(super) struct HoldView {
    id: String,
    tokens: u64,
    expires_at: String,
}

#[derive(Debug, Serialize)]
pub(super) struct FeatureView {
    pub(super) kind: &'static str,
    name: String,
    pub(super) allowed: bool,
    used: Option<u64>,
    pub(super) limit: Option<u64>,
    remaining: Option<u64>,
    resets_at: Option<String>,
    /// Present where there could be a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unlimited: Option<bool>,
}

/// The account as it stands at `now`, whether or not that has been journaled yet.
pub fn account(account: &Account, shelf: &Shelf, now: Time) -> AccountView {
    let account = account.advance(now).account;
    let in_force = account.plan(shelf);
    let billed_until = in_force.subscription.map(|held| held.seen.period_end);
    let features = account.features(shelf).into_iter().map(|(id, (feature, allows))| {
        (id.to_string(), FeatureView::new(feature, allows, account.at, billed_until))
    });
    AccountView {
        user: account.user.to_string(),
        closed_at: account.closed.map(Time::rfc3339),
        plan: CurrentPlan::new(in_force, account.at),
        features: features.collect(),
        subscriptions: account
            .subscriptions
            .iter()
            .map(|held| SubscriptionView::new(&held.seen, account.at))
            .collect(),
        wallet: wallet_of(&account, shelf),
        version: account.seq,
    }
}

/// `GET /v1/me/wallet`.
pub fn wallet(account: &Account, shelf: &Shelf, now: Time) -> WalletView {
    wallet_of(&account.advance(now).account, shelf)
}

fn wallet_of(account: &Account, shelf: &Shelf) -> WalletView {
    let mut lots: Vec<&Lot> = account.lots.iter().collect();
    let held = &account.subscriptions;
    lots.sort_by(|a, b| a.burn_order(held).cmp(&b.burn_order(held)));
    let mut holds: Vec<&Hold> = account.holds.iter().collect();
    holds.sort_by_key(|hold| (hold.expires_at, &hold.id));
    WalletView {
        balances: account.balances(),
        unlimited: account.has_unlimited_tokens(shelf),
        lots: lots.into_iter().map(|lot| LotView::new(lot, account)).collect(),
        holds: holds.iter().map(|hold| HoldView::new(&hold.id, hold.tokens(), hold.expires_at)).collect(),
    }
}

impl CurrentPlan {
    fn new(in_force: InForce<'_>, now: Time) -> CurrentPlan {
        let seen = in_force.subscription.map(|held| &held.seen);
        CurrentPlan {
            id: in_force.id.to_string(),
            name: in_force.plan.name.clone(),
            status: seen.map_or("none", |seen| seen.status_at(now).name()),
            level: in_force.plan.level,
            dates: seen.map(|seen| Dates::of(seen, now)).unwrap_or_default(),
        }
    }
}

impl LotView {
    fn new(lot: &Lot, account: &Account) -> LotView {
        LotView {
            id: lot.id.as_str().to_owned(),
            source: lot.source.name(),
            remaining: lot.remaining.get(),
            expires_at: lot.lapses_at(&account.subscriptions).map(Time::rfc3339),
        }
    }
}

impl HoldView {
    pub(super) fn new(id: &HoldId, tokens: Tokens, expires_at: Time) -> HoldView {
        HoldView { id: id.to_string(), tokens: tokens.get(), expires_at: expires_at.rfc3339() }
    }
}

impl FeatureView {
    /// `billed_until` ends the window of what is counted per billing period.
    pub(super) fn new(
        feature: &Feature,
        allows: Allows,
        now: Time,
        billed_until: Option<Time>,
    ) -> FeatureView {
        let (allowed, limit) = match allows {
            Allows::Flag(on) => (on, None),
            Allows::AtMost(limit) => (limit > 0, Some(limit)),
            Allows::Unlimited => (true, None),
        };
        let (used, resets_at) = match feature.kind {
            FeatureKind::Meter(window) => (Some(0), window_end(window, now, billed_until)),
            FeatureKind::Flag | FeatureKind::Gauge => (None, None),
        };
        FeatureView {
            kind: feature.kind.name(),
            name: feature.name.clone(),
            allowed,
            used,
            limit,
            remaining: limit.zip(used).map(|(limit, used)| limit.saturating_sub(used)),
            resets_at: resets_at.map(Time::rfc3339),
            unlimited: (feature.kind != FeatureKind::Flag).then_some(allows == Allows::Unlimited),
        }
    }
}

/// The end of the calendar window around `now`, in UTC; weeks begin on Monday.
fn window_end(window: Window, now: Time, billed_until: Option<Time>) -> Option<Time> {
    let days = now.millis().div_euclid(DAY_MS);
    let start_of = |day: i64| Time::from_millis(day * DAY_MS);
    match window {
        Window::Day => Some(start_of(days + 1)),
        // 1970-01-01 was a Thursday: day 4 was the first Monday.
        Window::Week => Some(start_of(days - (days - 4).rem_euclid(7) + 7)),
        Window::Month => Some(now.next_month()),
        Window::Billing => billed_until,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_end_at_midnight_utc_and_weeks_on_monday() {
        let end = |window, now: &str| {
            window_end(window, Time::parse_rfc3339(now).unwrap(), None).unwrap().rfc3339()
        };
        assert_eq!(end(Window::Day, "2026-11-21T10:00:00Z"), "2026-11-22T00:00:00Z");
        // 2026-11-21 is a Saturday.
        assert_eq!(end(Window::Week, "2026-11-21T10:00:00Z"), "2026-11-23T00:00:00Z");
        assert_eq!(end(Window::Week, "2026-11-22T23:59:59Z"), "2026-11-23T00:00:00Z");
        assert_eq!(end(Window::Week, "2026-11-23T00:00:00Z"), "2026-11-30T00:00:00Z");
        assert_eq!(end(Window::Month, "2026-12-31T23:00:00Z"), "2027-01-01T00:00:00Z");
    }
}
