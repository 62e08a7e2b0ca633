//! Who sent this? Only a body signed by Stripe, just now, becomes a [`VerifiedEvent`].

use domain::ids::EventId;
use domain::time::Time;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::message::Message;

/// Far above any event of Stripe's, and low enough that its queue message always fits.
pub const LARGEST_BODY: usize = 256 * 1024;

/// How far Stripe's clock and ours may be apart, and how long an event may travel.
pub const TOLERANCE_SECONDS: u64 = 300;

/// What every secret of Stripe's starts with.
const SECRET_PREFIX: &str = "whsec_";

/// Checks `Stripe-Signature` against one secret, or against several while they are being rotated.
#[derive(Clone)]
pub struct Verifier {
    /// Keyed once; a secret itself is not kept.
    keys: Vec<Hmac<Sha256>>,
}

/// A body that Stripe signed. Only [`Verifier::verify`] makes one:
///
/// ```compile_fail
/// let body = String::from("{}");
/// let id = domain::ids::EventId::parse("evt_1").unwrap();
/// let forged = stripe_event::VerifiedEvent { id, livemode: true, body };
/// ```
/// ```compile_fail
/// let forged: stripe_event::VerifiedEvent = Default::default();
/// ```
/// ```compile_fail
/// let forged: stripe_event::VerifiedEvent = serde_json::from_str("{}").unwrap();
/// ```
/// while to read one needs nothing more:
/// ```
/// fn live(event: &stripe_event::VerifiedEvent) -> Option<&domain::ids::EventId> {
///     event.livemode().then(|| event.id())
/// }
/// ```
pub struct VerifiedEvent {
    id: EventId,
    livemode: bool,
    body: String,
}

/// A secret that would let anybody in, or nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    #[error("there is no webhook secret; Stripe shows one (`whsec_…`) beside each endpoint")]
    None,
    #[error("a webhook secret is empty; Stripe shows one (`whsec_…`) beside each endpoint")]
    Blank,
}

/// Why a request is not taken for one of Stripe's. Says what helps, and never what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("the body is larger than {LARGEST_BODY} bytes")]
    TooLarge,
    #[error("the header `Stripe-Signature` is missing")]
    Unsigned,
    #[error("the header `Stripe-Signature` must hold one `t=<seconds>` and at least one `v1=<hex>`")]
    UnreadableSignature,
    #[error(
        "the signature's `t` is {by_seconds} s old; at most {TOLERANCE_SECONDS} s are allowed, so sign again"
    )]
    Stale { by_seconds: u64 },
    #[error(
        "the signature's `t` is {by_seconds} s in the future; at most {TOLERANCE_SECONDS} s are allowed, \
         so set the sender's clock"
    )]
    Future { by_seconds: u64 },
    #[error("no `v1` matches: the secret is another endpoint's, or the body was changed on its way")]
    WrongSignature,
    #[error("the body must be a JSON object with an `id` (`evt_…`) and a boolean `livemode`")]
    Malformed,
}

impl Verifier {
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Result<Verifier, BadSecret> {
        let keys: Vec<_> = secrets.into_iter().map(|secret| key(&secret)).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(BadSecret::None) } else { Ok(Verifier { keys }) }
    }

    /// Everything cheap comes before the hash, and the body is read only once it is known to be Stripe's.
    pub fn verify(&self, header: Option<&str>, body: &[u8], now: Time) -> Result<VerifiedEvent, Rejected> {
        if body.len() > LARGEST_BODY {
            return Err(Rejected::TooLarge);
        }
        let signature = Signature::parse(header.ok_or(Rejected::Unsigned)?)?;
        signature.check_age(now)?;
        if !self.any_matches(&signature, body) {
            return Err(Rejected::WrongSignature);
        }
        VerifiedEvent::read(body)
    }

    /// Tries every candidate with every key: how long that takes tells nothing about which of them matched.
    fn any_matches(&self, signature: &Signature, body: &[u8]) -> bool {
        let mut matched = false;
        for key in &self.keys {
            let mac = hash(key.clone(), signature.signed_at, body);
            for candidate in &signature.candidates {
                matched |= mac.clone().verify_slice(candidate).is_ok();
            }
        }
        matched
    }
}

/// The header that Stripe would send with this body: for the sandbox, the command line and tests.
pub fn sign(secret: &str, body: &[u8], at: Time) -> Result<String, BadSecret> {
    let signed_at = at.seconds().to_string();
    let mac = hash(key(secret)?, &signed_at, body).finalize().into_bytes();
    let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("t={signed_at},v1={hex}"))
}

fn key(secret: &str) -> Result<Hmac<Sha256>, BadSecret> {
    // With an empty key anybody can sign; the prefix alone is as empty, being public.
    if secret.trim().trim_start_matches(SECRET_PREFIX).is_empty() {
        return Err(BadSecret::Blank);
    }
    Ok(Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length"))
}

fn hash(mut key: Hmac<Sha256>, signed_at: &str, body: &[u8]) -> Hmac<Sha256> {
    key.update(signed_at.as_bytes());
    key.update(b".");
    key.update(body);
    key
}

/// The parts of a `Stripe-Signature` that are looked at.
struct Signature<'a> {
    /// As it was written, for that is what was signed.
    signed_at: &'a str,
    seconds: i64,
    candidates: Vec<[u8; 32]>,
}

impl<'a> Signature<'a> {
    fn parse(header: &'a str) -> Result<Signature<'a>, Rejected> {
        let (mut signed_at, mut v1_seen, mut candidates) = (None, false, Vec::new());
        for (scheme, value) in header.split(',').filter_map(|part| part.trim().split_once('=')) {
            match scheme {
                // With two, what is signed and what is checked could be made to differ.
                "t" if signed_at.is_some() => return Err(Rejected::UnreadableSignature),
                "t" => signed_at = Some(value),
                "v1" => {
                    v1_seen = true;
                    candidates.extend(whole_hash(value));
                }
                _ => {}
            }
        }
        let signed_at = signed_at.filter(|_| v1_seen).ok_or(Rejected::UnreadableSignature)?;
        let seconds = seconds(signed_at).ok_or(Rejected::UnreadableSignature)?;
        Ok(Signature { signed_at, seconds, candidates })
    }

    fn check_age(&self, now: Time) -> Result<(), Rejected> {
        let by_seconds = now.seconds().abs_diff(self.seconds);
        if by_seconds <= TOLERANCE_SECONDS {
            return Ok(());
        }
        let stale = self.seconds < now.seconds();
        Err(if stale { Rejected::Stale { by_seconds } } else { Rejected::Future { by_seconds } })
    }
}

fn seconds(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// All 32 bytes or nothing: a truncated hash must never be compared.
fn whole_hash(hex: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if hex.len() != 2 * hash.len() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = nibble(digits[0])? << 4 | nibble(digits[1])?;
    }
    Some(hash)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The two fields that snapshot events and thin ones share.
#[derive(Deserialize)]
struct Head {
    id: EventId,
    livemode: bool,
}

impl VerifiedEvent {
    fn read(body: &[u8]) -> Result<VerifiedEvent, Rejected> {
        let body = std::str::from_utf8(body).map_err(|_| Rejected::Malformed)?;
        let Head { id, livemode } = serde_json::from_str(body).map_err(|_| Rejected::Malformed)?;
        Ok(VerifiedEvent { id, livemode, body: body.to_owned() })
    }

    pub fn id(&self) -> &EventId {
        &self.id
    }

    pub fn livemode(&self) -> bool {
        self.livemode
    }

    pub fn into_message(self, received_at: Time) -> Message {
        Message::StripeV1 { event: self.id, received_at, body: self.body }
    }
}

impl Rejected {
    /// One word for counters and alarms.
    pub const fn reason(self) -> &'static str {
        match self {
            Rejected::TooLarge => "too_large",
            Rejected::Unsigned => "unsigned",
            Rejected::UnreadableSignature => "unreadable",
            Rejected::Stale { .. } => "stale",
            Rejected::Future { .. } => "future",
            Rejected::WrongSignature => "wrong_signature",
            Rejected::Malformed => "malformed",
        }
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier of {} secrets", self.keys.len())
    }
}

/// Without the body, which holds personal data.
impl std::fmt::Debug for VerifiedEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifiedEvent({}, livemode: {})", self.id, self.livemode)
    }
}
