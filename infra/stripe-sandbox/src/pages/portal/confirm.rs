//! A change of plan before it is made: what it is, and what it costs.

use serde_json::Value;

use super::parts::{priced, summary};
use super::view::View;
use crate::pages::{day, escaped, money};
use crate::portal::changes::Proposal;
use crate::portal::offers::Choice;
use crate::subscriptions::period_of;
use crate::tx::id_of;

pub fn confirmation(view: &View, proposal: &Proposal) -> String {
    let choice = &proposal.choice;
    let running = view.running.iter().find(|it| it.subscription["id"] == proposal.subscription["id"]);
    let offer = running.into_iter().flat_map(|it| &it.offers).find(|it| it.price["id"] == choice.price["id"]);
    let name = offer.and_then(|offer| offer.product["name"].as_str()).unwrap_or("the new plan");
    let hidden = [
        ("subscription", id_of(&proposal.subscription).to_owned()),
        ("price", id_of(&choice.price).to_owned()),
        ("quantity", choice.quantity.to_string()),
        ("promotion_code", code_of(choice)),
    ];
    let hidden = hidden
        .iter()
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value)));
    format!(
        "<section class=\"card\">{}</section><h2>Change it to</h2><section class=\"card\"><h3>{}</h3>\
         <p>{}</p>{}<form method=\"post\" action=\"{}\">{}<button type=\"submit\">Confirm</button></form>\
         </section>",
        running.map_or_else(String::new, summary),
        escaped(name),
        priced(&choice.price, choice.quantity),
        cost(proposal),
        view.action("switch"),
        hidden.collect::<String>(),
    )
}

fn code_of(choice: &Choice) -> String {
    let code = choice.promotion.as_ref().and_then(|promotion| promotion["code"].as_str());
    code.unwrap_or_default().to_owned()
}

fn cost(proposal: &Proposal) -> String {
    let end = Value::from(period_of(&proposal.subscription).1);
    let Some(bill) = &proposal.bill else {
        return format!("<p>This happens on {}; until then everything stays as it is.</p>", day(&end));
    };
    let amount = |of: &Value| money(of.as_i64().unwrap_or(0), bill["currency"].as_str().unwrap_or_default());
    let when = match bill["billing_reason"].as_str() {
        Some("subscription_cycle" | "upcoming") => format!("on {}", day(&bill["created"])),
        _ => "now".to_owned(),
    };
    let lines = bill["lines"]["data"].as_array().into_iter().flatten().map(|line| {
        format!(
            "<tr><th scope=\"row\">{}</th><td class=\"amount\">{}</td></tr>",
            escaped(line["description"].as_str().unwrap_or("Item")),
            amount(&line["amount"]),
        )
    });
    format!(
        "<table><tbody>{}</tbody><tfoot><tr><th scope=\"row\">Charged {when}</th>\
         <td class=\"amount\">{}</td></tr></tfoot></table>",
        lines.collect::<String>(),
        amount(&bill["amount_due"]),
    )
}
