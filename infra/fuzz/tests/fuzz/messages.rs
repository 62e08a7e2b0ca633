//! What may lie on the queue: our own messages come back as they were sent, and nothing else is taken for one.

use domain::ids::EventId;
use domain::time::Time;
use fuzz::{JsonDamage, TextDamage, check};
use stripe_event::{BadMessage, Message};

use crate::an_event;

fn message(body: String, received_at: i64) -> Message {
    let event = EventId::parse("evt_1").unwrap();
    Message::StripeV1 { event, received_at: Time::from_millis(received_at), body }
}

#[test]
fn any_body_arrives_as_it_was_sent() {
    let pieces = ["\u{fffe}", "\u{ffff}", "\u{0}", "\u{2028}", "\"", "\\", "\\uffff"];
    check!().with_type::<(String, TextDamage, i64)>().for_each(|(text, damage, received_at)| {
        let sent = message(damage.to(text, &pieces), *received_at);
        let text = sent.to_json();
        // The two characters that the queue refuses for ever.
        assert!(!text.contains(['\u{fffe}', '\u{ffff}']));
        assert_eq!(Message::parse(&text).as_ref(), Ok(&sent));
    });
}

#[test]
fn any_damage_to_a_message_is_answered() {
    let pieces = ["stripe.v1", "stripe.v2", "\"kind\":", "{", "}", "\"", ",", "null", "1e30"];
    check!().with_type::<(u16, TextDamage, JsonDamage)>().for_each(|(which, letters, fields)| {
        let text = message(an_event(*which).to_string(), 1_793_600_000_000).to_json();
        let tree = fields.to(&serde_json::from_str(&text).unwrap()).to_string();
        for text in [letters.to(&text, &pieces), tree] {
            match Message::parse(&text) {
                Ok(known) => assert_eq!(Message::parse(&known.to_json()), Ok(known)),
                Err(BadMessage::UnknownKind(kind)) => assert_ne!(kind, "stripe.v1"),
                Err(BadMessage::Malformed) => {}
            }
        }
    });
}
