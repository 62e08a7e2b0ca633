//! What a session costs: what is in the cart, less what a coupon takes off, plus tax.

use serde_json::{Value, json};

use super::{KIND, address, intent_id, is_subscription};
use crate::cart;
use crate::coupons;
use crate::discounts::{self, Costing, Off, Redemption};
use crate::failure::{Answer, Failure};
use crate::params::Params;
use crate::payments;
use crate::promotions::{self, Use};
use crate::tax;
use crate::tx::{Reply, Tx, id_of};

/// Takes `discounts`, and prices the session by them and by its customer's country.
pub fn take(tx: &Tx, session: &mut Value, items: &mut [Value], params: &mut Params) -> Answer<Vec<Value>> {
    if session["allow_promotion_codes"] == json!(true) && params.has("discounts") {
        let message = "You may only specify one of these parameters: allow_promotion_codes, discounts.";
        return Err(Failure::invalid(message).param("discounts"));
    }
    let wanted = discounts::wanted(tx, params, &asked(session))?.unwrap_or_default();
    if wanted.len() > 1 || wanted.iter().any(|redemption| redemption.kept.is_some()) {
        let message = "A Checkout Session takes one coupon or promotion code.";
        return Err(Failure::invalid(message).param("discounts"));
    }
    if session["automatic_tax"]["enabled"] == json!(true) {
        items.iter().try_for_each(|item| tax::check_price(&item["price"], "line_items"))?;
    }
    price(tx, session, items, &wanted)?;
    Ok(wanted.iter().map(kept).collect())
}

fn asked(session: &Value) -> Use<'_> {
    Use {
        customer: session["customer"].as_str(),
        currency: session["currency"].as_str().unwrap_or_default(),
        amount: session["amount_subtotal"].as_i64().unwrap_or(0),
    }
}

fn kept(redemption: &Redemption) -> Value {
    json!({"coupon": redemption.coupon, "promotion": redemption.promotion})
}

/// What a session redeems when it is paid.
pub fn redemptions(tx: &Tx, session: &Value) -> Answer<Vec<Redemption>> {
    let hidden = tx.hidden(KIND, id_of(session))?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let kept = hidden["redemptions"].as_array().into_iter().flatten();
    Ok(kept
        .map(|kept| Redemption {
            coupon: text(&kept["coupon"]).unwrap_or_default(),
            promotion: text(&kept["promotion"]),
            kept: None,
        })
        .collect())
}

fn price(tx: &Tx, session: &mut Value, items: &mut [Value], redemptions: &[Redemption]) -> Answer<()> {
    let number = |item: &Value, name: &str| item[name].as_i64().unwrap_or(0);
    let offs = redemptions
        .iter()
        .map(|redemption| Off::of_coupon(tx, &tx.reference(coupons::KIND, &redemption.coupon, "discounts")?));
    let costing: Vec<Costing> = items
        .iter()
        .map(|item| Costing {
            product: item["price"]["product"].as_str().unwrap_or_default().to_owned(),
            amount: number(item, "amount_subtotal"),
        })
        .collect();
    let rows = discounts::spread(&offs.collect::<Answer<Vec<_>>>()?, &costing);
    let taxed = session["automatic_tax"]["enabled"] == json!(true);
    let payer = address::payer(tx, session)?;
    let rate = tax::rate_of(&payer).filter(|_| taxed);
    for (index, item) in items.iter_mut().enumerate() {
        let off: i64 = rows.iter().map(|row| row[index]).sum();
        let net = number(item, "amount_subtotal") - off;
        let tax = rate.map_or(0, |rate| rate.on(net));
        item["amount_discount"] = json!(off);
        item["amount_tax"] = json!(tax);
        item["amount_total"] = json!(net + tax);
    }
    let sum = |name: &str| items.iter().map(|item| number(item, name)).sum::<i64>();
    let total = sum("amount_total");
    cart::check_least(total, session["currency"].as_str().unwrap_or_default())?;
    session["amount_total"] = json!(total);
    session["total_details"]["amount_discount"] = json!(sum("amount_discount"));
    session["total_details"]["amount_tax"] = json!(sum("amount_tax"));
    session["payment_status"] = json!(if total == 0 { "no_payment_required" } else { "unpaid" });
    if taxed && tax::country(&payer).is_some() {
        session["automatic_tax"]["status"] = json!("complete");
    }
    session["discounts"] = redemptions
        .iter()
        .map(|it| json!({"coupon": it.promotion.is_none().then_some(&it.coupon), "promotion_code": it.promotion}))
        .collect();
    Ok(())
}

/// The shopper enters a promotion code, or takes it back with an empty one.
pub fn enter_code(tx: &Tx, id: &str, code: &str) -> Answer<Reply> {
    let session = tx.get(KIND, id)?;
    if session["status"] != json!("open") || session["allow_promotion_codes"] != json!(true) {
        return Err(Failure::conflict("This Checkout Session takes no promotion codes.").param("code"));
    }
    let redemptions = match code.trim() {
        "" => Vec::new(),
        code => {
            let promotion = promotions::with_code(tx, code)?
                .ok_or_else(|| Failure::invalid("This code is invalid.").param("code"))?;
            vec![discounts::redeemed_by(tx, &promotion, &asked(&session), "code")?]
        }
    };
    reprice(tx, session, &redemptions)
}

/// What an open session costs now.
pub fn reprice(tx: &Tx, mut session: Value, redemptions: &[Redemption]) -> Answer<Reply> {
    let mut hidden = tx.hidden(KIND, id_of(&session))?;
    let mut items = match hidden["line_items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    price(tx, &mut session, &mut items, redemptions)?;
    hidden["line_items"] = json!(items);
    hidden["redemptions"] = redemptions.iter().map(kept).collect();
    tx.save_hidden(&session, &hidden)?;
    tx.save(&session)?;
    follow(tx, &session)?;
    Ok(Reply::from(session))
}

/// An intent that has been tried already asks for the new amount.
fn follow(tx: &Tx, session: &Value) -> Answer<()> {
    let Some(id) = intent_id(tx, session)? else { return Ok(()) };
    let mut intent = tx.get(payments::KIND, &id)?;
    intent["amount"] = session["amount_total"].clone();
    tx.save(&intent)
}

/// A session that has been paid has used its coupon up; a subscription counts for itself.
pub fn spend(tx: &Tx, session: &Value) -> Answer<()> {
    if is_subscription(session) {
        return Ok(());
    }
    redemptions(tx, session)?.iter().try_for_each(|redemption| discounts::count(tx, redemption))
}
