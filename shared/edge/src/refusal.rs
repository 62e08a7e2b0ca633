//! What the ledger's refusals mean to a client, and how to mend them.

use domain::catalog::Catalog;
use domain::decide::Refusal;
use domain::hold::MOST_HOLDS;
use domain::ids::{ActionId, FeatureId, HoldId, PackageId, PlanId, SubscriptionId};
use domain::item::Item;
use domain::money::Tokens;
use domain::subscription::Seen;
use domain::view::PackageView;
use serde_json::{Value, json};

use crate::problem::{Code, Problem};

impl Problem {
    /// Why the ledger refused, with what helps to mend it.
    pub fn refused(refusal: Refusal, catalog: &Catalog) -> Problem {
        match refusal {
            Refusal::Short { needed, available } => short(needed, available, catalog),
            Refusal::UnknownAction(action) => unknown_action(&action, catalog),
            Refusal::FeatureNotIncluded(feature) => not_included(&feature, catalog),
            Refusal::TokensOutOfRange { min, max } => out_of_range(min, max),
            Refusal::TooManyTokens => too_many_tokens(),
            Refusal::TooManyHolds => too_many_holds(),
            Refusal::NoSuchHold(hold) => no_such_hold(&hold),
            Refusal::BeyondHold { held } => beyond_hold(held),
            Refusal::UnknownItem(item) => unknown_item(&item, catalog),
            Refusal::AlreadySubscribed(seen) => already_subscribed(&seen),
            Refusal::NoSuchSubscription(id) => no_such_subscription(&id),
            Refusal::NothingToAlter(seen) => nothing_to_alter(&seen),
            Refusal::NotBegun(id) => not_begun(&id),
            Refusal::AnotherGroup { has, wanted } => another_group(&has, &wanted),
            Refusal::NotTried(plan) => not_tried(&plan),
            Refusal::TooManySeats { most } => too_many_seats(most),
            Refusal::Opening(opening) => {
                Problem::try_again(Code::Busy, format!("{} is being opened", opening.cause))
            }
            Refusal::Closed => closed(),
        }
    }
}

/// Not enough tokens: how many are missing, and the packages that cover it, cheapest first.
fn short(needed: Tokens, available: Tokens, catalog: &Catalog) -> Problem {
    let shortfall = needed.saturating_sub(available);
    let covering = catalog.packages_covering(shortfall).into_iter();
    let packages: Vec<_> =
        covering.filter_map(|id| Some(PackageView::new(id, catalog.packages.get(id)?))).collect();
    let detail = format!("{needed} tokens are needed and {available} are available");
    Problem::new(Code::InsufficientTokens, detail)
        .with("needed", needed.get())
        .with("available", available.get())
        .with("shortfall", shortfall.get())
        .with("packages", json!(packages))
}

fn unknown_action(action: &ActionId, catalog: &Catalog) -> Problem {
    let known: Vec<_> = catalog.actions.keys().map(|id| id.as_str()).collect();
    let detail = format!("the catalog has no action `{action}`; it has {}", known.join(", "));
    Problem::new(Code::UnknownAction, detail)
}

fn not_included(feature: &FeatureId, catalog: &Catalog) -> Problem {
    let named = catalog.features.get(feature).map_or(feature.as_str(), |known| &known.name);
    let detail = format!("the plan does not include {named}");
    Problem::new(Code::FeatureNotIncluded, detail).with("feature", feature.as_str())
}

fn out_of_range(min: Tokens, max: Tokens) -> Problem {
    let detail = match min == max {
        true => format!("this action costs {min} tokens; leave `tokens` out"),
        false => format!("say how many `tokens` this action takes: from {min} to {max}"),
    };
    Problem::new(Code::TokensOutOfRange, detail).with("min", min.get()).with("max", max.get())
}

fn too_many_tokens() -> Problem {
    Problem::new(Code::TokensOutOfRange, format!("no account holds more than {} tokens", Tokens::MAX))
}

fn too_many_holds() -> Problem {
    let detail = format!("an account has at most {MOST_HOLDS} open holds; capture or release one");
    Problem::new(Code::TooManyHolds, detail)
}

fn no_such_hold(hold: &HoldId) -> Problem {
    let detail = format!("you have no open hold {hold}: it has expired, or never was");
    Problem::new(Code::NotFound, detail)
}

fn beyond_hold(held: Tokens) -> Problem {
    let detail = format!("the hold has {held} tokens; capture as many or fewer");
    Problem::new(Code::BeyondHold, detail).with("held", held.get())
}

fn unknown_item(item: &Item, catalog: &Catalog) -> Problem {
    let (code, known): (_, Vec<_>) = match item {
        Item::Plan { id, .. } => {
            if let Some(contact) = catalog.plans.get(id).and_then(|plan| plan.contact.as_deref()) {
                return not_for_sale(id, contact);
            }
            (Code::UnknownPlan, catalog.plan_items().collect())
        }
        Item::Package { .. } => {
            let one = |id: &PackageId| Item::Package { id: id.clone(), quantity: 1 };
            (Code::UnknownPackage, catalog.packages.keys().map(one).collect())
        }
    };
    let known: Vec<_> = known.iter().map(Item::to_string).collect();
    Problem::new(code, format!("the catalog has no `{item}`; it sells {}", known.join(", ")))
}

fn not_for_sale(plan: &PlanId, contact: &str) -> Problem {
    let detail = format!("`{plan}` has no price and cannot be bought here; ask for it at {contact}");
    Problem::new(Code::NotForSale, detail).with("contact", contact)
}

fn already_subscribed(held: &Seen) -> Problem {
    let detail = format!("`{}` is subscribed to already; it has to end before another can begin", held.plan);
    Problem::new(Code::AlreadySubscribed, detail).with("subscription", shown(held))
}

fn no_such_subscription(id: &SubscriptionId) -> Problem {
    Problem::new(Code::NotFound, format!("you have no running subscription {id}"))
}

fn nothing_to_alter(held: &Seen) -> Problem {
    let detail = format!("{} is so already, or is going to be; nothing was changed", held.id);
    Problem::new(Code::NothingToChange, detail).with("subscription", shown(held))
}

fn shown(held: &Seen) -> Value {
    json!({ "id": held.id, "plan": held.plan, "status": held.status.name() })
}

fn not_begun(id: &SubscriptionId) -> Problem {
    let detail = format!(
        "the first payment of {id} is still to be made: pay it, or ask `POST …/subscriptions` for what is wanted \
         instead; canceled `now` it is given up"
    );
    Problem::new(Code::PaymentDue, detail)
}

fn another_group(has: &str, wanted: &str) -> Problem {
    let detail = format!(
        "a subscription stays in its group: this one is of `{has}`, and the plan of `{wanted}`; subscribe to it beside"
    );
    Problem::new(Code::InvalidRequest, detail)
}

fn not_tried(plan: &PlanId) -> Problem {
    let detail =
        format!("`{plan}` cannot be tried, so a trial cannot be moved to it; end the trial, and subscribe");
    Problem::new(Code::InvalidRequest, detail)
}

fn too_many_seats(most: u32) -> Problem {
    if most == 1 {
        return Problem::new(Code::InvalidRequest, "this plan is not sold by the seat; leave `quantity` out");
    }
    let detail = format!("`quantity` is from 1 to {most} for this plan");
    Problem::new(Code::InvalidRequest, detail).with("most", most)
}

fn closed() -> Problem {
    Problem::new(Code::AccountClosed, "this user was erased; nothing can be given or spent any more")
}
