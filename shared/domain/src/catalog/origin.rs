//! Web origins. Strict on purpose: a return URL that a browser reads otherwise sends a buyer to strangers.

/// Why a text is no URL to send a buyer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadUrl {
    pub problem: &'static str,
    pub fix: &'static str,
}

const NOT_A_URL: BadUrl =
    BadUrl { problem: "is not a web address", fix: "write one such as https://app.example" };
const STRANGE_BYTES: BadUrl = BadUrl {
    problem: "has spaces, backslashes or letters beyond ASCII",
    fix: "percent-encode them (%20 for a space)",
};
const NOT_HTTPS: BadUrl = BadUrl {
    problem: "must start with https://",
    fix: "use https:// (http:// is for localhost and 127.0.0.1 only)",
};
const WILDCARD: BadUrl = BadUrl {
    problem: "has a wildcard, which would let strangers in",
    fix: "list each origin by its full name",
};
const BAD_HOST: BadUrl = BadUrl {
    problem: "has a host that is no plain domain name",
    fix: "write it as https://app.example, without user names or odd characters",
};
const BAD_PORT: BadUrl = BadUrl { problem: "has a bad port", fix: "use a number from 1 to 65535, or none" };

/// A URL in two: its origin, in lower case and without a port that goes without saying, and what follows.
pub(super) fn split(url: &str) -> Result<(String, &str), BadUrl> {
    if url.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return Err(STRANGE_BYTES);
    }
    let (scheme, rest) = url.split_once("://").ok_or(NOT_A_URL)?;
    let (authority, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host_name(host)?, Some(port_number(port)?)),
        None => (host_name(authority)?, None),
    };
    let is_local = host == "localhost" || host == "127.0.0.1";
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "https" => 443,
        "http" if is_local => 80,
        _ => return Err(NOT_HTTPS),
    };
    let port = port.filter(|port| *port != default_port).map(|port| format!(":{port}")).unwrap_or_default();
    Ok((format!("{}://{host}{port}", scheme.to_ascii_lowercase()), after))
}

fn host_name(text: &str) -> Result<String, BadUrl> {
    if text.contains('*') {
        return Err(WILDCARD);
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_name = text.split('.').all(|label| !label.is_empty() && label.bytes().all(plain));
    if is_name { Ok(text.to_ascii_lowercase()) } else { Err(BAD_HOST) }
}

fn port_number(text: &str) -> Result<u16, BadUrl> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0).ok_or(BAD_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_told_from_what_follows_it() {
        for (url, origin, after) in [
            ("https://app.example", "https://app.example", ""),
            ("https://app.example/paid?id=1#top", "https://app.example", "/paid?id=1#top"),
            (
                "https://app.example?to=https://evil.example",
                "https://app.example",
                "?to=https://evil.example",
            ),
            ("HTTPS://App.Example:443/", "https://app.example", "/"),
            ("http://localhost:3000/x", "http://localhost:3000", "/x"),
            ("http://127.0.0.1:80", "http://127.0.0.1", ""),
        ] {
            assert_eq!(split(url), Ok((origin.to_owned(), after)), "{url}");
        }
    }

    #[test]
    fn whatever_a_browser_might_read_otherwise_is_refused() {
        for (url, why) in [
            ("app.example", NOT_A_URL),
            ("//app.example/x", NOT_A_URL),
            ("https:/app.example", NOT_A_URL),
            ("javascript:alert(1)", NOT_A_URL),
            ("", NOT_A_URL),
            ("https:\\\\app.example", STRANGE_BYTES),
            ("https://app.example\\@evil.example", STRANGE_BYTES),
            ("https://app.example\t.evil.example", STRANGE_BYTES),
            ("https://bücher.example", STRANGE_BYTES),
            ("http://app.example", NOT_HTTPS),
            ("http://localhost.evil.example", NOT_HTTPS),
            ("ftp://localhost", NOT_HTTPS),
            ("javascript://app.example/%0aalert(1)", NOT_HTTPS),
            ("https://*.app.example", WILDCARD),
            ("https://app.example@evil.example", BAD_HOST),
            ("https://app.example.", BAD_HOST),
            ("https://", BAD_HOST),
            ("https:///app.example", BAD_HOST),
            ("https://[::1]", BAD_HOST),
            ("https://app.example:443@evil.example", BAD_PORT),
            ("https://app.example:", BAD_PORT),
            ("https://app.example:0", BAD_PORT),
            ("https://app.example:+1", BAD_PORT),
            ("https://app.example:65536", BAD_PORT),
        ] {
            assert_eq!(split(url), Err(why), "{url}");
        }
    }

    #[test]
    fn a_setting_with_an_origin_is_read_or_says_how_to_mend_it() {
        use crate::catalog::CheckoutPolicy;
        assert_eq!(CheckoutPolicy::origin("https://App.example:443/").as_deref(), Ok("https://app.example"));
        for (wrong, says) in [
            ("https://app.example/pay", "only its origin"),
            ("http://app.example", "must start with https://"),
            ("https://*.example", "wildcard"),
            ("app.example", "https://app.example"),
        ] {
            let problem = CheckoutPolicy::origin(wrong).unwrap_err();
            assert!(problem.contains(wrong) && problem.contains(says), "{problem}");
        }
    }
}
