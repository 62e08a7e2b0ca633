//! What happens by itself, when its time has come.

use rusqlite::{Connection, OptionalExtension};

use crate::failure::Answer;
use crate::tx::Tx;
use crate::{
    charges, checkout, coupons, discounts, disputes, intents, invoices, payments, promotions, refunds,
    renewals, schedules, subscriptions,
};

pub struct Alarm {
    kind: String,
    id: String,
    pub due_ms: i64,
}

pub fn first_due(database: &Connection, now_ms: i64) -> Answer<Option<Alarm>> {
    let mut statement = database.prepare_cached(
        "SELECT kind, id, due_ms FROM alarms WHERE due_ms <= ?1 ORDER BY due_ms, kind, id LIMIT 1",
    )?;
    let alarm = statement
        .query_row([now_ms], |row| Ok(Alarm { kind: row.get(0)?, id: row.get(1)?, due_ms: row.get(2)? }));
    Ok(alarm.optional()?)
}

/// The alarm is gone before it has its effect, which may set the next one.
pub fn ring(tx: &Tx, alarm: &Alarm) -> Answer<()> {
    tx.clear_alarm_of(&alarm.kind, &alarm.id)?;
    match alarm.kind.as_str() {
        charges::KIND => disputes::course::begin_by_card(tx, &alarm.id),
        checkout::KIND => checkout::expire_on_time(tx, &alarm.id),
        payments::KIND => intents::settlement::on_time(tx, &alarm.id),
        invoices::KIND => renewals::go_on_with_invoice(tx, &alarm.id),
        coupons::KIND => coupons::expire(tx, &alarm.id),
        discounts::KIND => discounts::end_on_time(tx, &alarm.id),
        promotions::KIND => promotions::expire(tx, &alarm.id),
        disputes::KIND => disputes::course::decide(tx, &alarm.id),
        schedules::KIND => schedules::course::go_on(tx, &alarm.id),
        refunds::KIND => refunds::go_on(tx, &alarm.id),
        subscriptions::KIND => renewals::go_on_with_subscription(tx, &alarm.id),
        other => {
            tracing::error!(kind = other, "an alarm of an unknown kind");
            Ok(())
        }
    }
}
