//! Mandates: that the holder of a bank account has agreed to its being debited.

use serde_json::{Value, json};

use crate::banks::Scheme;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::methods;
use crate::params::Params;
use crate::tx::{Tx, id_of};

pub const KIND: &str = "mandate";

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get(KIND, call.id)
}

/// `mandate_data`: how the holder has agreed. Null if it is not given.
pub fn acceptance(tx: &Tx, params: &mut Params) -> Answer<Value> {
    let Some(mut data) = params.section("mandate_data")? else { return Ok(Value::Null) };
    let name = data.full_name("customer_acceptance");
    let mut given = data.section("customer_acceptance")?.ok_or_else(|| Failure::missing_param(&name))?;
    let kind_name = given.full_name("type");
    let kind =
        given.one_of("type", &["offline", "online"])?.ok_or_else(|| Failure::missing_param(&kind_name))?;
    let accepted_at = given.integer("accepted_at")?.unwrap_or(tx.now());
    let mut details = json!({});
    if let Some(mut online) = given.section("online")? {
        // A browser's own request tells where it comes from.
        online.accept(&["infer_from_client"]);
        details = json!({"ip_address": online.text("ip_address")?, "user_agent": online.text("user_agent")?});
        online.finish()?;
    }
    given.accept(&["offline"]);
    given.finish()?;
    data.finish()?;
    Ok(online_or_offline(&kind, accepted_at, &details))
}

/// As somebody agrees on a page.
pub fn accepted_on_page(tx: &Tx) -> Value {
    online_or_offline("online", tx.now(), &json!({"ip_address": "127.0.0.1", "user_agent": "sandbox"}))
}

fn online_or_offline(kind: &str, accepted_at: i64, details: &Value) -> Value {
    let mut acceptance = json!({"accepted_at": accepted_at, "type": kind});
    acceptance[kind] = details.clone();
    acceptance
}

/// The mandate of a method, if it has one.
pub fn of(tx: &Tx, method: &Value) -> Answer<Option<String>> {
    Ok(tx.hidden(methods::KIND, id_of(method))?["mandate"].as_str().map(str::to_owned))
}

/// Makes sure that a bank account has one, if its holder has agreed; cards need none.
pub fn ensure(tx: &Tx, method: &Value, acceptance: &Value) -> Answer<()> {
    let method_type = method["type"].as_str().unwrap_or_default();
    let Some(scheme) = Scheme::named(method_type) else { return Ok(()) };
    if of(tx, method)?.is_some() {
        return Ok(());
    }
    if acceptance.is_null() {
        let message = "This PaymentIntent requires a mandate, but no existing mandate was found. Collect mandate \
                       acceptance from the customer and try again, providing acceptance data in the mandate_data \
                       parameter.";
        return Err(Failure::conflict(message).param("mandate_data"));
    }
    let id = ids::fresh("mandate");
    let details = match scheme {
        Scheme::Sepa => {
            let reference = ids::random(16).to_ascii_uppercase();
            json!({"reference": reference, "url": format!("{}/o/mandate/{id}", tx.public_url)})
        }
        Scheme::Ach => json!({}),
    };
    let mandate = json!({
        "id": id,
        "object": KIND,
        "customer_acceptance": acceptance,
        "livemode": false,
        "multi_use": {},
        "payment_method": id_of(method),
        "payment_method_details": {method_type: details, "type": method_type},
        "status": "active",
        "type": "multi_use",
    });
    tx.insert(&mandate, &Value::Null)?;
    methods::note(tx, method, "mandate", &json!(id))?;
    methods::set_up(tx, method)
}
