//! `fixtures.txt`: every event there is, and what it means.

use std::collections::{BTreeMap, BTreeSet};

use stripe_event::{Fact, Lead, Sighting};

use crate::{fact, fixtures};

const TABLE: &str = include_str!("fixtures.txt");

struct Row {
    means: &'static str,
    versions: Vec<&'static str>,
}

/// Type and variant → the rest of their row.
fn table() -> BTreeMap<&'static str, Row> {
    let rows = TABLE.lines().filter(|line| !line.starts_with('#'));
    let row = |line: &'static str| {
        let mut words = line.split_whitespace();
        let (name, means) = (words.next().unwrap(), words.next().unwrap());
        (name, Row { means, versions: words.collect() })
    };
    rows.map(row).collect()
}

fn word(fact: &Fact) -> &'static str {
    match fact {
        Fact::Paid(Sighting { session: Some(_), .. }) => "sale",
        Fact::Paid(Sighting { session: None, .. }) => "intent",
        Fact::Processing { .. } => "processing",
        Fact::Stranger => "stranger",
        Fact::Attempt { .. } => "attempt",
        Fact::Charge { .. } => "charge",
        Fact::Subscription { .. } => "subscription",
        Fact::Invoice(_) => "invoice",
        Fact::Declined { .. } => "declined",
        Fact::Reversal { .. } => "reversal",
        Fact::Lead(Lead::Session(_)) => "session",
        Fact::Lead(Lead::Refund(_)) => "refund",
        Fact::Lead(Lead::Dispute(_)) => "dispute",
        Fact::Lead(Lead::Schedule(_)) => "schedule",
        Fact::Other => "other",
    }
}

#[test]
fn every_fixture_means_what_the_table_says() {
    let table = table();
    for (name, event) in fixtures() {
        let (kind, version) = name.rsplit_once('.').unwrap();
        let row = table.get(kind).unwrap_or_else(|| panic!("say in the table what {kind} means"));
        assert!(row.versions.contains(&version), "{name} is not in the table");
        let fact = fact(&event);
        assert_eq!(word(&fact), row.means, "{name} was read as {fact:?}");
    }
}

#[test]
fn every_row_of_the_table_has_its_fixtures() {
    let fixtures: BTreeSet<String> = fixtures().into_keys().collect();
    for (kind, row) in table() {
        assert!(!row.versions.is_empty(), "{kind}");
        for version in row.versions {
            let name = format!("{kind}.{version}");
            assert!(fixtures.contains(&name), "{name}.json is missing");
        }
    }
}

#[test]
fn every_fixture_is_of_the_type_and_version_that_its_name_says_and_no_two_are_one_event() {
    let mut ids = BTreeSet::new();
    for (name, event) in fixtures() {
        let (kind, version) = name.rsplit_once('.').unwrap();
        let told = event["type"].as_str().unwrap();
        match kind.strip_prefix("thin.") {
            Some(thin) => assert_eq!(told, format!("v1.{thin}"), "{name}"),
            None => {
                assert!(kind == told || kind.starts_with(&format!("{told}.")), "{name} is a {told}");
                assert!(event["api_version"].as_str().unwrap().starts_with(version), "{name}");
            }
        }
        assert!(ids.insert(event["id"].to_string()), "{name} repeats an id");
    }
}
