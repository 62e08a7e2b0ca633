//! A signature that verifies was made with the secret, for that very body.

use domain::time::Time;
use fuzz::{TextDamage, check, one_of};
use stripe_event::{Rejected, Verifier, decode, sign};

use crate::an_event;

const SECRET: &str = "whsec_of_this_endpoint";
const BODY: &str = r#"{"id":"evt_1","livemode":false,"type":"a.b","created":1793600000}"#;

fn now() -> Time {
    Time::from_seconds(1_793_600_000)
}

fn verify(header: &str, body: &[u8]) -> Result<(), Rejected> {
    let verifier = Verifier::new([SECRET.to_owned()]).unwrap();
    verifier.verify(Some(header), body, now()).map(drop)
}

fn header_of(body: &str, at: Time) -> String {
    sign(SECRET, body.as_bytes(), at).unwrap()
}

/// The hash in a header that was signed.
fn hash_of(body: &str, at: Time) -> String {
    header_of(body, at).split_once("v1=").unwrap().1.to_owned()
}

#[test]
fn no_bytes_verify_without_the_secret() {
    check!().with_type::<(String, Vec<u8>)>().for_each(|(header, body)| {
        assert!(verify(header, body).is_err());
    });
}

/// What somebody has who saw two of our deliveries and knows the format.
#[test]
fn what_is_made_of_seen_deliveries_verifies_only_as_it_was_signed() {
    let other = r#"{"id":"evt_2","livemode":false}"#;
    let (mine, others) = (hash_of(BODY, now()), hash_of(other, now()));
    let signed = header_of(BODY, now());
    let pieces = [
        ",",
        "=",
        "t=",
        "v0=",
        "v1=",
        "1793600000",
        "1793600001",
        "+",
        "0",
        " ",
        &mine,
        &others,
        &signed,
        &mine[..2],
    ];
    check!().with_type::<(TextDamage, TextDamage)>().for_each(|(header, body)| {
        let (header, body) = (header.to(&signed, &pieces), body.to(BODY, &[other, "true", "{", "}", " "]));
        if verify(&header, body.as_bytes()).is_ok() {
            let hash = if body == other { &others } else { &mine };
            assert!([BODY, other].contains(&body.as_str()), "signed for another body: {body}");
            assert!(header.to_lowercase().contains(hash.as_str()), "without its hash: {header}");
            assert!(header.contains("t=1793600000"), "for another time: {header}");
        }
    });
}

/// Both ways: what means the same verifies too, in whatever order and company.
#[test]
fn a_header_verifies_exactly_when_it_has_one_time_and_its_hash() {
    let (hash, other) = (hash_of(BODY, now()), hash_of("another", now()));
    let (time, signed) = ("t=1793600000".to_owned(), format!(" v1={hash}"));
    let in_capitals = format!("v1={} ", hash.to_uppercase());
    let other_time = "t=1793600001".to_owned();
    let (other_hash, other_scheme) = (format!("v1={other}"), format!("v0={hash}"));
    let parts = [&time, &other_time, &signed, &in_capitals, &other_hash, &other_scheme];
    check!().with_type::<(Vec<u16>, String)>().for_each(|(chosen, word)| {
        let mut chosen: Vec<&String> = chosen.iter().map(|which| *one_of(*which, &parts)).collect();
        let odd = format!("x{}", word.replace(',', ""));
        chosen.insert(chosen.len() / 2, &odd);
        let header = chosen.iter().map(|part| part.as_str()).collect::<Vec<_>>().join(",");
        let times = chosen.iter().filter(|part| part.starts_with("t=")).count();
        let is_timed = times == 1 && chosen.contains(&&time);
        let is_signed = chosen.contains(&&signed) || chosen.contains(&&in_capitals);
        assert_eq!(verify(&header, BODY.as_bytes()).is_ok(), is_timed && is_signed, "{header}");
    });
}

/// The door and what stands behind it read the same two fields out of the same bytes.
#[test]
fn what_was_verified_is_what_is_decoded() {
    let pieces = [
        "\"id\":\"evt_1\",",
        "\"livemode\":true,",
        "\"livemode\":null,",
        "\"\\u0069d\":\"evt_2\",",
        "{",
        "}",
        "\\",
        "\"",
    ];
    check!().with_type::<(u16, TextDamage)>().for_each(|(which, damage)| {
        let body = damage.to(&an_event(*which).to_string(), &pieces);
        let verifier = Verifier::new([SECRET.to_owned()]).unwrap();
        let header = header_of(&body, now());
        let verified = verifier.verify(Some(&header), body.as_bytes(), now());
        if let (Ok(verified), Ok(decoded)) = (verified, decode(&body)) {
            assert_eq!((verified.id(), verified.livemode()), (&decoded.id, decoded.livemode), "{body}");
        }
    });
}
