//! What a subscription looks like, before anything has happened to it.

use serde_json::{Value, json};

use super::{KIND, paying};
use crate::discounts::Redemption;
use crate::ids;
use crate::tax;
use crate::tx::Tx;

/// What is bought, apart from who buys it.
pub struct Order {
    pub items: Vec<Bought>,
    pub currency: Value,
    /// `description`, `metadata`, `payment_settings` and what `trials` reads.
    pub data: Value,
    pub automatic_tax: bool,
    pub discounts: Vec<Redemption>,
    /// Where it was bought; null if nowhere.
    pub session: Value,
}

pub struct Bought {
    pub price: Value,
    pub quantity: i64,
    pub metadata: Value,
}

pub fn blank(tx: &Tx, customer: &Value, order: &Order) -> Value {
    let id = ids::fresh("sub");
    let items: Vec<Value> = order.items.iter().map(|bought| item(tx, &id, bought)).collect();
    let metadata = &order.data["metadata"];
    let mut subscription = json!({
        "object": KIND,
        "automatic_tax": tax::of_subscription(order.automatic_tax),
        "billing_cycle_anchor": tx.now(),
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": tx.now()},
        "billing_schedules": [],
        "cancel_at_period_end": false,
        "cancellation_details": {"comment": null, "feedback": null, "reason": null},
        "collection_method": "charge_automatically",
        "created": tx.now(),
        "currency": order.currency,
        "customer": customer,
        "default_tax_rates": [],
        "description": order.data["description"],
        "discounts": [],
        "invoice_settings": {
            "account_tax_ids": null, "custom_fields": null, "description": null, "footer": null,
            "issuer": {"type": "self"},
        },
        "items": {
            "object": "list", "data": items, "has_more": false, "total_count": items.len(),
            "url": format!("/v1/subscription_items?subscription={id}"),
        },
        "livemode": false,
        "metadata": if metadata.is_object() { metadata.clone() } else { json!({}) },
        "payment_settings": paying::unset(),
        "start_date": tx.now(),
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "id": id,
    });
    for name in NULL_AT_FIRST {
        subscription[name] = Value::Null;
    }
    if order.data["payment_settings"].is_object() {
        subscription["payment_settings"] = order.data["payment_settings"].clone();
    }
    subscription
}

const NULL_AT_FIRST: [&str; 24] = [
    "application",
    "application_fee_percent",
    "billing_cycle_anchor_config",
    "billing_thresholds",
    "cancel_at",
    "canceled_at",
    "customer_account",
    "days_until_due",
    "default_payment_method",
    "default_source",
    "ended_at",
    "latest_invoice",
    "next_pending_invoice_item_invoice",
    "on_behalf_of",
    "pause_collection",
    "pending_invoice_item_interval",
    "pending_setup_intent",
    "pending_update",
    "schedule",
    "status_details",
    "test_clock",
    "transfer_data",
    "trial_end",
    "trial_start",
];

pub fn item(tx: &Tx, subscription: &str, bought: &Bought) -> Value {
    json!({
        "id": ids::fresh("si"),
        "object": "subscription_item",
        "billed_until": null,
        "billing_thresholds": null,
        "created": tx.now(),
        "current_period_end": 0,
        "current_period_start": 0,
        "discounts": [],
        "metadata": bought.metadata,
        "plan": plan(&bought.price),
        "price": bought.price,
        "quantity": bought.quantity,
        "subscription": subscription,
        "tax_rates": [],
    })
}

/// The price again, in the shape prices had before there were prices.
pub fn plan(price: &Value) -> Value {
    json!({
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"],
        "livemode": false,
        "metadata": price["metadata"],
        "meter": null,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": null,
        "transform_usage": null,
        "trial_period_days": null,
        "usage_type": "licensed",
    })
}
