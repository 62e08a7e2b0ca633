//! The journal's entries: whatever reads as one is written the same again, or its bytes would prove nothing.

use domain::account::Account;
use domain::entry::Entry;
use domain::hash::Hash;
use domain::replay::Replay;
use fuzz::{JsonDamage, TextDamage, check, one_of};
use serde_json::Value;

use crate::files;

/// The bodies among the golden items.
fn bodies() -> Vec<String> {
    let items = files("shared/store/tests/golden", |name| name.starts_with("entry."));
    let body = |item: String| {
        let item: Value = serde_json::from_str(&item).unwrap();
        item["body"].as_str().unwrap().to_owned()
    };
    items.into_iter().map(body).collect()
}

#[test]
fn any_damage_to_an_entry_is_answered_and_what_is_read_is_written_the_same_for_ever() {
    let bodies = bodies();
    check!().with_type::<(u16, JsonDamage, TextDamage)>().for_each(|(which, fields, letters)| {
        let good = one_of::<String>(*which, &bodies);
        let tree = fields.to(&serde_json::from_str(good).unwrap()).to_string();
        for body in [tree, letters.to(good, &["\"", ",", "[", "]", "null", "-1", "lot", "9007199254740992"])]
        {
            let Ok(entry) = Entry::parse(&body) else { continue };
            let sealed = entry.clone().seal(Hash::START);
            let again = Entry::parse(&sealed.body).expect("what is written can be read");
            assert_eq!(again, entry);
            assert_eq!(again.seal(Hash::START), sealed);
        }
    });
}

/// `prove` reads whatever lies in the table.
#[test]
fn a_journal_with_any_damage_is_replayed_or_its_fault_is_named() {
    let bodies = bodies();
    check!().with_type::<[(u16, JsonDamage); 3]>().for_each(|damages| {
        let mut replay: Option<Replay> = None;
        for (which, damage) in damages {
            let body =
                damage.to(&serde_json::from_str(one_of::<String>(*which, &bodies)).unwrap()).to_string();
            let Ok(entry) = Entry::parse(&body) else { continue };
            let replay = replay.get_or_insert_with(|| Replay::new(entry.user.clone()));
            let next = Entry { seq: replay.account.seq + 1, ..entry };
            if let Err(fault) = replay.step(&next.seal(replay.account.head)) {
                assert!(!fault.to_string().is_empty());
                return;
            }
            assert_eq!(replay.differs(&Account { obs: 7, ..replay.account.clone() }), None);
        }
    });
}

#[test]
fn a_hash_reads_as_it_is_written_and_nothing_else_does() {
    check!().with_type::<([u8; 32], TextDamage)>().for_each(|(bytes, damage)| {
        let text = String::from(Hash(*bytes));
        assert_eq!(Hash::try_from(text.clone()), Ok(Hash(*bytes)));
        let damaged = damage.to(&text, &["=", "-", "_", "+", "/", "A"]);
        if let Ok(hash) = Hash::try_from(damaged.clone()) {
            assert_eq!(String::from(hash), damaged);
        }
    });
}
