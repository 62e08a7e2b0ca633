//! What chains the entries of a journal.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// SHA-256 over the previous hash and the entry's body.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the first entry of a journal is chained to.
    pub const START: Hash = Hash([0; 32]);

    pub fn of(prev: Hash, body: &str) -> Hash {
        let digest = Sha256::new().chain_update(prev.0).chain_update(body).finalize();
        Hash(digest.into())
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from(*self))
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> String {
        URL_SAFE_NO_PAD.encode(hash.0)
    }
}

/// A text that no hash is written as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a hash")]
pub struct BadHash;

impl TryFrom<String> for Hash {
    type Error = BadHash;
    fn try_from(text: String) -> Result<Hash, BadHash> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadHash)?;
        bytes.try_into().map(Hash).map_err(|_| BadHash)
    }
}
