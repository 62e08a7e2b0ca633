//! `[subscriptions]`: how they change, and what their states are worth.

use super::tree::{Field, TABLE, Table};
use super::{Downgrade, Proration, SecondPaid, SubscriptionPolicy, Upgrade, When};
use crate::access::Access;
use crate::time::{DAY_MS, HOUR_MS, parse_duration_ms};

const KEYS: [&str; 7] =
    ["upgrade", "upgrade_tokens", "downgrade", "proration", "second", "renewal_grace", "access"];
const SHORTEST_GRACE_MS: i64 = HOUR_MS;
const LONGEST_GRACE_MS: i64 = 30 * DAY_MS;

/// What is wrong is noted; its default stands in for it, as the catalog is not read then anyway.
pub(super) fn subscriptions(root: &Table<'_>) -> SubscriptionPolicy {
    let usual = SubscriptionPolicy::default();
    let Some(table) = root.optional_section("subscriptions", "[subscriptions]") else { return usual };
    table.allow(&KEYS);
    let whens = When::ALL.map(|when| (when.name(), when));
    let choice = |key, example| table.optional(key, example).and_then(|field| field.choice(&whens));
    let upgrade = choice("upgrade", "\"now\"").unwrap_or(usual.upgrade.when);
    let downgrade = choice("downgrade", "\"period_end\"").unwrap_or(usual.downgrade.when);
    SubscriptionPolicy {
        upgrade: Upgrade { when: upgrade, tokens_wait: tokens_wait(&table) },
        downgrade: Downgrade { when: downgrade },
        proration: proration(&table).unwrap_or(usual.proration),
        second: second(&table).unwrap_or(usual.second),
        access: access(&table, usual.access),
    }
}

fn tokens_wait(table: &Table<'_>) -> bool {
    let field = table.optional("upgrade_tokens", "\"top_up\"");
    field.and_then(|field| field.choice(&[("top_up", false), ("wait", true)])).unwrap_or_default()
}

fn proration(table: &Table<'_>) -> Option<Proration> {
    let choices =
        [("at_once", Proration::AtOnce), ("next_invoice", Proration::NextInvoice), ("none", Proration::None)];
    table.optional("proration", "\"at_once\"")?.choice(&choices)
}

fn second(table: &Table<'_>) -> Option<SecondPaid> {
    let choices = [("refund", SecondPaid::Refund), ("flag", SecondPaid::Flag)];
    table.optional("second", "\"refund\"")?.choice(&choices)
}

fn access(subscriptions: &Table<'_>, usual: Access) -> Access {
    let grace = subscriptions.optional("renewal_grace", "\"3d\"").and_then(|field| grace_ms(&field));
    let access = Access { renewal_grace_ms: grace.unwrap_or(usual.renewal_grace_ms), ..usual };
    let Some(table) = subscriptions.optional("access", TABLE).and_then(|field| field.table()) else {
        return access;
    };
    table.allow(&["past_due", "unpaid", "paused"]);
    Access {
        past_due: table.switch("past_due").unwrap_or(usual.past_due),
        unpaid: table.switch("unpaid").unwrap_or(usual.unpaid),
        paused: table.switch("paused").unwrap_or(usual.paused),
        ..access
    }
}

fn grace_ms(field: &Field<'_>) -> Option<i64> {
    let text = field.text()?;
    let Some(ms) = parse_duration_ms(text) else {
        return field.mismatch("a time such as \"36h\" or \"3d\"");
    };
    if !(SHORTEST_GRACE_MS..=LONGEST_GRACE_MS).contains(&ms) {
        field.wrong(format!("must be from 1h to 30d, not {text:?}"), field.write_example());
        return None;
    }
    Some(ms)
}
