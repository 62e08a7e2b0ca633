//! Keyed hashes of what may not stand in the books: emails, notes and addresses.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The keys that hash personal data, by version. The highest writes; all read, so that a new one can be added.
/// One is taken away only when nothing waits under it any more.
#[derive(Clone)]
pub struct PrivacyKeys {
    newest: Key,
    /// Newest first.
    older: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    version: u32,
    secret: [u8; 32],
}

/// HMAC-SHA256 of a text under one version of the keys: `1:<base64url>`. Nobody without the key learns the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KeyedHash {
    version: u32,
    mac: [u8; 32],
}

/// An address as grants are found by: trimmed, in lower case, and nothing more.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

/// Somebody whose email is verified, with all that grants for it may wait under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    pub email: Email,
    /// One for each version of the keys, newest first.
    pub hashes: Vec<KeyedHash>,
}

/// Enough of an email's hash to see that it is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailMark(String);

/// Why a setting holds no keys. Never names a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    #[error("it must be `1:<32 random bytes in base64url>`, with `,2:…` for later versions")]
    Malformed,
    #[error("two keys have the same version")]
    SameVersion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an email address")]
pub struct BadEmail;

/// A text that no keyed hash is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a keyed hash")]
pub struct BadKeyedHash;

impl PrivacyKeys {
    pub fn parse(text: &str) -> Result<PrivacyKeys, BadKeys> {
        let mut keys = text.split(',').map(Key::parse).collect::<Result<Vec<_>, _>>()?;
        keys.sort_by_key(|key| std::cmp::Reverse(key.version));
        if keys.windows(2).any(|pair| pair[0].version == pair[1].version) {
            return Err(BadKeys::SameVersion);
        }
        let older = keys.split_off(1);
        let newest = keys.pop().ok_or(BadKeys::Malformed)?;
        Ok(PrivacyKeys { newest, older })
    }

    pub fn note(&self, note: &str) -> KeyedHash {
        self.newest.hash("note", note)
    }

    pub fn email(&self, email: &Email) -> KeyedHash {
        self.newest.hash("email", &email.0)
    }

    /// Of the addresses that a buyer returns to; `None` where none was named.
    pub fn urls(&self, success: Option<&str>, cancel: Option<&str>) -> Option<KeyedHash> {
        let urls = serde_json::json!([success, cancel]).to_string();
        success.or(cancel).map(|_| self.newest.hash("urls", &urls))
    }

    /// What stands for personal words where one request is told from another. By the oldest key, so that a request
    /// stays the same request when a newer key is added.
    pub fn in_request(&self, words: &str) -> KeyedHash {
        self.older.last().unwrap_or(&self.newest).hash("request", words)
    }

    /// What a trial is remembered by. By the oldest key, so that nobody gets another one when a newer key is added.
    pub fn trial(&self, email: &Email) -> KeyedHash {
        self.older.last().unwrap_or(&self.newest).hash("trial", &email.folded())
    }

    pub fn claimant(&self, email: Email) -> Claimant {
        let keys = std::iter::once(&self.newest).chain(&self.older);
        let hashes = keys.map(|key| key.hash("email", &email.0)).collect();
        Claimant { email, hashes }
    }
}

impl Key {
    fn parse(text: &str) -> Result<Key, BadKeys> {
        let (version, secret) = text.trim().split_once(':').ok_or(BadKeys::Malformed)?;
        let version = version.parse().map_err(|_| BadKeys::Malformed)?;
        let secret = URL_SAFE_NO_PAD.decode(secret.trim_end_matches('=')).map_err(|_| BadKeys::Malformed)?;
        Ok(Key { version, secret: secret.try_into().map_err(|_| BadKeys::Malformed)? })
    }

    /// What it is goes in too: a note that is an address must not hash as the address.
    fn hash(&self, what: &str, text: &str) -> KeyedHash {
        let mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        let mac = mac.chain_update(what).chain_update([0]).chain_update(text).finalize();
        KeyedHash { version: self.version, mac: mac.into_bytes().into() }
    }
}

/// Keys are secrets, so only their versions are ever printed.
impl fmt::Debug for PrivacyKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let older = self.older.iter().map(|key| key.version);
        f.debug_list().entry(&self.newest.version).entries(older).finish()
    }
}

impl Claimant {
    /// What an account remembers once it has claimed all that waits for this email.
    pub fn mark(&self) -> Option<EmailMark> {
        self.hashes.first().map(KeyedHash::mark)
    }
}

impl KeyedHash {
    fn mark(&self) -> EmailMark {
        let mac = URL_SAFE_NO_PAD.encode(self.mac);
        EmailMark(format!("{}:{}", self.version, &mac[..16]))
    }
}

impl fmt::Display for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.version, URL_SAFE_NO_PAD.encode(self.mac))
    }
}

impl std::str::FromStr for KeyedHash {
    type Err = BadKeyedHash;

    fn from_str(text: &str) -> Result<KeyedHash, BadKeyedHash> {
        let (version, mac) = text.split_once(':').ok_or(BadKeyedHash)?;
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| BadKeyedHash)?;
        Ok(KeyedHash {
            version: version.parse().map_err(|_| BadKeyedHash)?,
            mac: mac.try_into().map_err(|_| BadKeyedHash)?,
        })
    }
}

impl From<KeyedHash> for String {
    fn from(hash: KeyedHash) -> String {
        hash.to_string()
    }
}

impl TryFrom<String> for KeyedHash {
    type Error = BadKeyedHash;
    fn try_from(text: String) -> Result<KeyedHash, BadKeyedHash> {
        text.parse()
    }
}

impl Email {
    /// The longest address that mail can be sent to.
    const LONGEST: usize = 254;

    pub fn parse(text: &str) -> Result<Email, BadEmail> {
        let email = text.trim().to_lowercase();
        let is_address = email.split_once('@').is_some_and(|(name, at)| !name.is_empty() && !at.is_empty());
        let odd = email.chars().any(|letter| letter.is_whitespace() || letter.is_control());
        if is_address && !odd && email.len() <= Email::LONGEST { Ok(Email(email)) } else { Err(BadEmail) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The mailbox behind an address, as far as everybody knows how one can be written: what follows a `+` is the
    /// owner's own, and dots mean nothing to Gmail.
    fn folded(&self) -> String {
        let (name, at) = self.0.rsplit_once('@').unwrap_or((&self.0, ""));
        let name = name.split('+').next().unwrap_or(name);
        match at {
            "gmail.com" | "googlemail.com" => format!("{}@gmail.com", name.replace('.', "")),
            at => format!("{name}@{at}"),
        }
    }
}

/// Personal data, so it never reaches a log.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    const SECOND: &str = "2:__________________________________________8";

    fn keys(text: &str) -> PrivacyKeys {
        PrivacyKeys::parse(text).unwrap()
    }

    fn email(text: &str) -> Email {
        Email::parse(text).unwrap()
    }

    #[test]
    fn a_person_writes_their_address_in_many_ways_and_has_one_trial() {
        let (first, both) = (keys(FIRST), keys(&format!("{FIRST},{SECOND}")));
        let ada = first.trial(&email("ada.l@gmail.com"));
        for same in ["Ada.L+tollgate@gmail.com", "adal@googlemail.com"] {
            assert_eq!(first.trial(&email(same)), ada, "{same}");
        }
        assert_eq!(both.trial(&email("adal@gmail.com")), ada);
        // Elsewhere a dot may tell two people apart.
        assert_ne!(first.trial(&email("ada.l@app.example")), first.trial(&email("adal@app.example")));
        assert_ne!(ada, first.email(&email("adal@gmail.com")));
    }

    #[test]
    fn the_highest_version_writes_and_all_read() {
        let both = keys(&format!("{FIRST},{SECOND}"));
        let claimant = both.claimant(email("a@b.c"));
        assert_eq!(
            claimant.hashes,
            [keys(SECOND).email(&email("a@b.c")), keys(FIRST).email(&email("a@b.c"))]
        );
        assert_eq!(both.email(&email("a@b.c")), claimant.hashes[0]);
        assert_ne!(claimant.mark(), keys(FIRST).claimant(email("a@b.c")).mark());
    }

    #[test]
    fn a_hash_never_changes_between_deploys() {
        let hash = keys(FIRST).email(&email(" Ada@App.Example "));
        assert_eq!(hash, keys(FIRST).email(&email("ada@app.example")));
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(hash.to_string(), "1:SbYrQxkmYbiP8GGGvkm5i0BQV_GIzvGzoU-5ayKnHxo");
    }

    #[test]
    fn a_note_that_is_an_address_does_not_hash_as_the_address() {
        assert_ne!(keys(FIRST).note("a@b.c"), keys(FIRST).email(&email("a@b.c")));
    }

    #[test]
    fn which_address_is_which_is_in_their_hash() {
        let keys = keys(FIRST);
        assert_eq!(keys.urls(None, None), None);
        let all = [(Some("a"), None), (None, Some("a")), (Some("a"), Some("b")), (Some("b"), Some("a"))];
        let hashes: std::collections::HashSet<_> =
            all.iter().filter_map(|(success, cancel)| keys.urls(*success, *cancel)).collect();
        assert_eq!(hashes.len(), all.len());
    }

    #[test]
    fn words_in_a_request_hash_as_they_did_before_a_key_was_added() {
        let both = keys(&format!("{SECOND},{FIRST}"));
        assert_eq!(both.in_request("a@b.c"), keys(FIRST).in_request("a@b.c"));
        assert_ne!(both.in_request("a@b.c"), both.in_request("b@b.c"));
        assert_ne!(keys(FIRST).in_request("a@b.c"), keys(SECOND).in_request("a@b.c"));
    }

    #[test]
    fn malformed_keys_are_refused_and_never_printed() {
        for wrong in ["", "1", "1:", "x:AAAA", "1:AAAA", &FIRST[2..], &format!("{FIRST},")] {
            assert_eq!(PrivacyKeys::parse(wrong).err(), Some(BadKeys::Malformed), "{wrong:?}");
        }
        assert_eq!(PrivacyKeys::parse(&format!("{FIRST},{FIRST}")).err(), Some(BadKeys::SameVersion));
        assert_eq!(format!("{:?}", keys(FIRST)), "[1]");
    }

    #[test]
    fn what_is_no_address_is_no_email() {
        for wrong in ["", "ada", "@b.c", "a@", "a b@c.d", &format!("{}@b.c", "a".repeat(251))] {
            assert_eq!(Email::parse(wrong), Err(BadEmail), "{wrong:?}");
        }
    }
}
