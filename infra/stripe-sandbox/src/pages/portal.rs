//! `/p/session/{session}`: where customers look after their subscriptions, cards and invoices. Every form posts
//! to the name of its deed, so that `curl` can do whatever a customer does.

mod confirm;
mod parts;
mod view;

use std::fmt::Write;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use self::view::{View, view};
use super::{day, escaped, money, page};
use crate::failure::Answer;
use crate::params::Params;
use crate::portal::cards;
use crate::portal::deeds::{self, Outcome};
use crate::portal::sessions::{self, Arrival, Visit};
use crate::tx::{Cause, Tx, id_of};
use crate::{Sandbox, form};

pub async fn show(
    State(sandbox): State<Sandbox>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let done = query.as_deref().and_then(|query| query.strip_prefix("done="));
    let back_from_bank = sandbox.transact(Cause::default(), |tx| match sessions::arrive(tx, &id)? {
        Arrival::Expired { .. } => Ok(None),
        Arrival::Welcome(visit) => match cards::go_on(tx, &visit)? {
            Some(outcome) => go_on(tx, &visit, "card", outcome).map(Some),
            None => Ok(None),
        },
    });
    match back_from_bank {
        Ok(Some(step)) => take(&sandbox, &id, step),
        Ok(None) => render(&sandbox, &id, done.map(|deed| Said::Well(told(deed))).unwrap_or(Said::Nothing)),
        Err(failure) => render(&sandbox, &id, Said::Refused(failure.status, failure.message)),
    }
}

/// The customer pressed a button.
pub async fn submit(
    State(sandbox): State<Sandbox>,
    Path((id, deed)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let fields = form::parse(&String::from_utf8_lossy(&body));
    let done = sandbox.transact(Cause::default(), |tx| match sessions::arrive(tx, &id)? {
        Arrival::Expired { .. } => Ok(Step::Stay(Said::Nothing)),
        Arrival::Welcome(visit) => {
            let outcome = deeds::perform(tx, &visit, &deed, Params::new(fields))?;
            go_on(tx, &visit, &deed, outcome)
        }
    });
    match done {
        Ok(step) => take(&sandbox, &id, step),
        Err(failure) => render(&sandbox, &id, Said::Refused(failure.status, failure.message)),
    }
}

/// A change of plan that waits to be confirmed.
pub async fn propose(
    State(sandbox): State<Sandbox>,
    Path((id, deed)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    if deed != "switch" {
        return Redirect::to(&format!("/p/session/{id}")).into_response();
    }
    let asked = form::parse(query.as_deref().unwrap_or_default());
    let looked = look(&sandbox, &id, Some(Params::new(asked)));
    match looked {
        Ok(looked) => shown(looked, Said::Nothing),
        Err(failure) => render(&sandbox, &id, Said::Refused(failure.status, failure.message)),
    }
}

enum Step {
    Go(String),
    Stay(Said),
}

/// What the page says above all else.
enum Said {
    Nothing,
    Well(&'static str),
    Refused(u16, String),
}

fn take(sandbox: &Sandbox, id: &str, step: Step) -> Response {
    match step {
        Step::Go(url) => Redirect::to(&url).into_response(),
        Step::Stay(said) => render(sandbox, id, said),
    }
}

/// Where a customer goes after a deed: what a session was opened for ends as its flow says.
fn go_on(tx: &Tx, visit: &Visit, deed: &str, outcome: Outcome) -> Answer<Step> {
    match outcome {
        Outcome::GoTo(url) => return Ok(Step::Go(url)),
        Outcome::Declined(why) => return Ok(Step::Stay(Said::Refused(402, why))),
        Outcome::Done => {}
    }
    let here = format!("/p/session/{}?done={deed}", id_of(&visit.session));
    let Some(flow) = visit.open_flow().filter(|flow| deed_of(flow) == deed) else {
        return Ok(Step::Go(here));
    };
    sessions::mark_done(tx, &visit.session)?;
    let url = flow["after_completion"]["redirect"]["return_url"].as_str();
    Ok(Step::Go(url.map_or(here, str::to_owned)))
}

fn deed_of(flow: &Value) -> &'static str {
    match flow["type"].as_str() {
        Some("customer_update") => "details",
        Some("payment_method_update") => "card",
        Some("subscription_cancel") => "cancel",
        _ => "switch",
    }
}

fn told(deed: &str) -> &'static str {
    match deed {
        "cancel" => "Your subscription is canceled.",
        "renew" => "Your subscription goes on.",
        "switch" => "Your plan is changed.",
        "keep" => "Your plan stays as it is.",
        "card" => "Your new card is saved.",
        "details" => "Your details are saved.",
        _ => "Done.",
    }
}

fn render(sandbox: &Sandbox, id: &str, said: Said) -> Response {
    match look(sandbox, id, None) {
        Ok(looked) => shown(looked, said),
        Err(_) => {
            let main = "<main><h1>No such portal session</h1>\
                        <p>The sandbox knows no portal session at this address.</p></main>";
            page(StatusCode::NOT_FOUND, "No such portal session", main, "")
        }
    }
}

enum Looked {
    Expired { return_url: Value },
    Seen(Box<View>),
}

fn look(sandbox: &Sandbox, id: &str, asked: Option<Params>) -> Answer<Looked> {
    sandbox.transact(Cause::default(), |tx| match sessions::arrive(tx, id)? {
        Arrival::Expired { return_url } => Ok(Looked::Expired { return_url }),
        Arrival::Welcome(visit) => view(tx, *visit, asked).map(|view| Looked::Seen(Box::new(view))),
    })
}

fn shown(looked: Looked, said: Said) -> Response {
    let view = match looked {
        Looked::Seen(view) => view,
        Looked::Expired { return_url } => {
            let main = format!(
                "<main><h1>This link has expired</h1><p>Links into the portal are good for five minutes, and \
                 for an hour after the last visit. Open it again from the shop.</p>{}</main>",
                way_back(&return_url),
            );
            return page(StatusCode::GONE, "Expired", &main, "");
        }
    };
    let (status, says) = match said {
        Said::Nothing => (200, String::new()),
        Said::Well(notice) => (200, format!("<p class=\"notice\" role=\"status\">{notice}</p>")),
        Said::Refused(status, why) => {
            (status, format!("<p class=\"alert\" role=\"alert\">{}</p>", escaped(&why)))
        }
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let main = format!("<main class=\"portal\">{}{says}{}</main>", heading(&view), body(&view));
    page(status, "Your subscriptions", &main, "")
}

fn heading(view: &View) -> String {
    let headline = view.visit.configuration["business_profile"]["headline"].as_str();
    let who = view.visit.customer["email"].as_str().or(view.visit.customer["name"].as_str());
    format!(
        "{}<h1>{}</h1><p class=\"soft\">{}</p>",
        way_back(&view.visit.session["return_url"]),
        escaped(headline.unwrap_or("Your subscriptions and billing")),
        escaped(who.unwrap_or(view.visit.customer_id())),
    )
}

fn way_back(return_url: &Value) -> String {
    return_url
        .as_str()
        .map_or_else(String::new, |url| format!("<p><a href=\"{}\">← Back to the shop</a></p>", escaped(url)))
}

/// Everything, or the one thing that the session is for.
fn body(view: &View) -> String {
    if let Some(proposal) = &view.proposal {
        return confirm::confirmation(view, proposal) + &all_of_it(view);
    }
    if let Some(flow) = view.visit.open_flow() {
        return flow_body(view, flow);
    }
    let after = &view.visit.session["flow"]["after_completion"];
    if after["type"] == json!("hosted_confirmation") {
        let message = after["hosted_confirmation"]["custom_message"].as_str();
        return format!("<p>{}</p>", escaped(message.unwrap_or("That is done. You can close this page.")));
    }
    let mut body = waiting(view) + "<h2>Subscriptions</h2>";
    for running in &view.running {
        body += &parts::subscription(view, running);
    }
    if view.running.is_empty() {
        body += "<p class=\"soft\">None is running.</p>";
    }
    body += &parts::payment_method(view);
    body += &parts::details(view);
    if view.visit.may("invoice_history") {
        body += &invoices(view);
    }
    body + &legal(view) + &parts::test_cards()
}

/// From a page about one thing, unless that is what the session is for.
fn all_of_it(view: &View) -> String {
    match view.visit.open_flow() {
        Some(_) => String::new(),
        None => format!("<p><a href=\"{}\">← Leave it as it is</a></p>", view.home()),
    }
}

fn waiting(view: &View) -> String {
    let asks = view.waiting.as_ref().map(|waiting| &waiting.intent["next_action"]["redirect_to_url"]["url"]);
    match asks.and_then(Value::as_str) {
        Some(url) => format!(
            "<p class=\"alert\">Your bank asks about your new card. <a href=\"{}\">Answer it</a></p>",
            escaped(url)
        ),
        None => String::new(),
    }
}

fn flow_body(view: &View, flow: &Value) -> String {
    let kind = flow["type"].as_str().unwrap_or_default();
    let id = flow[kind]["subscription"].as_str().unwrap_or_default();
    let running = view.running.iter().find(|running| id_of(&running.subscription) == id);
    match (kind, running) {
        ("payment_method_update", _) => parts::card_form(view, None) + &parts::test_cards(),
        ("customer_update", _) => parts::details_form(view),
        (_, None) => "<p>This subscription is no longer running.</p>".to_owned(),
        ("subscription_update_confirm", _) => "<p>What was proposed is no longer possible.</p>".to_owned(),
        ("subscription_cancel", Some(running)) => {
            parts::summary(running) + &parts::cancel_form(view, running)
        }
        (_, Some(running)) => parts::summary(running) + &parts::switch_form(view, running),
    }
}

fn invoices(view: &View) -> String {
    let mut rows = String::new();
    for invoice in &view.invoices {
        let amount =
            money(invoice["total"].as_i64().unwrap_or(0), invoice["currency"].as_str().unwrap_or_default());
        let row = write!(
            rows,
            "<tr><td class=\"date\">{}</td><td><a href=\"{}\">{}</a></td><td>{}</td><td class=\"amount\">{amount}</td></tr>",
            day(&invoice["created"]),
            escaped(invoice["hosted_invoice_url"].as_str().unwrap_or_default()),
            escaped(invoice["number"].as_str().unwrap_or("Invoice")),
            escaped(invoice["status"].as_str().unwrap_or_default()),
        );
        row.expect("a String takes whatever is written");
    }
    if rows.is_empty() {
        return "<h2>Invoices</h2><p class=\"soft\">None yet.</p>".to_owned();
    }
    format!(
        "<h2>Invoices</h2><table><thead><tr><th scope=\"col\">Date</th><th scope=\"col\">Invoice</th>\
         <th scope=\"col\">Status</th><th scope=\"col\" class=\"amount\">Amount</th></tr></thead>\
         <tbody>{rows}</tbody></table>"
    )
}

fn legal(view: &View) -> String {
    let profile = &view.visit.configuration["business_profile"];
    let links = [("terms_of_service_url", "Terms of service"), ("privacy_policy_url", "Privacy policy")];
    let links = links.iter().filter_map(|(name, words)| {
        profile[*name].as_str().map(|url| format!("<a href=\"{}\">{words}</a>", escaped(url)))
    });
    let links: Vec<String> = links.collect();
    if links.is_empty() { String::new() } else { format!("<p class=\"soft\">{}</p>", links.join(" · ")) }
}
