//! Tokens that the local gateway accepts, and nothing else does: signed with the stack's own random key.

mod local_file;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value, json};

pub use local_file::{LocalFile, LocalFileError, LocalStack};

const ISSUER: &str = "tollgate-local";
const AUDIENCE: &str = "tollgate";

/// Makes and checks tokens of one stack.
#[derive(Clone)]
pub struct Tokens {
    signs: EncodingKey,
    checks: DecodingKey,
}

/// Why a token is not accepted, in the words of API Gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    #[error("the token has expired")]
    Expired,
    #[error("the token does not have a valid audience")]
    Audience,
    #[error("the token does not have a valid issuer")]
    Issuer,
    #[error("the token is not valid")]
    Invalid,
}

pub type Claims = Map<String, Value>;

impl Tokens {
    pub fn new(key: &[u8]) -> Tokens {
        Tokens { signs: EncodingKey::from_secret(key), checks: DecodingKey::from_secret(key) }
    }

    /// A token for a user, good for a while by the wall clock.
    pub fn mint(&self, user: &str, email: Option<&str>, scope: Option<&str>, ttl: Duration) -> String {
        let issued_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut claims = json!({
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user,
            "iat": issued_at.as_secs(),
            "exp": (issued_at + ttl).as_secs(),
        });
        if let Some(email) = email {
            claims["email"] = json!(email);
            claims["email_verified"] = json!(true);
        }
        if let Some(scope) = scope {
            claims["scope"] = json!(scope);
        }
        let header = Header::new(Algorithm::HS256);
        jsonwebtoken::encode(&header, &claims, &self.signs)
            .expect("plain claims can always be signed by HMAC")
    }

    pub fn verify(&self, token: &str) -> Result<Claims, BadToken> {
        let mut wanted = Validation::new(Algorithm::HS256);
        wanted.leeway = 0;
        wanted.validate_nbf = true;
        wanted.set_audience(&[AUDIENCE]);
        wanted.set_issuer(&[ISSUER]);
        wanted.set_required_spec_claims(&["aud", "exp", "iss", "sub"]);
        let decoded = jsonwebtoken::decode(token, &self.checks, &wanted);
        decoded.map(|token| token.claims).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => BadToken::Expired,
            ErrorKind::InvalidAudience => BadToken::Audience,
            ErrorKind::InvalidIssuer => BadToken::Issuer,
            _ => BadToken::Invalid,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn signed(claims: &Value, algorithm: Algorithm, key: &[u8]) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap()
    }

    fn claims() -> Value {
        json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "u", "exp": 4_000_000_000_u64 })
    }

    #[test]
    fn a_minted_token_says_who_and_what_for() {
        let tokens = Tokens::new(b"key");
        let claims = tokens.verify(&tokens.mint("auth0|1", Some("a@b.c"), Some("admin"), HOUR)).unwrap();
        assert_eq!(claims["sub"], "auth0|1");
        assert_eq!((&claims["email"], &claims["email_verified"]), (&json!("a@b.c"), &json!(true)));
        assert_eq!(claims["scope"], "admin");
        let plain = tokens.verify(&tokens.mint("u", None, None, HOUR)).unwrap();
        assert!(!plain.contains_key("email_verified") && !plain.contains_key("scope"));
    }

    #[test]
    fn another_key_another_algorithm_or_none_is_refused() {
        let tokens = Tokens::new(b"key");
        assert!(tokens.verify(&signed(&claims(), Algorithm::HS256, b"key")).is_ok());
        assert_eq!(tokens.verify(&signed(&claims(), Algorithm::HS256, b"other")), Err(BadToken::Invalid));
        assert_eq!(tokens.verify(&signed(&claims(), Algorithm::HS512, b"key")), Err(BadToken::Invalid));
        let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJ1In0.";
        assert_eq!(tokens.verify(unsigned), Err(BadToken::Invalid));
        assert_eq!(tokens.verify("nonsense"), Err(BadToken::Invalid));
    }

    #[test]
    fn each_registered_claim_is_checked() {
        let tokens = Tokens::new(b"key");
        let wrong = [
            ("exp", json!(1_000_000_000), BadToken::Expired),
            ("aud", json!("others"), BadToken::Audience),
            ("iss", json!("others"), BadToken::Issuer),
            ("nbf", json!(4_000_000_000_u64), BadToken::Invalid),
        ];
        for (name, value, problem) in wrong {
            let mut claims = claims();
            claims[name] = value;
            assert_eq!(tokens.verify(&signed(&claims, Algorithm::HS256, b"key")), Err(problem), "{name}");
        }
        for name in ["exp", "aud", "iss", "sub"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(name);
            assert!(tokens.verify(&signed(&claims, Algorithm::HS256, b"key")).is_err(), "{name}");
        }
    }

    #[test]
    fn a_token_ends_with_its_time() {
        let tokens = Tokens::new(b"key");
        let token = tokens.mint("u", None, None, Duration::ZERO);
        std::thread::sleep(Duration::from_millis(1100));
        assert_eq!(tokens.verify(&token), Err(BadToken::Expired));
    }
}
