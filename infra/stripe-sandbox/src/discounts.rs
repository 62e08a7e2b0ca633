//! Discounts: what came of a coupon that was redeemed, and what it takes off.

use serde_json::{Value, json};

use crate::coupons;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::params::Params;
use crate::periods::next_end;
use crate::promotions::{self, Use};
use crate::subscriptions;
use crate::tx::{Tx, id_of};

pub const KIND: &str = "discount";

/// What a request wants: a coupon, by itself or by a promotion code, or a discount that is there already.
#[derive(Clone)]
pub struct Redemption {
    pub coupon: String,
    pub promotion: Option<String>,
    pub kept: Option<String>,
}

/// `discounts` of a request; an empty list takes all away.
pub fn wanted(tx: &Tx, params: &mut Params, asked: &Use) -> Answer<Option<Vec<Redemption>>> {
    let Some(sections) = params.sections("discounts")? else { return Ok(None) };
    let wanted = sections.into_iter().map(|section| one(tx, section, asked)).collect::<Answer<Vec<_>>>()?;
    Ok(Some(wanted))
}

fn one(tx: &Tx, mut section: Params, asked: &Use) -> Answer<Redemption> {
    let name = |section: &Params, field: &str| section.full_name(field);
    let (coupon_name, promotion_name) = (name(&section, "coupon"), name(&section, "promotion_code"));
    let discount_name = name(&section, "discount");
    let given = (section.text("coupon")?, section.text("promotion_code")?, section.text("discount")?);
    section.finish()?;
    match given {
        (Some(coupon), None, None) => {
            check_currency(&coupons::valid(tx, &coupon, &coupon_name)?, asked, &coupon_name)?;
            Ok(Redemption { coupon, promotion: None, kept: None })
        }
        (None, Some(id), None) => {
            let promotion = tx.reference(promotions::KIND, &id, &promotion_name)?;
            redeemed_by(tx, &promotion, asked, &promotion_name)
        }
        (None, None, Some(id)) => {
            let discount = tx.reference(KIND, &id, &discount_name)?;
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let coupon = text(&discount["source"]["coupon"]).unwrap_or_default();
            Ok(Redemption { coupon, promotion: text(&discount["promotion_code"]), kept: Some(id) })
        }
        (None, None, None) => Err(Failure::missing_param(&coupon_name)),
        _ => {
            let message = "You may only specify one of these parameters: coupon, promotion_code, discount.";
            Err(Failure::invalid(message).param(coupon_name))
        }
    }
}

/// What a promotion comes to for who asks.
pub fn redeemed_by(tx: &Tx, promotion: &Value, asked: &Use, param: &str) -> Answer<Redemption> {
    if promotion["active"] != json!(true) {
        let code = promotion["code"].as_str().unwrap_or_default();
        return Err(Failure::conflict(format!("The promotion code {code} is inactive.")).param(param));
    }
    let coupon = promotions::redeemable(tx, promotion, asked, param)?;
    check_currency(&coupon, asked, param)?;
    Ok(Redemption {
        coupon: id_of(&coupon).to_owned(),
        promotion: Some(id_of(promotion).to_owned()),
        kept: None,
    })
}

fn check_currency(coupon: &Value, asked: &Use, param: &str) -> Answer<()> {
    match coupon["currency"].as_str() {
        Some(currency) if currency != asked.currency => {
            let message = format!(
                "The coupon is in {currency}, so it takes nothing off what costs {}.",
                asked.currency
            );
            Err(Failure::conflict(message).param(param))
        }
        _ => Ok(()),
    }
}

/// Redeems for a subscription: what it has after this are these, and no others.
pub fn put(tx: &Tx, subscription: &mut Value, wanted: &[Redemption], session: &Value) -> Answer<()> {
    let had: Vec<String> = ids_of(subscription);
    let mut has = Vec::new();
    for redemption in wanted {
        has.push(match &redemption.kept {
            Some(id) if had.contains(id) => id.clone(),
            Some(id) => return Err(Failure::no_such_reference(KIND, id, "discounts")),
            None => begin(tx, subscription, redemption, session)?,
        });
    }
    for id in had.iter().filter(|id| !has.contains(id)) {
        tell_of_end(tx, id)?;
    }
    subscription["discounts"] = json!(has);
    Ok(())
}

fn begin(tx: &Tx, subscription: &Value, redemption: &Redemption, session: &Value) -> Answer<String> {
    let coupon = tx.get(coupons::KIND, &redemption.coupon)?;
    let end = match coupon["duration_in_months"].as_i64() {
        Some(months) => {
            let months = json!({"interval": "month", "interval_count": months});
            Some(next_end(tx.now(), &months, tx.now())?)
        }
        None => None,
    };
    let discount = json!({
        "id": ids::fresh("di"),
        "object": KIND,
        "checkout_session": session,
        "customer": subscription["customer"],
        "customer_account": null,
        "end": end,
        "invoice": null,
        "invoice_item": null,
        "promotion_code": redemption.promotion,
        "source": {"coupon": redemption.coupon, "type": "coupon"},
        "start": tx.now(),
        "subscription": id_of(subscription),
        "subscription_item": null,
    });
    let off = Off::of_coupon(tx, &coupon)?;
    tx.insert(&discount, &off.kept(&coupon["duration"]))?;
    if let Some(end) = end {
        tx.set_alarm(&discount, end * 1000)?;
    }
    count(tx, redemption)?;
    tx.emit("customer.discount.created", &discount)?;
    Ok(id_of(&discount).to_owned())
}

/// A coupon has been used once more.
pub fn count(tx: &Tx, redemption: &Redemption) -> Answer<()> {
    coupons::count_redemption(tx, &redemption.coupon)?;
    match &redemption.promotion {
        Some(promotion) => promotions::count_redemption(tx, promotion),
        None => Ok(()),
    }
}

/// Its months are over.
pub fn end_on_time(tx: &Tx, id: &str) -> Answer<()> {
    let discount = tx.get(KIND, id)?;
    let subscription = discount["subscription"].as_str().unwrap_or_default();
    match tx.find(subscriptions::KIND, subscription)? {
        Some(before) if !subscriptions::has_ended(&before) => take_away(tx, &before, &[id.to_owned()]),
        _ => Ok(()),
    }
}

/// `DELETE /v1/subscriptions/{id}/discount`
pub fn delete_of_subscription(call: crate::call::Call) -> Answer<Value> {
    call.params.finish()?;
    let tx = call.tx;
    let subscription = subscriptions::get_alive(tx, call.id)?;
    let ids = ids_of(&subscription);
    let Some(first) = ids.first() else {
        return Err(Failure::conflict("This subscription has no discount.").code("resource_missing"));
    };
    let mut discount = tx.get(KIND, first)?;
    take_away(tx, &subscription, &ids)?;
    discount["deleted"] = json!(true);
    Ok(discount)
}

fn take_away(tx: &Tx, before: &Value, ids: &[String]) -> Answer<()> {
    let mut after = before.clone();
    let kept: Vec<String> = ids_of(before).into_iter().filter(|id| !ids.contains(id)).collect();
    after["discounts"] = json!(kept);
    ids.iter().try_for_each(|id| tell_of_end(tx, id))?;
    subscriptions::update(tx, before, &after)
}

fn tell_of_end(tx: &Tx, id: &str) -> Answer<()> {
    let discount = tx.get(KIND, id)?;
    tx.clear_alarm(&discount)?;
    tx.emit("customer.discount.deleted", &discount)
}

/// What holds for one invoice only is over when an invoice has had it.
pub fn spend(tx: &Tx, invoice: &Value) -> Answer<()> {
    let mut spent = Vec::new();
    for taken in invoice["total_discount_amounts"].as_array().into_iter().flatten() {
        let id = taken["discount"].as_str().unwrap_or_default();
        if tx.hidden(KIND, id)?["duration"] == json!("once") && taken["amount"] != json!(0) {
            spent.push(id.to_owned());
        }
    }
    if spent.is_empty() {
        return Ok(());
    }
    let subscription = tx.get(subscriptions::KIND, crate::invoices::subscription_id(invoice))?;
    take_away(tx, &subscription, &spent)
}

pub fn ids_of(subscription: &Value) -> Vec<String> {
    let ids = subscription["discounts"].as_array().into_iter().flatten();
    ids.filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

/// What a subscription's discounts take off an invoice, in their order.
pub fn offs_of(tx: &Tx, subscription: &Value) -> Answer<Vec<Off>> {
    let mut offs = Vec::new();
    for id in ids_of(subscription) {
        // A preview looks at a time whose alarms have not rung.
        let is_over = tx.get(KIND, &id)?["end"].as_i64().is_some_and(|end| end <= tx.now());
        if !is_over {
            offs.push(Off::of_discount(tx, &id)?);
        }
    }
    Ok(offs)
}

/// The same without those that are spent by the next invoice.
pub fn lasting_offs_of(tx: &Tx, subscription: &Value) -> Answer<Vec<Off>> {
    Ok(offs_of(tx, subscription)?.into_iter().filter(|off| !off.once).collect())
}

/// How much is taken off what.
#[derive(Clone, Default)]
pub struct Off {
    /// The discount's id, where there is one already.
    pub discount: String,
    amount: i64,
    hundredths: i64,
    /// All, if none is named.
    products: Vec<String>,
    once: bool,
}

/// Something that costs: a line of an invoice, or an item of a cart.
pub struct Costing {
    pub product: String,
    pub amount: i64,
}

impl Off {
    pub fn of_coupon(tx: &Tx, coupon: &Value) -> Answer<Self> {
        let hidden = tx.hidden(coupons::KIND, id_of(coupon))?;
        Ok(Self::read(&json!({
            "amount": coupon["amount_off"], "hundredths": hidden["hundredths"], "products": hidden["products"],
        })))
    }

    fn of_discount(tx: &Tx, id: &str) -> Answer<Self> {
        Ok(Self { discount: id.to_owned(), ..Self::read(&tx.hidden(KIND, id)?) })
    }

    /// Kept with the discount, because a coupon can be deleted.
    fn kept(&self, duration: &Value) -> Value {
        json!({
            "amount": self.amount, "hundredths": self.hundredths, "products": self.products,
            "duration": duration,
        })
    }

    fn read(kept: &Value) -> Self {
        let number = |name: &str| kept[name].as_i64().unwrap_or(0);
        let products = kept["products"].as_array().into_iter().flatten();
        Self {
            discount: String::new(),
            amount: number("amount"),
            hundredths: number("hundredths"),
            products: products.filter_map(|id| id.as_str().map(str::to_owned)).collect(),
            once: kept["duration"] == json!("once"),
        }
    }

    /// What it takes off each, where so much is left of them.
    fn shares(&self, costing: &[Costing], left: &[i64]) -> Vec<i64> {
        let applies = |it: &Costing| self.products.is_empty() || self.products.contains(&it.product);
        let left: Vec<i64> =
            costing.iter().zip(left).map(|(it, left)| if applies(it) { (*left).max(0) } else { 0 }).collect();
        if self.hundredths > 0 {
            return left.into_iter().map(|left| percentage(left, self.hundredths)).collect();
        }
        let whole: i64 = left.iter().sum();
        let off = self.amount.min(whole);
        let mut shares: Vec<i64> = left.iter().map(|left| proportion(off, *left, whole)).collect();
        // What rounding left over is taken from whoever has something left.
        let mut rest = off - shares.iter().sum::<i64>();
        for (share, left) in shares.iter_mut().zip(&left) {
            let more = rest.min(left - *share);
            *share += more;
            rest -= more;
        }
        shares
    }
}

/// Rounded half up.
fn percentage(amount: i64, hundredths: i64) -> i64 {
    let whole = i128::from(amount) * i128::from(hundredths) + 5_000;
    i64::try_from(whole / 10_000).expect("a percentage is no more than the whole")
}

/// What falls to a part of the whole, rounded down.
fn proportion(off: i64, part: i64, whole: i64) -> i64 {
    let share = i128::from(off) * i128::from(part) / i128::from(whole.max(1));
    i64::try_from(share).expect("a share is no more than all of it")
}

/// What each takes off each, one after the other: a row for every discount.
pub fn spread(offs: &[Off], costing: &[Costing]) -> Vec<Vec<i64>> {
    let mut left: Vec<i64> = costing.iter().map(|it| it.amount).collect();
    let mut rows = Vec::new();
    for off in offs {
        let shares = off.shares(costing, &left);
        left.iter_mut().zip(&shares).for_each(|(left, share)| *left -= share);
        rows.push(shares);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::{Costing, Off, spread};

    fn costing(amounts: &[i64]) -> Vec<Costing> {
        let costing =
            |(index, amount): (usize, &i64)| Costing { product: format!("p{index}"), amount: *amount };
        amounts.iter().enumerate().map(costing).collect()
    }

    #[test]
    fn a_percentage_is_taken_off_each_and_rounded_half_up() {
        let half = Off { hundredths: 5000, ..Off::default() };
        assert_eq!(spread(std::slice::from_ref(&half), &costing(&[999, 700, 0, -50])), [[500, 350, 0, 0]]);
        let twice = spread(&[half.clone(), half], &costing(&[1000]));
        assert_eq!(twice, [[500], [250]]);
    }

    #[test]
    fn an_amount_is_shared_out_to_the_last_cent_and_never_more_than_there_is() {
        let ten = Off { amount: 1000, ..Off::default() };
        assert_eq!(spread(std::slice::from_ref(&ten), &costing(&[999, 999, 999])), [[334, 333, 333]]);
        assert_eq!(spread(&[ten.clone(), ten], &costing(&[600, 300])), [[600, 300], [0, 0]]);
    }

    #[test]
    fn a_coupon_for_one_product_leaves_the_others_alone() {
        let off = Off { amount: 500, products: vec!["p1".into()], ..Off::default() };
        assert_eq!(spread(&[off], &costing(&[999, 300])), [[0, 300]]);
    }
}
