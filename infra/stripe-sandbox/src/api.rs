//! The one door to `/v1`: key, parameters, idempotency, routing, expansion, and the shape of every answer.

mod subscribing;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use rusqlite::{OptionalExtension, params};
use serde_json::{Map, Value};

use crate::call::Call;
use crate::endpoints;
use crate::expand::expand;
use crate::failure::{Answer, Failure};
use crate::params::Params;
use crate::portal::{configurations, sessions};
use crate::tx::{API_VERSION, Cause, Reply, Tx};
use crate::{Sandbox, charges, checkout, customers, disputes, events, form, ids, invoices, methods};
use crate::{intents, mandates, publishable, setups};
use crate::{payments, prices, products, refunds, versions};

const KEYS_KEPT_MS: i64 = 24 * 60 * 60 * 1000;

struct Request {
    method: Method,
    path: String,
    fields: Map<String, Value>,
    key: Option<String>,
    id: String,
    /// It came with a publishable key.
    by_page: bool,
}

pub struct Response {
    pub status: u16,
    pub body: String,
    pub headers: Vec<(&'static str, String)>,
}

pub fn answer(sandbox: &Sandbox, method: Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
    if method == Method::OPTIONS {
        return publishable::preflight();
    }
    let id = format!("req_{}", ids::random(14));
    let version = header(headers, "stripe-version").unwrap_or(API_VERSION).to_owned();
    let mut response = match request(sandbox, method, uri, headers, body, &id) {
        Ok(request) => {
            let mut response = execute(sandbox, &request);
            if request.by_page {
                // A page is served from elsewhere.
                response.headers.push(("access-control-allow-origin", "*".to_owned()));
            }
            response
        }
        Err(failure) => refusal(&failure),
    };
    response.headers.push(("request-id", id));
    response.headers.push(("stripe-version", version));
    if let Some(key) = header(headers, "idempotency-key") {
        response.headers.push(("idempotency-key", key.to_owned()));
    }
    response
}

fn request(
    sandbox: &Sandbox,
    method: Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
    id: &str,
) -> Answer<Request> {
    let json = header(headers, "content-type").is_some_and(|kind| kind.starts_with("application/json"));
    if json && !body.is_empty() {
        return Err(Failure::invalid("The body must be application/x-www-form-urlencoded."));
    }
    let mut fields = form::parse(uri.query().unwrap_or_default());
    fields.extend(form::parse(&String::from_utf8_lossy(body)));
    let by_page = authorize(headers, &fields, sandbox.secret_key())?;
    versions::check(header(headers, "stripe-version"), uri.path(), &fields)?;
    let key = header(headers, "idempotency-key").filter(|_| method == Method::POST).map(str::to_owned);
    if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > 255) {
        return Err(Failure::invalid("An idempotency key has between 1 and 255 characters."));
    }
    Ok(Request { method, path: uri.path().to_owned(), fields, key, id: id.to_owned(), by_page })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `Bearer <key>`, or `Basic` with the key as the user name; a page may give its own as `key`. Whether it is a
/// page's.
fn authorize(headers: &HeaderMap, fields: &Map<String, Value>, secret_key: &str) -> Answer<bool> {
    let given = header(headers, "authorization").unwrap_or_default();
    let key = match given.split_once(' ') {
        None if fields.get("key").and_then(Value::as_str).is_some_and(publishable::is_key) => {
            return Ok(true);
        }
        Some(("Bearer", key)) => key.trim().to_owned(),
        Some(("Basic", encoded)) => {
            let decoded = BASE64_STANDARD.decode(encoded.trim()).unwrap_or_default();
            String::from_utf8_lossy(&decoded).split(':').next().unwrap_or_default().to_owned()
        }
        _ => {
            return Err(Failure::unauthorized(
                "No API key: send it as `Authorization: Bearer <secret key>`.",
            ));
        }
    };
    if key == secret_key {
        return Ok(false);
    }
    if publishable::is_key(&key) {
        return Ok(true);
    }
    let shown: String = key.chars().take(8).collect();
    Err(Failure::unauthorized(format!("Invalid API Key provided: {shown}****")))
}

fn execute(sandbox: &Sandbox, request: &Request) -> Response {
    let Some(key) = &request.key else {
        let reply = sandbox.transact(cause_of(request), |tx| route(tx, request));
        return reply.map_or_else(|failure| refusal(&failure), |reply| respond(&reply));
    };
    let Some(_hold) = sandbox.hold_key(key) else { return refusal(&Failure::key_in_use(key)) };
    let outcome = sandbox.transact(cause_of(request), |tx| {
        if let Some(replay) = replay(tx, request, key)? {
            return Ok(replay);
        }
        let response = respond(&route(tx, request)?);
        remember(tx, request, key, &response)?;
        Ok(response)
    });
    outcome.unwrap_or_else(|failure| refuse_under_key(sandbox, request, key, &failure))
}

fn cause_of(request: &Request) -> Cause {
    Cause { request_id: Some(request.id.clone()), idempotency_key: request.key.clone() }
}

/// What a key was first answered with, if it was used before; pruned a day later.
fn replay(tx: &Tx, request: &Request, key: &str) -> Answer<Option<Response>> {
    tx.sql.prepare_cached("DELETE FROM keys WHERE created_ms < ?1")?.execute([tx.now_ms - KEYS_KEPT_MS])?;
    let mut statement =
        tx.sql.prepare_cached("SELECT request, request_id, status, body FROM keys WHERE key = ?1")?;
    let row = statement.query_row([key], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, u16>(2)?, row.get(3)?))
    });
    let Some((first, first_id, status, body)) = row.optional()? else { return Ok(None) };
    if first != fingerprint(request) {
        let message = format!(
            "The idempotency key '{key}' was first used with another endpoint or other parameters. \
             Use a new key for a new request."
        );
        return Err(Failure::key_reused(message));
    }
    let headers = vec![("idempotent-replayed", "true".to_owned()), ("original-request", first_id)];
    Ok(Some(Response { status, body, headers }))
}

/// Perhaps in place of an older answer: a refusal rolls back that it was pruned.
fn remember(tx: &Tx, request: &Request, key: &str, response: &Response) -> Answer<()> {
    tx.sql
        .prepare_cached(
            "INSERT OR REPLACE INTO keys (key, request, request_id, status, body, created_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![key, fingerprint(request), request.id, response.status, response.body, tx.now_ms])?;
    Ok(())
}

/// A refusal rolled everything back; if the request had begun to execute, its key remembers it.
fn refuse_under_key(sandbox: &Sandbox, request: &Request, key: &str, failure: &Failure) -> Response {
    let response = refusal(failure);
    if failure.remembered {
        let stored = sandbox.transact(cause_of(request), |tx| remember(tx, request, key, &response));
        if let Err(failure) = stored {
            return refusal(&failure);
        }
    }
    response
}

fn fingerprint(request: &Request) -> String {
    let mut fields: Vec<_> = request.fields.iter().collect();
    fields.sort_by_key(|(name, _)| *name);
    format!("{} {} {fields:?}", request.method, request.path)
}

fn respond(reply: &Reply) -> Response {
    Response { status: reply.status, body: pretty(&reply.body), headers: Vec::new() }
}

fn refusal(failure: &Failure) -> Response {
    let mut headers = Vec::new();
    if failure.status == 401 {
        headers.push(("www-authenticate", "Basic realm=\"Stripe\"".to_owned()));
    }
    if failure.is_key_in_use() {
        headers.push(("stripe-should-retry", "true".to_owned()));
    }
    Response { status: failure.status, body: pretty(&failure.body()), headers }
}

fn pretty(body: &Value) -> String {
    format!("{body:#}")
}

/// What a page does for a person, as the API does it for a shop. `fields` are as a form's: objects, lists and
/// strings.
pub fn within(tx: &Tx, method: Method, path: &str, fields: Value) -> Answer<Reply> {
    let fields = match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let (path, id) = (format!("/v1/{path}"), String::new());
    route(tx, &Request { method, path, fields, key: None, id, by_page: false })
}

fn route(tx: &Tx, request: &Request) -> Answer<Reply> {
    let mut params = Params::new(request.fields.clone());
    let paths = params.texts("expand")?.unwrap_or_default();
    let decoded: Vec<String> = request
        .path
        .split('/')
        .skip(2)
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into())
        .collect();
    let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let mut reply = match request.by_page {
        true => publishable::answer(tx, request.method.as_str(), &segments, params)?,
        false => dispatch(tx, request, &segments, params)?,
    };
    if reply.status == 200 {
        expand(tx, &mut reply.body, &paths)?;
    }
    Ok(reply)
}

fn dispatch<'a>(tx: &'a Tx, request: &Request, segments: &[&'a str], params: Params) -> Answer<Reply> {
    let call = |id| Call { tx, id, params };
    let body = match (request.method.as_str(), segments) {
        ("POST", ["customers"]) => customers::create(call("")),
        ("GET", ["customers"]) => customers::list(call("")),
        ("GET", ["customers", "search"]) => customers::search(call("")),
        ("GET", ["customers", id]) => customers::retrieve(call(id)),
        ("POST", ["customers", id]) => customers::update(call(id)),
        ("DELETE", ["customers", id]) => customers::delete(call(id)),

        ("POST", ["products"]) => products::create(call("")),
        ("GET", ["products"]) => products::list(call("")),
        ("GET", ["products", "search"]) => products::search(call("")),
        ("GET", ["products", id]) => products::retrieve(call(id)),
        ("POST", ["products", id]) => products::update(call(id)),
        ("DELETE", ["products", id]) => products::delete(call(id)),

        ("POST", ["prices"]) => prices::create(call("")),
        ("GET", ["prices"]) => prices::list(call("")),
        ("GET", ["prices", "search"]) => prices::search(call("")),
        ("GET", ["prices", id]) => prices::retrieve(call(id)),
        ("POST", ["prices", id]) => prices::update(call(id)),

        ("POST", ["checkout", "sessions"]) => checkout::create(call("")),
        ("GET", ["checkout", "sessions"]) => checkout::list(call("")),
        ("GET", ["checkout", "sessions", id]) => checkout::retrieve(call(id)),
        ("POST", ["checkout", "sessions", id]) => checkout::update(call(id)),
        ("POST", ["checkout", "sessions", id, "expire"]) => checkout::expire(call(id)),
        ("GET", ["checkout", "sessions", id, "line_items"]) => checkout::list_line_items(call(id)),

        _ => return dispatch_billing(call, request, segments),
    };
    body.map(Reply::from)
}

/// The rest: what is paid, given back, and billed again.
fn dispatch_billing<'a>(
    call: impl FnOnce(&'a str) -> Call<'a>,
    request: &Request,
    segments: &[&'a str],
) -> Answer<Reply> {
    let body = match (request.method.as_str(), segments) {
        ("POST", ["payment_intents"]) => return intents::create(call("")),
        ("GET", ["payment_intents"]) => payments::list(call("")),
        ("GET", ["payment_intents", "search"]) => payments::search(call("")),
        ("GET", ["payment_intents", id]) => payments::retrieve(call(id)),
        ("POST", ["payment_intents", id]) => intents::update(call(id)),
        ("POST", ["payment_intents", id, "confirm"]) => return intents::confirm(call(id)),
        ("POST", ["payment_intents", id, "cancel"]) => intents::cancel(call(id)),
        ("GET", ["charges"]) => charges::list(call("")),
        ("GET", ["charges", id]) => charges::retrieve(call(id)),

        ("POST", ["refunds"]) => refunds::create(call("")),
        ("GET", ["refunds"]) => refunds::list(call("")),
        ("GET", ["refunds", id]) => refunds::retrieve(call(id)),
        ("POST", ["refunds", id]) => refunds::update(call(id)),
        ("POST", ["refunds", id, "cancel"]) => refunds::cancel(call(id)),

        ("GET", ["disputes"]) => disputes::list(call("")),
        ("GET", ["disputes", id]) => disputes::retrieve(call(id)),
        ("POST", ["disputes", id]) => disputes::update(call(id)),
        ("POST", ["disputes", id, "close"]) => disputes::close(call(id)),

        ("GET", ["invoices"]) => invoices::list(call("")),
        ("GET", ["invoices", id]) => invoices::retrieve(call(id)),
        ("GET", ["invoices", id, "lines"]) => invoices::list_lines(call(id)),
        ("POST", ["invoices", id, "pay"]) => return invoices::pay(call(id)),
        ("POST", ["invoices", id, "void"]) => invoices::void(call(id)),
        ("GET", ["invoice_payments"]) => invoices::payments::list(call("")),
        ("GET", ["invoice_payments", id]) => invoices::payments::retrieve(call(id)),

        ("GET", ["events"]) => events::list(call("")),
        ("GET", ["events", id]) => events::retrieve(call(id)),
        _ => return dispatch_methods(call, request, segments),
    };
    body.map(Reply::from)
}

/// What is paid with.
fn dispatch_methods<'a>(
    call: impl FnOnce(&'a str) -> Call<'a>,
    request: &Request,
    segments: &[&'a str],
) -> Answer<Reply> {
    let body = match (request.method.as_str(), segments) {
        ("POST", ["payment_methods"]) => methods::create(call("")),
        ("GET", ["payment_methods"]) => methods::list(call("")),
        ("GET", ["payment_methods", id]) => methods::retrieve(call(id)),
        ("POST", ["payment_methods", id]) => methods::update(call(id)),
        ("POST", ["payment_methods", id, "attach"]) => methods::attach(call(id)),
        ("POST", ["payment_methods", id, "detach"]) => methods::detach(call(id)),
        ("GET", ["customers", id, "payment_methods"]) => methods::list_of_customer(call(id)),
        ("GET", ["customers", id, "payment_methods", method]) => {
            methods::retrieve_of_customer(call(id), method)
        }
        ("GET", ["mandates", id]) => mandates::retrieve(call(id)),

        ("POST", ["setup_intents"]) => return setups::create(call("")),
        ("GET", ["setup_intents"]) => setups::list(call("")),
        ("GET", ["setup_intents", id]) => setups::retrieve(call(id)),
        ("POST", ["setup_intents", id]) => setups::update(call(id)),
        ("POST", ["setup_intents", id, "confirm"]) => return setups::confirm(call(id)),
        ("POST", ["setup_intents", id, "cancel"]) => setups::cancel(call(id)),

        _ => return dispatch_portal(call, request, segments),
    };
    body.map(Reply::from)
}

/// What customers do by themselves, and where events go.
fn dispatch_portal<'a>(
    call: impl FnOnce(&'a str) -> Call<'a>,
    request: &Request,
    segments: &[&'a str],
) -> Answer<Reply> {
    let body = match (request.method.as_str(), segments) {
        ("POST", ["billing_portal", "configurations"]) => configurations::create(call("")),
        ("GET", ["billing_portal", "configurations"]) => configurations::list(call("")),
        ("GET", ["billing_portal", "configurations", id]) => configurations::retrieve(call(id)),
        ("POST", ["billing_portal", "configurations", id]) => configurations::update(call(id)),
        ("POST", ["billing_portal", "sessions"]) => sessions::create(call("")),

        ("POST", ["webhook_endpoints"]) => endpoints::create(call("")),
        ("GET", ["webhook_endpoints"]) => endpoints::list(call("")),
        ("GET", ["webhook_endpoints", id]) => endpoints::retrieve(call(id)),
        ("POST", ["webhook_endpoints", id]) => endpoints::update(call(id)),
        ("DELETE", ["webhook_endpoints", id]) => endpoints::delete(call(id)),

        _ => return subscribing::dispatch(call, request, segments),
    };
    body.map(Reply::from)
}
