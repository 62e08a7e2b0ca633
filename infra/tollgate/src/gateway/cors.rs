//! CORS as an HTTP API of API Gateway does it: preflights never reach a function, and what a function itself
//! says of CORS is ignored. Answers that no function gave stay without these headers.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::template;

pub(super) struct Cors {
    origins: Vec<String>,
    methods: HeaderValue,
    headers: HeaderValue,
    exposed: HeaderValue,
    max_age: HeaderValue,
}

impl Cors {
    pub fn new(policy: &template::Cors, origins: Vec<String>) -> Cors {
        Cors {
            origins,
            methods: list(&policy.allow_methods),
            headers: list(&policy.allow_headers),
            exposed: list(&policy.expose_headers),
            max_age: HeaderValue::from(policy.max_age),
        }
    }

    /// The answer to any OPTIONS: permission for an allowed origin that asks, and for others nothing.
    pub fn preflight(&self, request: &HeaderMap) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        if let Some(origin) =
            self.allowed(request).filter(|_| request.contains_key(ACCESS_CONTROL_REQUEST_METHOD))
        {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
            headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        }
        response
    }

    /// Lets a page of an allowed origin read what a function answered.
    pub fn mark(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        let said: Vec<HeaderName> =
            answer.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
        for name in said {
            answer.remove(name);
        }
        if let Some(origin) = self.allowed(request) {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, self.exposed.clone());
        }
    }

    fn allowed<'a>(&self, request: &'a HeaderMap) -> Option<&'a HeaderValue> {
        request
            .get(ORIGIN)
            .filter(|origin| self.origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()))
    }
}

fn list(names: &[String]) -> HeaderValue {
    HeaderValue::try_from(names.join(",")).expect("names of methods and headers fit in a header")
}
