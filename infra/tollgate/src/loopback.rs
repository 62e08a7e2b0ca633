//! Local servers answer only to names of this machine, so that no web page can reach them under its own name.

use axum::extract::Request;
use axum::http::{StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Refuses requests whose `Host` is not a name of this machine, whatever the port.
pub async fn only(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    match host.or(request.uri().host()).is_some_and(names_this_machine) {
        true => next.run(request).await,
        false => {
            (StatusCode::FORBIDDEN, "only 127.0.0.1, localhost and [::1] are served here\n").into_response()
        }
    }
}

/// `host.docker.internal` is what containers call this machine. A page could come under that name only if its author
/// gave the name an address, and `.internal` is set aside: nobody can who does not answer for this machine's own DNS.
fn names_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Uri>() else { return false };
    let plain = authority.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    plain && matches!(authority.host(), Some("127.0.0.1" | "localhost" | "[::1]" | "host.docker.internal"))
}

#[cfg(test)]
mod tests {
    use super::names_this_machine;

    #[test]
    fn only_names_of_this_machine_are_served() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:9000",
            "localhost",
            "localhost:1",
            "[::1]:9000",
            "[::1]",
            "host.docker.internal:9002",
        ] {
            assert!(names_this_machine(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.nip.io:9000",
            "me@localhost",
            "10.0.0.1",
            "docker.internal",
            "other.docker.internal",
            "host.docker.internal.example.com",
        ] {
            assert!(!names_this_machine(host), "{host}");
        }
    }
}
