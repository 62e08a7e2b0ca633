//! Causes: the business facts that justify a change. One cause has one effect, for ever.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::{HoldId, InvoiceId, JobId, PaymentId, RequestKey, UserId};
use crate::privacy::KeyedHash;

/// What may be asked for with an `Idempotency-Key`. Each operation has its own keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Cancel,
    Change,
    Checkout,
    Consume,
    Erase,
    Grant,
    GrantBulk,
    Hold,
    Pay,
    Refund,
    Resume,
    Subscribe,
}

impl Operation {
    pub const ALL: [Operation; 12] = [
        Operation::Cancel,
        Operation::Change,
        Operation::Checkout,
        Operation::Consume,
        Operation::Erase,
        Operation::Grant,
        Operation::GrantBulk,
        Operation::Hold,
        Operation::Pay,
        Operation::Refund,
        Operation::Resume,
        Operation::Subscribe,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Operation::Cancel => "cancel",
            Operation::Change => "change",
            Operation::Checkout => "checkout",
            Operation::Consume => "consume",
            Operation::Erase => "erase",
            Operation::Grant => "grant",
            Operation::GrantBulk => "grant_bulk",
            Operation::Hold => "hold",
            Operation::Pay => "pay",
            Operation::Refund => "refund",
            Operation::Resume => "resume",
            Operation::Subscribe => "subscribe",
        }
    }
}

/// The fact behind a journal entry. Its text is the entry's primary key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Cause {
    /// `pay:<pi_…>`: money arrived. Names no user, so one payment can never credit two.
    Payment(PaymentId),
    /// `inv:<in_…>`: an invoice was paid. Names no user either.
    Invoice(InvoiceId),
    /// `rev:<payment>:<n>`: for the so-manieth time, more or less of a payment is reversed than before.
    Reversal { payment: PaymentId, number: u32 },
    /// `hold:<id>:end`: a hold was captured or released, whichever came first.
    HoldEnd(HoldId),
    /// `bulk:<job>:<subject>`: an operator gave to many at once, and this is one of them.
    Bulk { job: JobId, subject: Subject },
    /// `req:<user>:<operation>:<key>`: a client asked for it.
    Request { user: UserId, operation: Operation, key: RequestKey },
    /// `obs:<user>:<seq>`: Stripe was looked at, and what it said differed from what the account knew.
    Seen { user: UserId, seq: u64 },
}

/// Who a grant is for: `user:<id>`, or `email:<keyed hash>` of somebody who may not be known yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Subject {
    User(UserId),
    Email(KeyedHash),
}

impl Cause {
    /// The payment that it is about, if it is one.
    pub fn payment(&self) -> Option<&PaymentId> {
        match self {
            Cause::Payment(payment) => Some(payment),
            _ => None,
        }
    }

    /// A short name for it where its text would be too long, or says too much.
    pub fn fingerprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.to_string()))
    }
}

/// `%`, `:`, `#` and everything but visible ASCII would make two causes look alike.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b':').add(b'#');

/// Text as it stands inside a key or a cause.
pub fn escaped(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, ESCAPED)
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Payment(payment) => write!(f, "pay:{payment}"),
            Cause::Invoice(invoice) => write!(f, "inv:{invoice}"),
            Cause::Reversal { payment, number } => write!(f, "rev:{payment}:{number}"),
            Cause::HoldEnd(hold) => write!(f, "hold:{hold}:end"),
            Cause::Bulk { job, subject } => write!(f, "bulk:{job}:{subject}"),
            Cause::Seen { user, seq } => write!(f, "obs:{}:{seq}", escaped(user.as_str())),
            Cause::Request { user, operation, key } => {
                write!(f, "req:{}:{}:{}", escaped(user.as_str()), operation.name(), escaped(key.as_str()))
            }
        }
    }
}

/// A text that no cause is written as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a cause")]
pub struct BadCause;

impl std::str::FromStr for Cause {
    type Err = BadCause;

    /// One cause has one text, so that no two texts name one entry: `%3a` is no `%3A`, nor `+7` a `7`.
    fn from_str(text: &str) -> Result<Cause, BadCause> {
        Cause::meant_by(text).ok().filter(|cause| cause.to_string() == text).ok_or(BadCause)
    }
}

impl Cause {
    fn meant_by(text: &str) -> Result<Cause, BadCause> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["pay", payment] => PaymentId::parse(*payment).map(Cause::Payment).map_err(|_| BadCause),
            ["inv", invoice] => InvoiceId::parse(*invoice).map(Cause::Invoice).map_err(|_| BadCause),
            ["rev", payment, number] => Ok(Cause::Reversal {
                payment: PaymentId::parse(*payment).map_err(|_| BadCause)?,
                number: number.parse().map_err(|_| BadCause)?,
            }),
            ["hold", hold, "end"] => HoldId::parse(*hold).map(Cause::HoldEnd).map_err(|_| BadCause),
            ["bulk", job, subject @ ..] => Ok(Cause::Bulk {
                job: JobId::parse(*job).map_err(|_| BadCause)?,
                subject: Subject::of_parts(subject)?,
            }),
            ["obs", user, seq] => Ok(Cause::Seen {
                user: UserId::parse(unescaped(user)?).map_err(|_| BadCause)?,
                seq: seq.parse().map_err(|_| BadCause)?,
            }),
            ["req", user, operation, key] => Ok(Cause::Request {
                user: UserId::parse(unescaped(user)?).map_err(|_| BadCause)?,
                operation: Operation::ALL
                    .into_iter()
                    .find(|known| known.name() == *operation)
                    .ok_or(BadCause)?,
                key: RequestKey::parse(unescaped(key)?).map_err(|_| BadCause)?,
            }),
            _ => Err(BadCause),
        }
    }
}

impl Subject {
    fn of_parts(parts: &[&str]) -> Result<Subject, BadCause> {
        match parts {
            ["user", user] => UserId::parse(unescaped(user)?).map(Subject::User).map_err(|_| BadCause),
            ["email", version, mac] => {
                format!("{version}:{mac}").parse().map(Subject::Email).map_err(|_| BadCause)
            }
            _ => Err(BadCause),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::User(user) => write!(f, "user:{}", escaped(user.as_str())),
            Subject::Email(hash) => write!(f, "email:{hash}"),
        }
    }
}

/// The text that was escaped.
pub fn unescaped(text: &str) -> Result<String, BadCause> {
    percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| BadCause)
}

impl From<Subject> for String {
    fn from(subject: Subject) -> String {
        subject.to_string()
    }
}

impl TryFrom<String> for Subject {
    type Error = BadCause;
    fn try_from(text: String) -> Result<Subject, BadCause> {
        Subject::of_parts(&text.split(':').collect::<Vec<_>>())
    }
}

impl From<Cause> for String {
    fn from(cause: Cause) -> String {
        cause.to_string()
    }
}

impl TryFrom<String> for Cause {
    type Error = BadCause;
    fn try_from(text: String) -> Result<Cause, BadCause> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(user: &str, operation: Operation, key: &str) -> Cause {
        let (user, key) = (UserId::parse(user).unwrap(), RequestKey::parse(key).unwrap());
        Cause::Request { user, operation, key }
    }

    #[test]
    fn separators_inside_a_user_or_a_key_are_escaped() {
        let cause = request("auth0|a:b", Operation::Consume, "x:y#z%");
        assert_eq!(cause.to_string(), "req:auth0|a%3Ab:consume:x%3Ay%23z%25");
        assert_eq!(cause.to_string().parse(), Ok(cause));
    }

    #[test]
    fn what_was_seen_is_named_by_the_entry_that_says_so() {
        let cause = Cause::Seen { user: UserId::parse("a:b").unwrap(), seq: 7 };
        assert_eq!(cause.to_string(), "obs:a%3Ab:7");
        assert_eq!("obs:a%3Ab:7".parse(), Ok(cause));
        let invoice = Cause::Invoice(InvoiceId::parse("in_1").unwrap());
        assert_eq!("inv:in_1".parse(), Ok(invoice));
        for wrong in ["inv:pi_1", "obs:a", "obs:a:b", "obs:a:-1", "obs:a:1:2"] {
            assert_eq!(wrong.parse::<Cause>(), Err(BadCause), "{wrong}");
        }
    }

    #[test]
    fn a_text_that_no_cause_is_written_as_is_none_though_it_can_be_understood() {
        for wrong in
            ["obs:a:+7", "obs:a:07", "rev:pi_1:+1", "req:a%3ab:consume:k", "req:%61:consume:k", "obs:a%:1"]
        {
            assert_eq!(wrong.parse::<Cause>(), Err(BadCause), "{wrong}");
        }
    }

    #[test]
    fn each_of_many_grants_is_named_by_its_job_and_its_subject() {
        let job = JobId::parse("job_1").unwrap();
        let of = |subject| Cause::Bulk { job: job.clone(), subject };
        let user = of(Subject::User(UserId::parse("email:1:a").unwrap()));
        assert_eq!(user.to_string(), "bulk:job_1:user:email%3A1%3Aa");
        let mac = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let email = of(Subject::Email(format!("1:{mac}").parse().unwrap()));
        assert_eq!(email.to_string(), format!("bulk:job_1:email:1:{mac}"));
        for cause in [user, email] {
            assert_eq!(cause.to_string().parse(), Ok(cause));
        }
        for wrong in
            ["bulk:job_1", "bulk:job_1:user", "bulk:job_1:email:1:a", "bulk:x:user:a", "bulk:job_1:a:b"]
        {
            assert_eq!(wrong.parse::<Cause>(), Err(BadCause), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn rendering_a_cause_is_injective(
            user in "\\PC{1,30}|[:#%a ]{1,8}", key in "[!-~]{1,40}|[:#%a]{1,6}", operation in 0usize..5,
        ) {
            prop_assume!(UserId::parse(&*user).is_ok());
            let cause = request(&user, Operation::ALL[operation], &key);
            let text = cause.to_string();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
            // Whatever reads back as itself cannot share its text with anything else.
            prop_assert_eq!(text.parse::<Cause>(), Ok(cause));
        }
    }
}
