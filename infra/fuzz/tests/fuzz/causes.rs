//! Causes are keys: a text means one cause, and a cause has one text.

use domain::cause::{Cause, Operation, Subject, escaped, unescaped};
use domain::ids::{HoldId, InvoiceId, JobId, PaymentId, RequestKey, UserId};
use fuzz::{TextDamage, check, one_of};

const PIECES: [&str; 24] = [
    ":",
    "%",
    "%3A",
    "%3a",
    "%25",
    "%C3%A9",
    "%ff",
    "#",
    " ",
    "é",
    "+",
    "-",
    "0",
    "00",
    "1",
    "pay",
    "req",
    "obs",
    "end",
    "user",
    "email",
    "cs_",
    "pi_",
    "4294967296",
];

const CAUSES: [&str; 10] = [
    "pay:pi_3Tm7c52eZvKYlo2C3uK",
    "pay:cs_test_a1Tm7c52eZvKYlo2C3uK",
    "inv:in_1",
    "rev:pi_1:2",
    "hold:hold_0k8ZDtiCyWsRCkRsitC_Gf:end",
    "bulk:job_1:user:auth0|a%3Ab",
    "bulk:job_1:email:1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "req:auth0|a%3Ab:consume:x%3Ay%23z%25",
    "req:%C3%A9:grant_bulk:k",
    "obs:ada:7",
];

#[test]
fn a_text_that_reads_as_a_cause_is_the_text_of_that_cause() {
    check!().with_type::<(u16, TextDamage)>().for_each(|(which, damage)| {
        let text = damage.to(one_of::<&str>(*which, &CAUSES), &PIECES);
        if let Ok(cause) = text.parse::<Cause>() {
            assert_eq!(cause.to_string(), text);
        }
    });
}

/// Of whatever text is allowed for an id.
fn cause(kind: u16, one: &str, other: &str, number: u64) -> Option<Cause> {
    let user = UserId::parse(one).ok();
    Some(match kind % 8 {
        0 => Cause::Payment(PaymentId::parse(format!("pi_{one}")).ok()?),
        1 => Cause::Invoice(InvoiceId::parse(format!("in_{one}")).ok()?),
        2 => Cause::Reversal {
            payment: PaymentId::parse(format!("cs_{one}")).ok()?,
            number: u32::try_from(number >> 32).ok()?,
        },
        3 => Cause::HoldEnd(HoldId::parse(format!("hold_{one}")).ok()?),
        4 => Cause::Bulk { job: JobId::parse(format!("job_{number}")).ok()?, subject: Subject::User(user?) },
        5 => Cause::Seen { user: user?, seq: number },
        _ => {
            let operation = *one_of(u16::try_from(number % 1_000).ok()?, &Operation::ALL);
            Cause::Request { user: user?, operation, key: RequestKey::parse(other).ok()? }
        }
    })
}

#[test]
fn a_cause_reads_as_it_is_written_and_no_two_are_written_alike() {
    check!().with_type::<[(u16, TextDamage, TextDamage, u64); 2]>().for_each(|made| {
        let made = made.each_ref().map(|(kind, one, other, number)| {
            cause(*kind, &one.to("a:b", &PIECES), &other.to("k:1", &PIECES), *number)
        });
        for cause in made.iter().flatten() {
            let text = cause.to_string();
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'), "{text}");
            assert_eq!(text.parse().as_ref(), Ok(cause));
        }
        if let [Some(one), Some(other)] = &made {
            assert_eq!(one == other, one.to_string() == other.to_string());
        }
    });
}

#[test]
fn any_text_survives_being_escaped() {
    check!().with_type::<String>().for_each(|text| {
        let inside = escaped(text).to_string();
        assert!(!inside.contains([':', '#', ' ']));
        assert_eq!(unescaped(&inside).as_ref(), Ok(text));
    });
}
