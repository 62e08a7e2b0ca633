//! What each state of a subscription is worth.

use domain::access::Access;
use domain::catalog::Allows;
use domain::ids::{FeatureId, PlanId, SubscriptionId};
use domain::subscription::{Seen, Status};
use domain::time::{DAY_MS, HOUR_MS};
use proptest::prelude::*;

use crate::alterations::CATALOG;
use crate::story::{Story, day, premium};

const ALL: [Status; 9] = [
    Status::Incomplete,
    Status::IncompleteExpired,
    Status::Trialing,
    Status::Active,
    Status::PastDue,
    Status::Unpaid,
    Status::Paused,
    Status::Canceled,
    Status::Unknown,
];

fn opened_by(access: Access) -> Vec<Status> {
    ALL.into_iter().filter(|status| access.opens(*status)).collect()
}

#[test]
fn who_tries_pays_or_is_late_has_access_and_a_word_unknown_to_us_locks_nobody_out() {
    use Status::{Active, PastDue, Trialing, Unknown};
    assert_eq!(opened_by(Access::default()), [Trialing, Active, PastDue, Unknown]);
}

proptest! {
    /// A catalog decides about three states. The others it can neither open nor close.
    #[test]
    fn a_catalog_opens_what_it_says_and_nothing_else(past_due: bool, unpaid: bool, paused: bool) {
        let access = Access { past_due, unpaid, paused, ..Access::default() };
        for status in ALL {
            let expected = match status {
                Status::PastDue => past_due,
                Status::Unpaid => unpaid,
                Status::Paused => paused,
                other => Access::default().opens(other),
            };
            prop_assert_eq!(access.opens(status), expected, "{:?}", status);
        }
    }
}

#[test]
fn a_plan_is_in_force_as_long_as_its_state_gives_access() {
    for status in ALL {
        let mut story = Story::new();
        story.seen.status = status;
        story.seen.terms.access = Access { past_due: false, unpaid: true, ..Access::default() };
        story.sync();
        let expected = match status {
            Status::Trialing | Status::Active | Status::Unpaid | Status::Unknown => "premium",
            _ => "free",
        };
        assert_eq!(story.plan().0, expected, "{status:?}");
    }
}

/// Whichever of the two has the lesser id.
#[test]
fn what_is_had_beside_the_main_plan_does_not_take_its_place() {
    for id in ["sub_0", "sub_2"] {
        let mut story = Story::of(CATALOG);
        story.sync();
        let main = story.seen.clone();
        story.seen.id = SubscriptionId::parse(id).unwrap();
        (story.seen.plan, story.seen.group) = (PlanId::parse("storage").unwrap(), "extras".to_owned());
        story.sync();
        assert_eq!(story.account.subscriptions.len(), 2);
        assert_eq!(story.plan().0, "premium");
        story.seen = Seen { status: Status::Canceled, ..main };
        assert_eq!(story.sync().plan().0, "storage");
    }
}

/// Two subscriptions side by side, and each alone.
#[test]
fn of_each_feature_a_user_has_the_most_that_anything_of_theirs_allows() {
    let allowed = |story: &Story| {
        let account = story.account.advance(story.now).account;
        let features = account.features(&story.shelf);
        ["projects", "support", "archive"].map(|id| features[&FeatureId::parse(id).unwrap()].1)
    };
    let (on, off) = (Allows::Flag(true), Allows::Flag(false));
    let mut story = Story::of(CATALOG);
    assert_eq!(allowed(&story), [Allows::AtMost(2), off, off], "free");
    story.sync();
    assert_eq!(allowed(&story), [Allows::AtMost(10), on, off], "premium");
    let main = story.seen.clone();
    story.seen.id = SubscriptionId::parse("sub_2").unwrap();
    (story.seen.plan, story.seen.group) = (PlanId::parse("storage").unwrap(), "extras".to_owned());
    story.sync();
    assert_eq!(allowed(&story), [Allows::AtMost(10), on, on], "premium and storage");
    story.seen = Seen { status: Status::Canceled, ..main };
    story.sync();
    assert_eq!(allowed(&story), [Allows::AtMost(5), off, on], "storage beside what is free");
}

#[test]
fn what_gives_no_access_drips_nothing_and_catches_up_with_nothing_when_it_does_again() {
    let mut story = Story::subscribed();
    story.seen.status = Status::Unpaid;
    story.sync().wait(14);
    assert_eq!(story.available(), 0);
    story.seen.status = Status::Active;
    story.sync();
    assert_eq!(story.available(), 500, "the week it came back in, and none that was missed");
    assert_eq!(-story.totals()["world"], 1000, "that, and the first week's");
}

#[test]
fn a_catalogs_own_grace_decides_how_long_a_late_renewal_is_believed() {
    for (grace_ms, late_ms, expected) in [
        (DAY_MS, DAY_MS, "active"),
        (DAY_MS, DAY_MS + 1, "past_due"),
        (10 * DAY_MS, 10 * DAY_MS, "active"),
        (HOUR_MS, 2 * HOUR_MS, "past_due"),
    ] {
        let mut story = Story::new();
        story.seen.terms.access.renewal_grace_ms = grace_ms;
        story.sync();
        story.now = story.seen.period_end.plus_ms(late_ms);
        assert_eq!(story.plan(), ("premium".to_owned(), expected), "{late_ms} of {grace_ms}");
    }
}

#[test]
fn a_plan_that_is_not_had_while_past_due_ends_when_its_grace_does() {
    let mut story = Story::new();
    story.seen.terms.access.past_due = false;
    story.sync();
    story.now = story.seen.period_end.plus_ms(3 * DAY_MS);
    assert_eq!(story.plan().0, "premium");
    story.now = story.now.plus_ms(1);
    assert_eq!(story.plan(), ("free".to_owned(), "none"));
}

#[test]
fn what_has_ended_keeps_stripes_own_word_for_it() {
    let ended = |status| Seen { status, ended_at: Some(day(1)), ..premium() }.status_at(day(2));
    assert_eq!(ended(Status::IncompleteExpired), Status::IncompleteExpired);
    assert_eq!(ended(Status::Active), Status::Canceled, "its end has come, and Stripe has not told yet");
}

#[test]
fn an_unfinished_subscription_bars_no_other_and_a_paused_one_does() {
    let live = |status| Seen { status, ..premium() }.is_live(day(1));
    let barring: Vec<Status> = ALL.into_iter().filter(|status| live(*status)).collect();
    use Status::{Active, PastDue, Paused, Trialing, Unknown, Unpaid};
    assert_eq!(barring, [Trialing, Active, PastDue, Unpaid, Paused, Unknown]);
}
