//! Which function answers a request: the most specific route for its path and method.

use std::collections::BTreeMap;

use axum::http::Method;
use percent_encoding::percent_decode_str;

use crate::template::Route;

pub(super) struct Routes(Vec<Pattern>);

struct Pattern {
    route: Route,
    segments: Vec<Segment>,
}

enum Segment {
    Literal(String),
    Parameter(String),
    /// `{name+}`: all that is left.
    Rest(String),
}

/// A route with the parameters that a path gave it.
pub(super) struct Matched<'a> {
    pub route: &'a Route,
    pub parameters: BTreeMap<String, String>,
}

impl Matched<'_> {
    pub fn key(&self) -> String {
        format!("{} {}", self.route.method, self.route.path)
    }
}

impl Routes {
    pub fn new<'a>(routes: impl Iterator<Item = &'a Route>) -> Routes {
        let mut patterns: Vec<_> = routes.map(Pattern::new).collect();
        patterns.sort_by_key(Pattern::precedence);
        Routes(patterns)
    }

    pub fn find(&self, method: &Method, path: &str) -> Option<Matched<'_>> {
        let path: Vec<_> = segments(path).map(decode).collect();
        let mut open = self.0.iter().filter(|pattern| pattern.takes(method));
        open.find_map(|pattern| {
            Some(Matched { route: &pattern.route, parameters: pattern.parameters(&path)? })
        })
    }
}

impl Pattern {
    fn new(route: &Route) -> Pattern {
        Pattern { route: route.clone(), segments: segments(&route.path).map(Segment::new).collect() }
    }

    /// Lower comes first: literal before parameter before rest, then a named method before any.
    fn precedence(&self) -> (Vec<u8>, bool) {
        let rank = |segment: &Segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Parameter(_) => 1,
            Segment::Rest(_) => 2,
        };
        (self.segments.iter().map(rank).collect(), self.route.method == "ANY")
    }

    fn takes(&self, method: &Method) -> bool {
        self.route.method == "ANY" || self.route.method == method.as_str()
    }

    /// The parameters if the path matches.
    fn parameters(&self, path: &[String]) -> Option<BTreeMap<String, String>> {
        let mut parameters = BTreeMap::new();
        let mut left = path;
        for segment in &self.segments {
            let (first, after) = left.split_first()?;
            match segment {
                Segment::Literal(text) if text == first => {}
                Segment::Literal(_) => return None,
                Segment::Parameter(_) if first.is_empty() => return None,
                Segment::Parameter(name) => {
                    parameters.insert(name.clone(), first.clone());
                }
                Segment::Rest(name) => {
                    parameters.insert(name.clone(), left.join("/"));
                    return Some(parameters);
                }
            }
            left = after;
        }
        left.is_empty().then_some(parameters)
    }
}

impl Segment {
    fn new(text: &str) -> Segment {
        match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            None => Segment::Literal(text.to_owned()),
            Some(name) => match name.strip_suffix('+') {
                Some(name) => Segment::Rest(name.to_owned()),
                None => Segment::Parameter(name.to_owned()),
            },
        }
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(keys: &[&str]) -> Routes {
        let route = |key: &&str| {
            let (method, path) = key.split_once(' ').unwrap();
            Route {
                function: key.to_string(),
                method: method.to_owned(),
                path: path.to_owned(),
                public: false,
            }
        };
        let routes: Vec<_> = keys.iter().map(route).collect();
        Routes::new(routes.iter())
    }

    fn find(routes: &Routes, method: Method, path: &str) -> Option<(String, Vec<String>)> {
        let matched = routes.find(&method, path)?;
        Some((matched.route.function.clone(), matched.parameters.into_values().collect()))
    }

    #[test]
    fn a_literal_beats_a_parameter_and_a_parameter_beats_the_rest() {
        let routes =
            routes(&["GET /{proxy+}", "GET /v1/{name}", "GET /v1/me", "ANY /v1/me", "ANY /v1/{name}"]);
        let found = |method, path| find(&routes, method, path).unwrap().0;
        assert_eq!(found(Method::GET, "/v1/me"), "GET /v1/me");
        assert_eq!(found(Method::GET, "/v1/you"), "GET /v1/{name}");
        assert_eq!(found(Method::GET, "/v1/you/there"), "GET /{proxy+}");
        assert_eq!(found(Method::PUT, "/v1/me"), "ANY /v1/me");
        assert_eq!(found(Method::PUT, "/v1/you"), "ANY /v1/{name}");
        assert!(find(&routes, Method::PUT, "/v1/you/there").is_none());
    }

    #[test]
    fn parameters_are_decoded() {
        let routes = routes(&["GET /v1/users/{user}", "GET /files/{path+}"]);
        let found = |path| find(&routes, Method::GET, path).unwrap().1;
        assert_eq!(found("/v1/users/auth0%7C1%20a"), ["auth0|1 a"]);
        assert_eq!(found("/files/a/b%2Bc"), ["a/b+c"]);
    }

    #[test]
    fn nothing_but_the_exact_shape_matches() {
        let routes = routes(&["GET /v1/me", "GET /v1/users/{user}"]);
        for path in ["/", "/v1", "/v1/me/", "/v1/ME", "/v1/users", "/v1/users/", "/v1/users/a/b", "//v1/me"] {
            assert!(find(&routes, Method::GET, path).is_none(), "{path}");
        }
        assert!(find(&routes, Method::POST, "/v1/me").is_none());
    }
}
