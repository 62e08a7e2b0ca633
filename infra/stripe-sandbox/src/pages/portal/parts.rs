//! The parts of the portal's page.

use serde_json::{Value, json};

use super::view::{Next, Running, View};
use crate::cards::CARDS;
use crate::invoices::lines::cost;
use crate::pages::{day, escaped};
use crate::portal::deeds::{DETAILS, may_change};
use crate::portal::offers::{self, Offer};
use crate::subscriptions::period_of;
use crate::tx::id_of;

pub fn subscription(view: &View, running: &Running) -> String {
    let mut part = format!("<section class=\"card\">{}", summary(running));
    let may_cancel = view.visit.may("subscription_cancel");
    let is_leaving = !running.subscription["cancel_at"].is_null();
    if is_leaving && may_cancel {
        part += &one_button(view, running, "renew", "Renew");
    }
    if running.next.is_some() && view.visit.may("subscription_update") {
        part += &one_button(view, running, "keep", "Keep the present plan");
    }
    if !is_leaving && !running.offers.is_empty() && offers::only_item(&running.subscription).is_ok() {
        part += &folded("Change plan", &switch_form(view, running));
    }
    if running.method.is_some() && view.visit.may("payment_method_update") {
        part += &folded("Change its card", &card_form(view, Some(running)));
    }
    if !is_leaving && may_cancel {
        part += &folded("Cancel", &cancel_form(view, running));
    }
    part + "</section>"
}

/// What it is, what it costs, and what becomes of it.
pub fn summary(running: &Running) -> String {
    let mut part = format!("<h3>{}</h3>", escaped(&running.name));
    for item in running.subscription["items"]["data"].as_array().into_iter().flatten() {
        part += &format!("<p>{}</p>", priced(&item["price"], item["quantity"].as_i64().unwrap_or(1)));
    }
    part += &outlook(running);
    if let Some(Next { at, price, name, quantity }) = &running.next {
        let (name, priced) = (escaped(name), priced(price, *quantity));
        part += &format!("<p>On {} it changes to {name}, {priced}.</p>", day(at));
    }
    if let Some(method) = &running.method {
        part += &format!("<p class=\"soft\">Paid by {}.</p>", described(method));
    }
    part
}

pub fn priced(price: &Value, quantity: i64) -> String {
    match quantity {
        1 => escaped(&cost(price)),
        quantity => format!("{quantity} × {}", escaped(&cost(price))),
    }
}

fn outlook(running: &Running) -> String {
    let subscription = &running.subscription;
    let (_, end) = period_of(subscription);
    let end = day(&json!(end));
    if !subscription["cancel_at"].is_null() {
        return format!("<p>Canceled: it ends on {}.</p>", day(&subscription["cancel_at"]));
    }
    let pay = match running.unpaid.as_ref().and_then(|invoice| invoice["hosted_invoice_url"].as_str()) {
        Some(url) => format!(" <a href=\"{}\">Open the invoice</a>", escaped(url)),
        None => String::new(),
    };
    match subscription["status"].as_str().unwrap_or_default() {
        "active" => format!("<p>Renews on {end}.</p>"),
        "trialing" => format!("<p>Trial until {end}; it is paid for from then on.</p>"),
        "past_due" => format!("<p class=\"alert\">The last payment failed.{pay}</p>"),
        "unpaid" => format!("<p class=\"alert\">It is unpaid.{pay}</p>"),
        "incomplete" => format!("<p class=\"alert\">The first payment is still to be made.{pay}</p>"),
        status => format!("<p>It is {}.</p>", escaped(status)),
    }
}

/// Leads to what the change costs, where it is confirmed.
pub fn switch_form(view: &View, running: &Running) -> String {
    let item = &running.subscription["items"]["data"][0];
    let feature = view.visit.feature("subscription_update");
    let current = id_of(&item["price"]);
    let mut form = opened(view, running, "switch").replacen("\"post\"", "\"get\"", 1);
    if offers::allows(feature, "price") {
        form += "<fieldset><legend>Plan</legend>";
        for offer in &running.offers {
            form += &choice(offer, current);
        }
        form += "</fieldset>";
    }
    let mut adjustable = running.offers.iter().map(|offer| &offer.quantity);
    if adjustable.any(|quantity| quantity["enabled"] == json!(true)) {
        let id = id_of(&running.subscription);
        form += &format!(
            "<label for=\"quantity-{id}\">Quantity</label><input id=\"quantity-{id}\" name=\"quantity\" \
             type=\"number\" min=\"1\" value=\"{}\" required>",
            item["quantity"].as_i64().unwrap_or(1),
        );
    }
    if offers::allows(feature, "promotion_code") {
        let id = id_of(&running.subscription);
        form += &format!(
            "<label for=\"code-{id}\">Promotion code (optional)</label>\
             <input id=\"code-{id}\" name=\"promotion_code\" autocomplete=\"off\">"
        );
    }
    form + "<button type=\"submit\">See what it costs</button></form>"
}

fn choice(offer: &Offer, current: &str) -> String {
    let id = id_of(&offer.price);
    format!(
        "<label class=\"choice\"><input type=\"radio\" name=\"price\" value=\"{}\"{} required> <span>{} \
         <span class=\"soft\">{}{}</span></span></label>",
        escaped(id),
        if id == current { " checked" } else { "" },
        escaped(offer.product["name"].as_str().unwrap_or("Plan")),
        escaped(&cost(&offer.price)),
        if id == current { ", yours now" } else { "" },
    )
}

pub fn cancel_form(view: &View, running: &Running) -> String {
    let feature = view.visit.feature("subscription_cancel");
    let mut form = opened(view, running, "cancel");
    let reason = &feature["cancellation_reason"];
    if reason["enabled"] == json!(true) {
        let id = id_of(&running.subscription);
        let options = reason["options"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let options = options.map(|word| {
            let (word, words) = (escaped(word), escaped(&word.replace('_', " ")));
            format!("<option value=\"{word}\">{words}</option>")
        });
        form += &format!(
            "<label for=\"feedback-{id}\">Why do you leave? (optional)</label>\
             <select id=\"feedback-{id}\" name=\"feedback\"><option value=\"\"></option>{}</select>\
             <label for=\"comment-{id}\">Anything else? (optional)</label>\
             <textarea id=\"comment-{id}\" name=\"comment\" rows=\"2\"></textarea>",
            options.collect::<String>(),
        );
    }
    let words = match feature["mode"] == json!("immediately") {
        true => "Cancel now".to_owned(),
        false => format!("Cancel on {}", day(&json!(period_of(&running.subscription).1))),
    };
    form + &format!("<button type=\"submit\">{words}</button></form>")
}

pub fn payment_method(view: &View) -> String {
    let charged = match &view.default_method {
        Some(method) => format!("<p>{}</p>", described(method)),
        None => "<p class=\"soft\">None yet. It is charged where a subscription has no card of its own.</p>"
            .to_owned(),
    };
    let form = match view.visit.may("payment_method_update") {
        true => folded("Change the card", &card_form(view, None)),
        false => String::new(),
    };
    format!("<h2>Payment method</h2><section class=\"card\">{charged}{form}</section>")
}

/// For one subscription, or for all that name no card themselves.
pub fn card_form(view: &View, running: Option<&Running>) -> String {
    let (id, form) = match running {
        Some(running) => (id_of(&running.subscription), opened(view, running, "card")),
        None => ("default", format!("<form method=\"post\" action=\"{}\">", view.action("card"))),
    };
    form + &format!(
        "<label for=\"card-{id}\">Card number</label><input id=\"card-{id}\" name=\"card\" \
         value=\"4242 4242 4242 4242\" inputmode=\"numeric\" autocomplete=\"off\" required>\
         <button type=\"submit\">Save the card</button></form>"
    )
}

fn described(method: &Value) -> String {
    let kind = method["type"].as_str().unwrap_or("card");
    let of_kind = &method[kind];
    let name = of_kind["brand"].as_str().or(of_kind["bank_name"].as_str()).unwrap_or(kind);
    let last4 = of_kind["last4"].as_str().unwrap_or("????");
    let until = match (of_kind["exp_month"].as_i64(), of_kind["exp_year"].as_i64()) {
        (Some(month), Some(year)) => format!(", good until {month:02}/{year}"),
        _ => String::new(),
    };
    format!("{} •••• {}{until}", escaped(&name.replace('_', " ")), escaped(last4))
}

pub fn details(view: &View) -> String {
    let customer = &view.visit.customer;
    let mut lines: Vec<&str> =
        ["name", "email", "phone"].iter().filter_map(|name| customer[*name].as_str()).collect();
    for line in ["line1", "line2", "postal_code", "city", "state", "country"] {
        lines.extend(customer["address"][line].as_str());
    }
    let shown = match lines.is_empty() {
        true => "<p class=\"soft\">None yet.</p>".to_owned(),
        false => {
            format!("<p>{}</p>", lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("<br>"))
        }
    };
    let form = match DETAILS.iter().any(|detail| may_change(&view.visit, detail)) {
        true => folded("Change the details", &details_form(view)),
        false => String::new(),
    };
    format!("<h2>Billing details</h2><section class=\"card\">{shown}{form}</section>")
}

pub fn details_form(view: &View) -> String {
    const ADDRESS: [(&str, &str); 6] = [
        ("line1", "Address"),
        ("line2", "Address, second line"),
        ("postal_code", "Postal code"),
        ("city", "City"),
        ("state", "State"),
        ("country", "Country, two letters"),
    ];
    let customer = &view.visit.customer;
    let mut form = format!("<form method=\"post\" action=\"{}\">", view.action("details"));
    for (name, words) in [("name", "Name"), ("email", "Email"), ("phone", "Phone")] {
        if may_change(&view.visit, name) {
            form += &field(name, words, &customer[name]);
        }
    }
    if may_change(&view.visit, "address") {
        for (line, words) in ADDRESS {
            form += &field(&format!("address[{line}]"), words, &customer["address"][line]);
        }
    }
    if may_change(&view.visit, "shipping") {
        form += &field("shipping[name]", "Ship to", &customer["shipping"]["name"]);
        for (line, words) in ADDRESS {
            let value = &customer["shipping"]["address"][line];
            form += &field(&format!("shipping[address][{line}]"), &format!("{words} to ship to"), value);
        }
    }
    form + "<button type=\"submit\">Save the details</button></form>"
}

fn field(name: &str, words: &str, value: &Value) -> String {
    format!(
        "<label for=\"{name}\">{words}</label><input id=\"{name}\" name=\"{name}\" value=\"{}\" \
         autocomplete=\"off\">",
        escaped(value.as_str().unwrap_or_default()),
    )
}

/// A form about one subscription; whoever opens it closes it.
fn opened(view: &View, running: &Running, deed: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"subscription\" value=\"{}\">",
        view.action(deed),
        escaped(id_of(&running.subscription)),
    )
}

fn one_button(view: &View, running: &Running, deed: &str, words: &str) -> String {
    opened(view, running, deed) + &format!("<button type=\"submit\">{words}</button></form>")
}

fn folded(words: &str, what: &str) -> String {
    format!("<details><summary>{words}</summary>{what}</details>")
}

pub fn test_cards() -> String {
    let rows = CARDS.iter().map(|card| format!("<li><code>{}</code> {}</li>", card.spaced(), card.does));
    folded("Test cards", &format!("<ul>{}</ul>", rows.collect::<String>()))
}
