//! What clients read: the account, its journal and the catalog as JSON shapes they can rely on.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::account::{Account, Balances, Lot};
use crate::catalog::{
    Allowance, Allows, Catalog, Feature, FeatureKind, Package, Plan, PlanPrice, Text, Window,
};
use crate::entry::{Detail, Entry, Posting};
use crate::ids::{FeatureId, PackageId, PlanId};
use crate::money::Money;
use crate::time::{DAY_MS, Time};

/// `GET /v1/me`: the whole state of one account.
#[derive(Debug, Serialize)]
pub struct AccountView {
    user: String,
    plan: CurrentPlan,
    subscriptions: [(); 0],
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
    renews_at: Option<String>,
    cancel_at: Option<String>,
    trial_ends_at: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct WalletView {
    #[serde(flatten)]
    balances: Balances,
    unlimited: bool,
    lots: Vec<LotView>,
}

#[derive(Debug, Serialize)]
struct LotView {
    id: String,
    source: &'static str,
    remaining: u64,
    expires_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct FeatureView {
    kind: &'static str,
    name: String,
    allowed: bool,
    used: Option<u64>,
    limit: Option<u64>,
    remaining: Option<u64>,
    resets_at: Option<String>,
    /// Present where there could be a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    unlimited: Option<bool>,
}

/// The account as it stands at `now`, whether or not that has been journaled yet.
pub fn account(account: &Account, catalog: &Catalog, now: Time) -> AccountView {
    let (account, _) = account.advance(now);
    let (id, plan) = account.plan(catalog);
    let features = plan.features.iter().filter_map(|(id, allows)| {
        let feature = catalog.features.get(id)?;
        Some((id.to_string(), FeatureView::new(feature, *allows, account.at)))
    });
    AccountView {
        user: account.user.to_string(),
        plan: CurrentPlan::of_default(id, plan),
        subscriptions: [],
        wallet: wallet_of(&account, catalog),
        features: features.collect(),
        version: account.seq,
    }
}

/// `GET /v1/me/wallet`.
pub fn wallet(account: &Account, catalog: &Catalog, now: Time) -> WalletView {
    wallet_of(&account.advance(now).0, catalog)
}

fn wallet_of(account: &Account, catalog: &Catalog) -> WalletView {
    let mut lots: Vec<&Lot> = account.lots.iter().collect();
    lots.sort_by(|a, b| a.burn_order().cmp(&b.burn_order()));
    WalletView {
        balances: account.balances(),
        unlimited: account.has_unlimited_tokens(catalog),
        lots: lots.into_iter().map(LotView::new).collect(),
    }
}

impl CurrentPlan {
    fn of_default(id: &PlanId, plan: &Plan) -> CurrentPlan {
        CurrentPlan {
            id: id.to_string(),
            name: plan.name.clone(),
            status: "none",
            level: plan.level,
            renews_at: None,
            cancel_at: None,
            trial_ends_at: None,
        }
    }
}

impl LotView {
    fn new(lot: &Lot) -> LotView {
        LotView {
            id: lot.id.as_str().to_owned(),
            source: lot.source.name(),
            remaining: lot.remaining.get(),
            expires_at: lot.expires_at.map(Time::rfc3339),
        }
    }
}

impl FeatureView {
    fn new(feature: &Feature, allows: Allows, now: Time) -> FeatureView {
        let (allowed, limit) = match allows {
            Allows::Flag(on) => (on, None),
            Allows::AtMost(limit) => (limit > 0, Some(limit)),
            Allows::Unlimited => (true, None),
        };
        let (used, resets_at) = match feature.kind {
            FeatureKind::Meter(window) => (Some(0), window_end(window, now)),
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
fn window_end(window: Window, now: Time) -> Option<Time> {
    let days = now.millis().div_euclid(DAY_MS);
    let start_of = |day: i64| Time::from_millis(day * DAY_MS);
    match window {
        Window::Day => Some(start_of(days + 1)),
        // 1970-01-01 was a Thursday: day 4 was the first Monday.
        Window::Week => Some(start_of(days - (days - 4).rem_euclid(7) + 7)),
        Window::Month => Some(now.next_month()),
        // A billing window needs a subscription's period.
        Window::Billing => None,
    }
}

/// One line of `GET …/wallet/entries`.
#[derive(Debug, Serialize)]
pub struct EntryView {
    cause: Option<String>,
    /// Absent while time alone has done this and no write has journaled it yet.
    seq: Option<u64>,
    at: String,
    kind: &'static str,
    #[serde(flatten)]
    about: About,
    postings: Vec<PostingView>,
    available_after: u64,
    held_after: u64,
    debt_after: u64,
}

#[derive(Debug, Default, Serialize)]
struct About {
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paid: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<u64>,
}

#[derive(Debug, Serialize)]
struct PostingView {
    from: &'static str,
    to: &'static str,
    amount: u64,
    lot: Option<String>,
    at: String,
}

impl EntryView {
    pub fn new(entry: &Entry) -> EntryView {
        EntryView {
            cause: Some(entry.cause.to_string()),
            seq: Some(entry.seq),
            at: entry.at.rfc3339(),
            kind: entry.detail.kind(),
            about: About::of(&entry.detail),
            postings: posting_views(&entry.postings, entry.at),
            available_after: entry.after.available.get(),
            held_after: entry.after.held.get(),
            debt_after: entry.after.debt.get(),
        }
    }

    /// What has lapsed since the last write and is not journaled yet, if anything has.
    pub fn pending(account: &Account, now: Time) -> Option<EntryView> {
        let (after, postings) = account.advance(now);
        let balances = after.balances();
        (!postings.is_empty()).then(|| EntryView {
            cause: None,
            seq: None,
            at: after.at.rfc3339(),
            kind: "pending",
            about: About::default(),
            postings: posting_views(&postings, after.at),
            available_after: balances.available.get(),
            held_after: balances.held.get(),
            debt_after: balances.debt.get(),
        })
    }
}

impl About {
    fn of(detail: &Detail) -> About {
        match detail {
            Detail::Purchase { item, paid, .. } => {
                About { item: Some(item.to_string()), paid: Some(*paid), ..About::default() }
            }
            Detail::Consume { action, amount } => About {
                action: action.as_ref().map(|action| action.to_string()),
                amount: Some(*amount),
                ..About::default()
            },
            Detail::Checkout(request) => About { item: Some(request.item.to_string()), ..About::default() },
            Detail::Grant => About::default(),
        }
    }
}

fn posting_views(postings: &[Posting], written_at: Time) -> Vec<PostingView> {
    let view = |posting: &Posting| PostingView {
        from: posting.from.name(),
        to: posting.to.name(),
        amount: posting.amount.get(),
        lot: posting.lot.as_ref().map(|lot| lot.as_str().to_owned()),
        at: posting.at.unwrap_or(written_at).rfc3339(),
    };
    postings.iter().map(view).collect()
}

/// `POST …/consume`: rebuilt from its entry, so that a retry gets the same answer.
#[derive(Debug, Serialize)]
pub struct ConsumeView {
    entry: String,
    wallet: Balances,
    lots: Vec<Taken>,
    features: BTreeMap<String, FeatureView>,
}

#[derive(Debug, Serialize)]
struct Taken {
    id: String,
    taken: u64,
}

impl ConsumeView {
    pub fn new(entry: &Entry) -> ConsumeView {
        let taken = |(lot, taken): (&crate::account::LotId, crate::money::Tokens)| Taken {
            id: lot.as_str().to_owned(),
            taken: taken.get(),
        };
        ConsumeView {
            entry: entry.cause.to_string(),
            wallet: entry.after,
            lots: entry.taken().map(taken).collect(),
            features: BTreeMap::new(),
        }
    }
}

/// `GET /v1/plans`, worst first.
#[derive(Debug, Serialize)]
pub struct PlanView<'a> {
    id: &'a PlanId,
    name: &'a str,
    description: Option<&'a str>,
    texts: BTreeMap<&'a str, TextView<'a>>,
    level: u32,
    group: &'a str,
    default: bool,
    prices: Vec<PlanPriceView>,
    features: BTreeMap<&'a FeatureId, PlanFeature>,
    tokens: Option<AllowanceView>,
}

#[derive(Debug, Serialize)]
struct TextView<'a> {
    name: Option<&'a str>,
    description: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct PlanPriceView {
    interval: &'static str,
    #[serde(flatten)]
    price: Money,
}

#[derive(Debug, Serialize)]
struct PlanFeature {
    kind: &'static str,
    allowed: bool,
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unlimited: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct AllowanceView {
    count: Option<u64>,
    every: Option<&'static str>,
    unlimited: bool,
}

pub fn plans(catalog: &Catalog) -> Vec<PlanView<'_>> {
    let mut plans: Vec<_> = catalog.plans.iter().collect();
    plans.sort_by_key(|(id, plan)| (plan.level, *id));
    plans.into_iter().map(|(id, plan)| plan_view(id, plan, catalog)).collect()
}

fn plan_view<'a>(id: &'a PlanId, plan: &'a Plan, catalog: &'a Catalog) -> PlanView<'a> {
    let text =
        |text: &'a Text| TextView { name: text.name.as_deref(), description: text.description.as_deref() };
    let price = |price: &PlanPrice| PlanPriceView { interval: price.interval.name(), price: price.price };
    let features = plan
        .features
        .iter()
        .filter_map(|(id, allows)| Some((id, PlanFeature::new(catalog.features.get(id)?, *allows))));
    PlanView {
        id,
        name: &plan.name,
        description: plan.description.as_deref(),
        texts: plan.texts.iter().map(|(language, words)| (language.as_str(), text(words))).collect(),
        level: plan.level,
        group: &plan.group,
        default: *id == catalog.default_plan,
        prices: plan.prices.iter().map(price).collect(),
        features: features.collect(),
        tokens: plan.tokens.map(|allowance| match allowance {
            Allowance::Unlimited => AllowanceView { count: None, every: None, unlimited: true },
            Allowance::Tokens { count, every } => {
                AllowanceView { count: Some(count.get()), every: Some(every.name()), unlimited: false }
            }
        }),
    }
}

impl PlanFeature {
    fn new(feature: &Feature, allows: Allows) -> PlanFeature {
        let whole = FeatureView::new(feature, allows, Time::from_millis(0));
        let window = match feature.kind {
            FeatureKind::Meter(window) => Some(window.name()),
            FeatureKind::Flag | FeatureKind::Gauge => None,
        };
        PlanFeature {
            kind: whole.kind,
            allowed: whole.allowed,
            limit: whole.limit,
            unlimited: whole.unlimited,
            window,
        }
    }
}

/// `GET /v1/packages`, cheapest first.
#[derive(Debug, Serialize)]
pub struct PackageView<'a> {
    id: &'a PackageId,
    name: &'a str,
    tokens: u64,
    bonus: u64,
    price: Money,
}

pub fn packages(catalog: &Catalog) -> Vec<PackageView<'_>> {
    let mut packages: Vec<_> = catalog.packages.iter().collect();
    packages.sort_by_key(|(id, package)| (package.price.amount_minor, *id));
    packages.into_iter().map(|(id, package)| PackageView::new(id, package)).collect()
}

impl<'a> PackageView<'a> {
    pub fn new(id: &'a PackageId, package: &'a Package) -> PackageView<'a> {
        PackageView {
            id,
            name: &package.name,
            tokens: package.tokens.get(),
            bonus: package.bonus.get(),
            price: package.price,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_end_at_midnight_utc_and_weeks_on_monday() {
        let end =
            |window, now: &str| window_end(window, Time::parse_rfc3339(now).unwrap()).unwrap().rfc3339();
        assert_eq!(end(Window::Day, "2026-11-21T10:00:00Z"), "2026-11-22T00:00:00Z");
        // 2026-11-21 is a Saturday.
        assert_eq!(end(Window::Week, "2026-11-21T10:00:00Z"), "2026-11-23T00:00:00Z");
        assert_eq!(end(Window::Week, "2026-11-22T23:59:59Z"), "2026-11-23T00:00:00Z");
        assert_eq!(end(Window::Week, "2026-11-23T00:00:00Z"), "2026-11-30T00:00:00Z");
        assert_eq!(end(Window::Month, "2026-12-31T23:00:00Z"), "2027-01-01T00:00:00Z");
    }
}
