//! The small words of requests, cursors and settings: ids, times, durations, amounts, addresses, keys.

use domain::catalog::CheckoutPolicy;
use domain::ids::{CheckoutId, EventId, HoldId, PackageId, PaymentId, PriceId, RequestKey, UserId};
use domain::item::{Item, Sold};
use domain::money::{Currency, Money};
use domain::privacy::{Email, KeyedHash, PrivacyKeys};
use domain::subscription::Status;
use domain::time::{Time, parse_duration_ms};
use fuzz::{TextDamage, check, one_of};

const WORDS: [&str; 16] = [
    "ada",
    "Ada.L+x@App.Example",
    "2026-09-30T12:00:00Z",
    "2026-09-30T12:00:00.123456789+02:00",
    "-009999-01-02T01:59:59Z",
    "15m",
    "7d",
    "9223372036854775807s",
    "package:medium:3",
    "plan:premium:month:eur",
    "9.99",
    "92233720368547758.07",
    "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "https://App.Example:8443/paid?id={CHECKOUT_SESSION_ID}",
    "http://[::1]:3000",
    "cs_test_a1Tm7c52eZvKYlo2C3uK",
];

const PIECES: [&str; 28] = [
    "@",
    ":",
    "/",
    "//",
    ".",
    "-",
    "+",
    "%",
    "#",
    "?",
    "[",
    "]",
    " ",
    "\t",
    "\u{0}",
    "\u{202e}",
    "İ",
    "ß",
    "Σ",
    "0",
    "99999999999999999999",
    "T",
    "Z",
    "w",
    "eur",
    "jpy",
    ",",
    "https://",
];

/// Something that is nearly one of the words.
type Nearly = (u16, TextDamage);

fn text((which, damage): &Nearly) -> String {
    damage.to(one_of::<&str>(*which, &WORDS), &PIECES)
}

/// What it reads as reads as it is written.
fn reads_as_written<T>(text: &str)
where
    T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Display + PartialEq + std::fmt::Debug,
{
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse::<T>().unwrap(), value, "{text:?}");
    }
}

#[test]
fn ids_and_items_read_as_they_are_written() {
    check!().with_type::<Nearly>().for_each(|nearly| {
        let text = text(nearly);
        reads_as_written::<Item>(&text);
        reads_as_written::<Sold>(&text);
        reads_as_written::<UserId>(&text);
        reads_as_written::<RequestKey>(&text);
        reads_as_written::<KeyedHash>(&text);
        reads_as_written::<PaymentId>(&format!("pi_{text}"));
        reads_as_written::<PriceId>(&text);
        reads_as_written::<PackageId>(&text);
        reads_as_written::<HoldId>(&format!("hold_{text}"));
        reads_as_written::<CheckoutId>(&text);
        reads_as_written::<EventId>(&format!("evt_{text}"));
        assert_eq!(Status::parse(&text) == Status::Unknown, Status::parse(&text).name() != text);
    });
}

#[test]
fn times_are_read_to_the_millisecond_and_counted_in_months() {
    check!().with_type::<(Nearly, i64, i16)>().for_each(|(nearly, millis, months)| {
        if let Some(time) = Time::parse_rfc3339(&text(nearly)) {
            assert_eq!(Time::parse_rfc3339(&time.rfc3339()), Some(time));
        }
        // As far as a calendar goes, and beyond.
        for millis in [*millis, millis % 200_000_000_000_000] {
            let time = Time::from_millis(millis);
            assert!(!time.rfc3339().is_empty() && time.month().len() == 7, "{}", time.rfc3339());
            assert!(time.next_month() >= time.plus_months(0), "{millis}");
            assert!(
                time.plus_months(i64::from(*months)) >= time.plus_months(i64::from(i16::MIN)),
                "{millis}"
            );
        }
        let (from, months) =
            (Time::from_millis(millis % 4_000_000_000_000), i64::from(months.unsigned_abs()));
        let later = from.plus_months(months);
        assert_eq!(from.months_until(later), months, "{}", from.rfc3339());
        assert_eq!(from.months_until(later.plus_ms(-1)), months - 1, "{}", from.rfc3339());
    });
}

#[test]
fn durations_are_never_negative_and_name_a_unit() {
    check!().with_type::<Nearly>().for_each(|nearly| {
        let text = text(nearly);
        if let Some(ms) = parse_duration_ms(&text) {
            assert!(ms >= 0 && ms % 1_000 == 0, "{text:?}: {ms}");
            assert!(text.ends_with(['s', 'm', 'h', 'd', 'w']));
        }
    });
}

#[test]
fn money_is_read_exactly_in_every_currency() {
    check!().with_type::<(Nearly, i64, u16)>().for_each(|(nearly, minor, which)| {
        let currency = Currency::parse(one_of::<&str>(*which, &["eur", "JPY", "bhd"])).unwrap();
        let money = Money { amount_minor: minor.saturating_abs(), currency };
        assert_eq!(Money::parse(&money.decimal(), currency), Some(money));
        if let Some(read) = Money::parse(&text(nearly), currency) {
            assert!(read.amount_minor >= 0);
            assert_eq!(Money::parse(&read.decimal(), currency), Some(read));
        }
        // What Stripe may send, of whatever sign.
        drop(Money { amount_minor: *minor, currency }.decimal());
    });
}

#[test]
fn an_address_is_read_once_and_for_all() {
    check!().with_type::<Nearly>().for_each(|nearly| {
        if let Ok(email) = Email::parse(&text(nearly)) {
            assert_eq!(Email::parse(email.as_str()), Ok(email.clone()));
            assert!(email.as_str().len() <= 254 && email.as_str().contains('@'));
            assert_eq!(format!("{email:?}"), "Email");
        }
    });
}

#[test]
fn keys_for_personal_data_are_read_or_refused_and_never_shown() {
    check!().with_type::<Nearly>().for_each(|nearly| {
        let text = text(nearly);
        if let Ok(keys) = PrivacyKeys::parse(&text) {
            assert!(!format!("{keys:?}").contains("AAECAwQF"));
            assert_eq!(keys.note("a"), keys.note("a"));
        }
    });
}

/// Whatever a browser makes of an allowed address, it leads to the allowed origin.
#[test]
fn an_address_that_a_buyer_may_return_to_is_at_that_origin() {
    let origin = "https://app.example:8443";
    let policy = CheckoutPolicy {
        return_origins: vec![origin.to_owned()],
        success_url: String::new(),
        cancel_url: String::new(),
        payment_methods: Vec::new(),
        automatic_tax: false,
        collect_address: false,
        promotion_codes: false,
    };
    check!().with_type::<Nearly>().for_each(|nearly| {
        let text = text(nearly);
        if policy.allows(&text) {
            let rest = text.to_ascii_lowercase().strip_prefix(origin).map(str::to_owned);
            let rest = rest.unwrap_or_else(|| panic!("{text:?} is elsewhere"));
            assert!(rest.is_empty() || rest.starts_with(['/', '?', '#']), "{text:?}");
        }
        if let Ok(origin) = CheckoutPolicy::origin(&text) {
            assert_eq!(CheckoutPolicy::origin(&origin), Ok(origin));
        }
    });
}
