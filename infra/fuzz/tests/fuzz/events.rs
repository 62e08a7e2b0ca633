//! An event of any version, or of none: it is understood or refused by name, and never stops the others.

use fuzz::{JsonDamage, Odd, TextDamage, check};
use serde_json::Value;
use stripe_event::{Event, Fact, Malformed, decode};

use crate::an_event;

fn read(event: &Value) -> Result<Event, Malformed> {
    decode(&event.to_string())
}

#[test]
fn any_damage_to_an_event_is_answered() {
    check!().with_type::<(u16, JsonDamage)>().for_each(|(which, damage)| {
        let event = damage.to(an_event(*which));
        let Ok(Event { fact, .. }) = read(&event) else { return };
        if let Fact::Paid(sighting) = &fact {
            let paid = sighting.payment.paid;
            assert!(paid.amount_minor >= 0, "{event}");
            assert!(
                sighting.session.is_some() || sighting.payment.envelope.stack.is_some(),
                "an intent that is not ours: {event}"
            );
        }
    });
}

#[test]
fn any_damage_to_an_events_bytes_is_answered() {
    let pieces = ["{", "}", "[", "]", ",", ":", "\"", "\\ud800", "\\u0000", "null", "-", "1e999", "\n"];
    check!().with_type::<(u16, TextDamage)>().for_each(|(which, damage)| {
        drop(decode(&damage.to(&an_event(*which).to_string(), &pieces)));
    });
}

#[test]
fn fields_that_nobody_knows_change_nothing_wherever_they_are() {
    check!().with_type::<(u16, Odd, u32)>().for_each(|(which, what, places)| {
        let known = an_event(*which);
        let mut grown = known.clone();
        // Into some of its objects, in the order in which they are met.
        let mut chosen = (0..32).map(|place| places >> place & 1 == 1).cycle();
        what.put_into(&mut grown, &mut || chosen.next() == Some(true));
        assert_eq!(read(&grown), read(known), "{grown}");
        assert!(read(known).is_ok());
    });
}

/// Stripe invents event types every month.
#[test]
fn an_event_of_an_unknown_type_is_acknowledged_whatever_it_is_about() {
    check!().with_type::<(u16, JsonDamage, String)>().for_each(|(which, damage, kind)| {
        let mut event = an_event(*which).clone();
        event["data"] = damage.to(&event["data"]);
        event["related_object"] = Value::Null;
        event["type"] = format!("invented.{kind}").into();
        assert_eq!(read(&event).map(|event| event.fact), Ok(Fact::Other), "{event}");
    });
}
