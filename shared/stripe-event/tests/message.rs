//! The queue's messages. A file under `golden/` is never changed: messages like it may still be on a queue.

use domain::ids::EventId;
use domain::time::Time;
use stripe_event::{BadMessage, LARGEST_BODY, Message, Verifier, sign};

/// What SQS takes since 2025.
const SQS_LIMIT: usize = 1024 * 1024;

fn first() -> Message {
    Message::StripeV1 {
        event: EventId::parse("evt_1Tm7c52eZvKYlo2C3uKa").unwrap(),
        received_at: Time::from_millis(1_793_600_003_250),
        body: "{\n  \"id\": \"evt_1Tm7c52eZvKYlo2C3uKa\",\n  \"livemode\": false,\n  \"note\": \"é\\u0000 \\\"\\\\\"\n}"
            .to_owned(),
    }
}

/// The message of a body that was really verified.
fn message_of(body: &str) -> Message {
    let now = Time::from_seconds(1_793_600_003);
    let verifier = Verifier::new(["whsec_k".to_owned()]).unwrap();
    let header = sign("whsec_k", body.as_bytes(), now).unwrap();
    verifier.verify(Some(&header), body.as_bytes(), now).unwrap().into_message(now)
}

#[test]
fn an_old_message_is_understood_for_ever() {
    let golden = include_str!("golden/stripe.v1.json");
    assert_eq!(Message::parse(golden), Ok(first()));
}

#[test]
fn a_new_message_is_written_the_same() {
    assert_eq!(first().to_json(), include_str!("golden/stripe.v1.json").trim_end());
}

#[test]
fn a_kind_from_the_future_is_told_from_rubbish() {
    let newer = r#"{"kind":"stripe.v2","event":"evt_1","batch":[]}"#;
    assert_eq!(Message::parse(newer), Err(BadMessage::UnknownKind("stripe.v2".to_owned())));
    let rubbish = [
        "",
        "7",
        "{}",
        r#"{"kind":7}"#,
        r#"{"kind":"stripe.v1"}"#,
        &first().to_json().replace("evt_1Tm", "in_1Tm"),
    ];
    for text in rubbish {
        assert_eq!(Message::parse(text), Err(BadMessage::Malformed), "{text}");
    }
}

#[test]
fn the_largest_body_fits_the_queue_however_it_is_escaped() {
    // Every byte of the filling doubles, or grows from three to six.
    for filling in ["\\\"", "\u{ffff}"] {
        let frame = |filling: &str| format!(r#"{{"id":"evt_1","livemode":true,"fill":"{filling}"}}"#);
        let count = (LARGEST_BODY - frame("").len()) / filling.len();
        let body = frame(&filling.repeat(count));
        assert!(body.len() > LARGEST_BODY - 4 && body.len() <= LARGEST_BODY);
        let length = message_of(&body).to_json().len();
        assert!(length > 2 * count * filling.len(), "the filling should double");
        assert!(length < SQS_LIMIT, "{length} bytes");
    }
}

#[test]
fn characters_that_sqs_refuses_travel_escaped_and_arrive_unchanged() {
    let body =
        "{\"id\":\"evt_1\",\"livemode\":true,\r\n\t\"odd\":\"\u{fffe}\u{ffff}\u{7f}\u{10ffff}\\u0001\"}";
    let text = message_of(body).to_json();
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(text.chars().all(allowed));
    let Message::StripeV1 { body: arrived, .. } = Message::parse(&text).unwrap();
    assert_eq!(arrived, body);
}

#[test]
fn printing_a_message_for_debugging_shows_no_body() {
    let printed = format!("{:?}", first());
    assert!(printed.contains("evt_1Tm7c52eZvKYlo2C3uKa") && !printed.contains("livemode"), "{printed}");
}
