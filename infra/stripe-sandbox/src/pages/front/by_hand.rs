//! What people do at Stripe with a browser, for scripts.

use crate::pages::escaped;

/// Each with what it does; `…` stands for whatever fits.
const DEEDS: &[(&str, &str)] = &[
    (
        "POST /_sandbox/checkout/{session}/pay",
        r#"`{"card":"4242 4242 4242 4242","email":"…"}` pays a checkout, or starts its trial; `{"iban":"…"}` or `{"account":"…"}` pays by debit, `"promotion_code"` makes it cheaper."#,
    ),
    ("POST /_sandbox/checkout/{session}/promotion", r#"`{"code":"…"}` enters a promotion code."#),
    (
        "POST /_sandbox/checkout/{session}/address",
        r#"`{"country":"FR"}` says where the shopper lives, where that is asked for: the tax is France's or Germany's, and none elsewhere. Who pays and has not said lives in the US; paying takes a `"country"` too."#,
    ),
    (
        "POST /_sandbox/checkout/{session}/authenticate",
        r#"`{"outcome":"success"}` or `"fail"` answers for the bank, if the card asks; so it does at `/_sandbox/payment_intents/{intent}/authenticate` and `/_sandbox/setup_intents/{intent}/authenticate`."#,
    ),
    (
        "POST /_sandbox/payments/{payment_intent}/settle",
        r#"`{"outcome":"succeed"}` or `"fail"` is what comes of a debit, at once instead of in days."#,
    ),
    (
        "POST /_sandbox/invoices/{invoice}/pay",
        "Pays an open invoice as its page does, with a card or by debit.",
    ),
    (
        "POST /_sandbox/subscriptions/{subscription}/card",
        r#"`{"card":"4000 0000 0000 0341"}` replaces the card that renewals are charged to; with this one they are declined."#,
    ),
    (
        "POST /_sandbox/subscriptions/{subscription}/cancel",
        r#"`{"at_period_end":true}` cancels when the period ends, `false` at once."#,
    ),
    (
        "POST /_sandbox/refunds/{refund}/fail",
        "The bank returns a refund: the charge counts it as not refunded.",
    ),
    (
        "POST /_sandbox/payments/{payment_intent}/dispute",
        r#"`{"amount":499,"reason":"fraudulent","inquiry":false}` disputes a payment, all of it unless an amount is given; an inquiry withdraws no funds."#,
    ),
    (
        "POST /_sandbox/disputes/{dispute}/resolve",
        r#"`{"outcome":"won"}`, `"lost"` or `"prevented"` ends a dispute, `"warning_closed"` or `"prevented"` an inquiry; `"escalated"` makes a dispute of an inquiry."#,
    ),
    (
        "POST /p/session/{portal session}/{deed}",
        "What a customer does in the portal, as a form: `cancel`, `renew`, `switch` (`price`, `quantity`) and `keep` take a `subscription`; `card` takes a `card`, and a `subscription` if it is for that one alone; `details` takes `name`, `email`, `phone`, `address[city]` …",
    ),
    (
        "POST /_sandbox/customers/{customer}/portal",
        "Makes a portal session of the default configuration, and leads there.",
    ),
    ("POST /_sandbox/portal/default", "Saves the portal's settings, which makes the default configuration."),
    (
        "POST /_sandbox/outage",
        r#"`{"for":"2h"}`, `{"until":1790000000}`, `{"on":true}` or `{"on":false}`: nobody reaches the webhook endpoints, and deliveries are tried again. With `"missed":true` what happens meanwhile is never delivered. A GET shows the state."#,
    ),
    ("POST /_sandbox/events/{event}/resend", "Delivers an event again, and answers once that was attempted."),
    (
        "POST /_sandbox/settings",
        r#"`{"thin":true}` delivers thin events; `{"portal_cancels_with":"cancel_at_period_end"}` is how the portal canceled before 2025-09-30; `{"after_retries":"cancel"}`, `"unpaid"` or `"past_due"` is what becomes of a subscription that could not be charged. A GET shows them all."#,
    ),
    ("GET /o/{kind}/{id}", "Any object, without a key."),
];

pub fn list() -> String {
    let deeds = DEEDS
        .iter()
        .map(|(route, what)| format!("<dt><code>{}</code></dt><dd>{}</dd>", escaped(route), with_code(what)));
    format!(
        "<p>What a shopper or the shop's staff would do in a browser takes JSON and no key; a body may be left \
         out.</p><dl>{}</dl>",
        deeds.collect::<String>()
    )
}

/// Every second stretch between backquotes is code.
fn with_code(text: &str) -> String {
    let stretches = text.split('`').enumerate().map(|(index, stretch)| match index % 2 {
        0 => escaped(stretch),
        _ => format!("<code>{}</code>", escaped(stretch)),
    });
    stretches.collect()
}
