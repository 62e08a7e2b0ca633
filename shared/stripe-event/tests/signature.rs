//! Only what Stripe signed, just now, with a secret of ours.

use domain::time::Time;
use proptest::prelude::*;
use stripe_event::{BadSecret, LARGEST_BODY, Rejected, Verifier, sign};

const BODY: &[u8] = br#"{"id":"evt_1","livemode":false}"#;
const FIRST: &str = "whsec_first";
const SECOND: &str = "whsec_second";

/// HMAC-SHA256 of `1793600000.` and the body under the first secret, computed by another implementation.
const KNOWN: &str = "t=1793600000,v1=c16fb14307f6c41a0bb93fe248f4f83b704851d48bd3fbbc5fcba70b09efaa7d";

fn now() -> Time {
    Time::from_seconds(1_793_600_000)
}

fn later(seconds: i64) -> Time {
    now().plus_ms(1000 * seconds)
}

fn verifier(secrets: &[&str]) -> Verifier {
    Verifier::new(secrets.iter().map(|secret| (*secret).to_owned())).unwrap()
}

fn check(header: &str, body: &[u8]) -> Result<(), Rejected> {
    verifier(&[FIRST]).verify(Some(header), body, now()).map(drop)
}

/// The hash alone, as hex.
fn v1(secret: &str) -> String {
    sign(secret, BODY, now()).unwrap().split_once("v1=").unwrap().1.to_owned()
}

#[test]
fn a_signature_made_by_another_implementation_verifies() {
    let event = verifier(&[FIRST]).verify(Some(KNOWN), BODY, now()).unwrap();
    assert_eq!((event.id().as_str(), event.livemode()), ("evt_1", false));
}

#[test]
fn what_the_sandbox_signs_is_what_stripe_signs() {
    assert_eq!(sign(FIRST, BODY, now()).as_deref(), Ok(KNOWN));
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    for position in 0..BODY.len() {
        let mut forged = BODY.to_vec();
        forged[position] ^= 1;
        assert_eq!(check(KNOWN, &forged), Err(Rejected::WrongSignature));
    }
    assert_eq!(check(&KNOWN.replace("t=1793600000", "t=1793600001"), BODY), Err(Rejected::WrongSignature));
    assert_eq!(check(&sign(SECOND, BODY, now()).unwrap(), BODY), Err(Rejected::WrongSignature));
}

#[test]
fn a_truncated_lengthened_or_misspelt_hash_never_matches() {
    let hash = v1(FIRST);
    let wrong = [
        String::new(),
        hash[..2].to_owned(),
        hash[..62].to_owned(),
        format!("{hash}00"),
        hash.replace('c', "g"),
        format!("+{}", &hash[1..]),
    ];
    for hash in wrong {
        let header = format!("t=1793600000,v1={hash}");
        assert_eq!(check(&header, BODY), Err(Rejected::WrongSignature), "{header}");
    }
}

#[test]
fn any_of_several_hashes_may_match_in_any_place() {
    let (good, bad) = (v1(FIRST), v1("whsec_other"));
    for hashes in [[&good, &bad], [&bad, &good]] {
        assert_eq!(check(&format!("t=1793600000,v1={},v1={}", hashes[0], hashes[1]), BODY), Ok(()));
    }
    assert_eq!(check(&format!("t=1793600000,v1={bad},v1={bad}"), BODY), Err(Rejected::WrongSignature));
}

#[test]
fn any_of_several_secrets_may_match_in_any_place() {
    for secrets in [[FIRST, SECOND], [SECOND, FIRST]] {
        for secret in secrets {
            let header = sign(secret, BODY, now()).unwrap();
            assert!(verifier(&secrets).verify(Some(&header), BODY, now()).is_ok());
        }
    }
}

#[test]
fn only_v1_counts_and_other_schemes_are_passed_over() {
    let hash = v1(FIRST);
    assert_eq!(check(&format!("t=1793600000,v0=00,v1={hash},v2=ff,odd"), BODY), Ok(()));
    for header in [format!("t=1793600000,v0={hash}"), "t=1793600000".to_owned()] {
        assert_eq!(check(&header, BODY), Err(Rejected::UnreadableSignature));
    }
}

#[test]
fn exactly_one_plain_timestamp_is_needed() {
    let hash = v1(FIRST);
    let timestamps = [
        "",
        "t=1793600000,t=1793600000",
        "t=1793600000,t=1",
        "t=",
        "t=+1793600000",
        "t=-1",
        "t=1793600000.0",
        "t=99999999999999999999",
        "T=1793600000",
    ];
    for timestamp in timestamps {
        for header in [format!("{timestamp},v1={hash}"), format!("v1={hash},{timestamp}")] {
            assert_eq!(check(&header, BODY), Err(Rejected::UnreadableSignature), "{header}");
        }
    }
}

#[test]
fn an_unsigned_body_is_refused() {
    let refused = verifier(&[FIRST]).verify(None, BODY, now()).map(drop);
    assert_eq!(refused, Err(Rejected::Unsigned));
    assert_eq!(check("", BODY), Err(Rejected::UnreadableSignature));
}

#[test]
fn five_minutes_are_allowed_either_way_and_not_a_second_more() {
    let at = |now| verifier(&[FIRST]).verify(Some(KNOWN), BODY, now).map(drop);
    assert_eq!(at(later(300)), Ok(()));
    assert_eq!(at(later(-300)), Ok(()));
    assert_eq!(at(later(301)), Err(Rejected::Stale { by_seconds: 301 }));
    assert_eq!(at(later(-301)), Err(Rejected::Future { by_seconds: 301 }));
}

#[test]
fn too_large_a_body_is_refused_before_anything_else_is_looked_at() {
    let frame = br#"{"id":"evt_1","livemode":false}"#;
    let mut largest = frame.to_vec();
    largest.resize(LARGEST_BODY, b' ');
    let header = sign(FIRST, &largest, now()).unwrap();
    assert_eq!(check(&header, &largest), Ok(()));
    largest.push(b' ');
    assert_eq!(check(&sign(FIRST, &largest, now()).unwrap(), &largest), Err(Rejected::TooLarge));
    assert_eq!(check("not even a signature", &largest), Err(Rejected::TooLarge));
}

#[test]
fn a_signed_body_that_is_no_event_is_refused() {
    let bodies: [&[u8]; 8] = [
        b"",
        b"{}",
        b"\xff",
        br#"{"id":"evt_1"}"#,
        br#"{"id":"evt_1","livemode":"false"}"#,
        br#"{"id":7,"livemode":false}"#,
        br#"{"id":"cus_1","livemode":false}"#,
        br#"{"id":"evt_1","livemode":false} and more"#,
    ];
    for body in bodies {
        assert_eq!(check(&sign(FIRST, body, now()).unwrap(), body), Err(Rejected::Malformed));
    }
}

#[test]
fn snapshot_and_thin_events_are_both_let_through() {
    for file in ["checkout.session.completed.paid.2024-06-20", "thin.checkout.session.completed.2026-09-30"] {
        let path = format!("{}/../../events/stripe/{file}.json", env!("CARGO_MANIFEST_DIR"));
        let body = std::fs::read(path).unwrap();
        assert_eq!(check(&sign(FIRST, &body, now()).unwrap(), &body), Ok(()), "{file}");
    }
}

#[test]
fn an_empty_secret_is_refused_for_anybody_could_sign_with_it() {
    let refusal = |secrets: &[&str]| Verifier::new(secrets.iter().map(|s| (*s).to_owned())).map(drop);
    assert_eq!(refusal(&[]), Err(BadSecret::None));
    for blank in ["", " ", "\t\n", "whsec_", " whsec_"] {
        assert_eq!(refusal(&[blank]), Err(BadSecret::Blank), "{blank:?}");
        assert_eq!(refusal(&[FIRST, blank]), Err(BadSecret::Blank), "{blank:?}");
        assert_eq!(sign(blank, BODY, now()), Err(BadSecret::Blank), "{blank:?}");
    }
}

#[test]
fn printing_for_debugging_shows_neither_secret_nor_body() {
    let verifier = verifier(&[FIRST, SECOND]);
    assert_eq!(format!("{verifier:?}"), "Verifier of 2 secrets");
    let event = verifier.verify(Some(KNOWN), BODY, now()).unwrap();
    assert_eq!(format!("{event:?}"), "VerifiedEvent(evt_1, livemode: false)");
}

proptest! {
    #[test]
    fn no_header_and_no_body_make_the_verifier_panic_or_say_yes(
        header in "\\PC{0,80}|(t=[0-9]{0,22}|v1=[0-9a-f]{0,66}|,|=| ){0,8}", body: Vec<u8>,
    ) {
        prop_assert!(check(&header, &body).is_err());
    }

    #[test]
    fn a_known_header_with_one_character_changed_never_verifies(
        position in any::<prop::sample::Index>(), character in "[ -~é]",
    ) {
        let position = position.index(KNOWN.len());
        let mut header = KNOWN.to_owned();
        header.replace_range(position..=position, &character);
        // Hexadecimal digits mean the same in capitals.
        prop_assume!(!header.eq_ignore_ascii_case(KNOWN));
        prop_assert!(check(&header, BODY).is_err(), "{header}");
    }
}
