//! Asking for changes: when they happen, what may be changed to what, and what there is to alter.

use domain::alteration::{Alteration, Deed, PlanChange, Wanted, may_choose, target, when};
use domain::catalog::{Catalog, Proration, SubscriptionPolicy, When};
use domain::cause::Operation;
use domain::decide::{Act, Refusal};
use domain::entry::Detail;
use domain::ids::{PlanId, PriceId, SubscriptionId, UserId};
use domain::item::Interval;
use domain::replay::Fault;
use domain::subscription::{Scheduled, Seen, Status};

use crate::story::{Story, day, premium};

/// Three plans of one group, one of them by the seat, and one beside them.
pub const CATALOG: &str = r#"
[product]
id = "team"
name = "Team"
currency = "usd"

[checkout]
return_origins = ["https://team.example"]
success_url = "https://team.example/thanks?session_id={CHECKOUT_SESSION_ID}"
cancel_url = "https://team.example/plans"

[features.support]
name = "Support"
kind = "flag"

[features.projects]
name = "Projects"
kind = "gauge"

[features.archive]
name = "Archive"
kind = "flag"

[plans.free]
name = "Free"
level = 0
default = true
features = { projects = 2 }

[plans.premium]
name = "Premium"
level = 1
features = { projects = 10, support = true }
prices = [{ interval = "month", price = "10.00" }, { interval = "year", price = "100.00" }]
seats = 10

[plans.elite]
name = "Elite"
level = 2
prices = [{ interval = "month", price = "20.00" }]

[plans.storage]
name = "Storage"
group = "extras"
level = 1
features = { projects = 5, archive = true }
prices = [{ interval = "month", price = "5.00" }]
"#;

fn wanted(plan: &str, interval: Interval, quantity: u32) -> Wanted {
    Wanted { plan: PlanId::parse(plan).unwrap(), interval, quantity }
}

fn elite() -> Wanted {
    wanted("elite", Interval::Month, 1)
}

/// Five seats of premium by the month.
fn five_seats() -> Seen {
    Seen { quantity: 5, ..premium() }
}

fn happens(seen: &Seen, to: &Wanted, policy: &SubscriptionPolicy) -> When {
    let catalog = Catalog::parse(CATALOG).unwrap();
    when(seen, &catalog.plans[&seen.plan], to, &catalog.plans[&to.plan], policy)
}

#[test]
fn what_is_more_comes_at_once_and_what_is_less_when_the_period_ends() {
    use Interval::{Month, Year};
    let of_elite = Seen { plan: PlanId::parse("elite").unwrap(), ..premium() };
    for (seen, to, expected) in [
        (five_seats(), wanted("premium", Month, 6), When::Now),
        (five_seats(), wanted("premium", Month, 4), When::PeriodEnd),
        (five_seats(), wanted("premium", Year, 5), When::Now),
        (Seen { interval: Year, ..premium() }, wanted("premium", Month, 1), When::PeriodEnd),
        (premium(), elite(), When::Now),
        (of_elite.clone(), wanted("premium", Month, 1), When::PeriodEnd),
        // The better plan counts for more than how long it runs, and that for more than its seats.
        (five_seats(), elite(), When::Now),
        (of_elite, wanted("premium", Year, 10), When::PeriodEnd),
        (five_seats(), wanted("premium", Year, 1), When::Now),
    ] {
        assert_eq!(happens(&seen, &to, &SubscriptionPolicy::default()), expected, "{seen:?} to {to:?}");
    }
}

#[test]
fn a_catalog_may_have_it_the_other_way_round() {
    let mut policy = SubscriptionPolicy::default();
    (policy.upgrade.when, policy.downgrade.when) = (When::PeriodEnd, When::Now);
    assert_eq!(happens(&premium(), &elite(), &policy), When::PeriodEnd);
    assert_eq!(happens(&five_seats(), &wanted("premium", Interval::Month, 1), &policy), When::Now);
}

#[test]
fn what_costs_nothing_yet_changes_at_once_and_so_does_what_only_stays_as_it_is() {
    let mut policy = SubscriptionPolicy::default();
    policy.upgrade.when = When::PeriodEnd;
    let tried = Seen { status: Status::Trialing, ..five_seats() };
    for to in [elite(), wanted("premium", Interval::Month, 1)] {
        assert_eq!(happens(&tried, &to, &policy), When::Now);
    }
    assert_eq!(happens(&five_seats(), &wanted("premium", Interval::Month, 5), &policy), When::Now);
}

#[test]
fn whoever_may_have_it_now_may_wait_and_nobody_gets_it_sooner_by_asking() {
    assert!(may_choose(When::Now, When::Now) && may_choose(When::PeriodEnd, When::Now));
    assert!(may_choose(When::PeriodEnd, When::PeriodEnd) && !may_choose(When::Now, When::PeriodEnd));
}

#[test]
fn what_a_subscription_may_become_is_sold_and_of_its_group_and_has_so_many_seats() {
    use Interval::{Month, Year};
    let catalog = Catalog::parse(CATALOG).unwrap();
    let become_of = |to: &Wanted| target(&catalog, &premium(), to).map(|plan| plan.name.clone());
    assert_eq!(become_of(&elite()).as_deref(), Ok("Elite"));
    assert_eq!(become_of(&wanted("premium", Year, 10)).as_deref(), Ok("Premium"));
    for unknown in [wanted("gold", Month, 1), wanted("free", Month, 1), wanted("elite", Year, 1)] {
        assert_eq!(become_of(&unknown), Err(Refusal::UnknownItem(unknown.item())));
    }
    let (has, beside) = ("main".to_owned(), "extras".to_owned());
    let refused = Err(Refusal::AnotherGroup { has, wanted: beside });
    assert_eq!(become_of(&wanted("storage", Month, 1)), refused);
    for quantity in [0, 11] {
        assert_eq!(become_of(&wanted("premium", Month, quantity)), Err(Refusal::TooManySeats { most: 10 }));
    }
    assert_eq!(become_of(&wanted("elite", Month, 2)), Err(Refusal::TooManySeats { most: 1 }));
}

fn change(to: Wanted) -> Deed {
    Deed::Change(PlanChange {
        to,
        price: PriceId::parse("price_1").unwrap(),
        catalog: 1,
        when: When::Now,
        proration: Proration::AtOnce,
        counted_from: day(0),
    })
}

const CANCEL: Deed = Deed::Cancel { when: When::PeriodEnd };
const CANCEL_NOW: Deed = Deed::Cancel { when: When::Now };

fn ask(story: &mut Story, deed: Deed) -> Result<(), Refusal> {
    let subscription = story.seen.id.clone();
    let cause = story.request(Operation::Change);
    story.apply(cause, Act::Alter(Alteration { subscription, deed }))
}

/// Premium, seen as it is said to be.
fn held(change: impl FnOnce(&mut Seen)) -> Story {
    let mut story = Story::subscribed();
    change(&mut story.seen);
    story.sync();
    story
}

#[test]
fn asking_moves_nothing_and_says_only_what_was_asked_for() {
    let mut story = Story::subscribed();
    let before = story.account.clone();
    for (deed, kind) in [(change(elite()), "change"), (CANCEL, "cancel"), (CANCEL_NOW, "cancel")] {
        ask(&mut story, deed.clone()).unwrap();
        let entry = story.journal.last().unwrap();
        assert!(entry.postings.is_empty() && entry.counted.is_empty() && entry.opened.is_empty());
        assert_eq!(entry.detail.kind(), kind);
        let Detail::Alteration(asked) = &entry.detail else { panic!("{entry:?}") };
        assert_eq!((&asked.subscription, &asked.deed), (&story.seen.id, &deed));
    }
    assert_eq!(story.account.subscriptions, before.subscriptions);
    assert_eq!(story.account.lots, before.lots);
}

#[test]
fn there_is_nothing_to_alter_where_it_is_so_already_or_is_going_to_be() {
    let nothing = |story: &mut Story, deed| {
        let refused = ask(story, deed);
        assert!(
            matches!(&refused, Err(Refusal::NothingToAlter(seen)) if **seen == story.seen),
            "{refused:?}"
        );
    };
    let mut plain = Story::subscribed();
    nothing(&mut plain, change(wanted("premium", Interval::Month, 1)));
    nothing(&mut plain, Deed::Resume);
    nothing(&mut held(|seen| seen.cancel_at = Some(day(31))), CANCEL);
    let next = |plan: &str| Scheduled {
        plan: PlanId::parse(plan).unwrap(),
        interval: Interval::Month,
        quantity: 1,
        at: day(31),
    };
    nothing(&mut held(|seen| seen.next = Some(next("elite"))), change(elite()));
}

#[test]
fn what_is_still_to_come_can_be_taken_back_or_replaced() {
    let next = Scheduled {
        plan: PlanId::parse("basic").unwrap(),
        interval: Interval::Month,
        quantity: 1,
        at: day(31),
    };
    let scheduled = || held(|seen| seen.next = Some(next.clone()));
    for deed in [Deed::Resume, change(elite()), change(wanted("premium", Interval::Month, 1)), CANCEL] {
        assert_eq!(ask(&mut scheduled(), deed.clone()), Ok(()), "{deed:?}");
    }
    let leaving = || held(|seen| seen.cancel_at = Some(day(31)));
    for deed in [Deed::Resume, CANCEL_NOW, change(elite())] {
        assert_eq!(ask(&mut leaving(), deed.clone()), Ok(()), "{deed:?}");
    }
    assert_eq!(ask(&mut held(|seen| seen.status = Status::Paused), Deed::Resume), Ok(()));
}

#[test]
fn what_is_not_there_or_has_ended_cannot_be_altered() {
    for deed in [change(elite()), CANCEL, CANCEL_NOW, Deed::Resume] {
        let unknown = Err(Refusal::NoSuchSubscription(SubscriptionId::parse("sub_1").unwrap()));
        assert_eq!(ask(&mut Story::new(), deed.clone()), unknown);
        // Its end has come, and Stripe has not told yet.
        let mut ended = held(|seen| seen.cancel_at = Some(day(10)));
        ended.wait(10);
        assert_eq!(ask(&mut ended, deed), unknown);
    }
}

#[test]
fn a_journal_tells_what_was_asked_and_of_an_account_that_it_did_not_touch() {
    let mut story = Story::subscribed();
    for deed in [change(elite()), CANCEL, CANCEL_NOW] {
        ask(&mut story, deed).unwrap();
    }
    story.seen.cancel_at = Some(day(31));
    story.sync();
    ask(&mut story, Deed::Resume).unwrap();
    let kinds: Vec<&str> = story.journal.iter().map(|entry| entry.detail.kind()).collect();
    assert_eq!(kinds, ["subscription", "invoice", "change", "cancel", "cancel", "subscription", "resume"]);
    assert_eq!(story.replayed().differs(&story.account), None);
}

#[test]
fn nothing_can_be_asked_of_a_closed_account_nor_stand_in_its_journal() {
    let mut story = Story::subscribed();
    ask(&mut story, CANCEL).unwrap();
    let mut late = story.journal.last().unwrap().clone();
    let cause = story.request(Operation::Erase);
    story.apply(cause, Act::Close { operator: UserId::parse("grace").unwrap() }).unwrap();
    assert_eq!(ask(&mut story, CANCEL_NOW), Err(Refusal::Closed));
    let mut replay = story.replayed();
    late.seq = story.account.seq + 1;
    assert_eq!(replay.step(&late.seal(story.account.head)), Err(Fault::Closed));
}
