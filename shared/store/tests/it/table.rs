//! A table of its own for each test, and the fixtures that the tests share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use domain::account::Account;
use domain::catalog::{Allowance, Catalog, Published, Shelf, Window};
use domain::cause::{Cause, Operation};
use domain::decide::{Act, Captured, Command, Spend, What};
use domain::entry::{Entry, RefundRequest};
use domain::follow::observe;
use domain::hold::Hold;
use domain::ids::{CustomerId, InvoiceId, PaymentId, PlanId, RequestKey, SubscriptionId, UserId};
use domain::item::Interval;
use domain::money::{Currency, Money, Tokens};
use domain::payment::{Envelope, Payment, RefundReason};
use domain::request::RequestHash;
use domain::subscription::{PaidFor, PaidInvoice, Period, Seen, Status, Terms};
use domain::time::{DAY_MS, MINUTE_MS, Time};
use store::{Applied, Catalogs, Store, StoreError, schema};

pub const TABLE: &str = "tollgate";
pub const NOW: Time = Time::from_millis(1_790_000_000_000);

pub struct Table {
    pub store: Store,
    pub catalogs: Catalogs,
    pub client: Client,
    pub aws: SdkConfig,
    pub endpoint: String,
}

impl Table {
    /// With companion's catalog published.
    pub async fn new() -> Table {
        let table = Table::empty().await;
        table.catalogs.publish(CATALOG, &prices(), None, NOW).await.unwrap();
        table.catalogs.current(NOW).await.unwrap();
        table
    }

    pub async fn empty() -> Table {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let database = dynoxide::Database::memory().unwrap();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending::<()>()));
        let loader = aws_config::defaults(BehaviorVersion::latest()).region(Region::new("eu-west-1"));
        let keys = aws_sdk_dynamodb::config::Credentials::new("local", "local", None, None, "test");
        let http = aws_smithy_http_client::Builder::new().build_http();
        let aws = loader.credentials_provider(keys).http_client(http).load().await;
        let config = aws_sdk_dynamodb::config::Builder::from(&aws).endpoint_url(&endpoint).build();
        let client = Client::from_conf(config);
        create(&client).await;
        let store = open(&aws, &endpoint);
        Table { catalogs: Catalogs::new(store.clone()), store, client, aws, endpoint }
    }

    /// Another process, as it were: its own client and connections.
    pub fn another_store(&self) -> Store {
        open(&self.aws, &self.endpoint)
    }

    pub async fn apply(&self, command: &Command) -> Applied {
        self.store.apply(&user(), command, &self.catalogs, NOW).await.unwrap()
    }

    pub async fn done(&self, command: &Command) -> Entry {
        match self.apply(command).await {
            Applied::Done(entry) => entry,
            other => panic!("not done: {other:?}"),
        }
    }

    pub async fn see(&self, seen: Seen) -> Option<Entry> {
        let look = |_| std::future::ready(Ok::<_, StoreError>(seen.clone()));
        let decide = |account: &Account, seen: &Seen| observe(account, seen, NOW);
        self.store.observe(&user(), look, decide).await.unwrap().news
    }

    /// Companion's premium, seen and paid for.
    pub async fn subscribe(&self) {
        self.see(premium()).await;
        self.done(&first_invoice()).await;
    }
}

pub fn shelf() -> Shelf {
    let catalog = Catalog::parse(CATALOG).unwrap();
    Shelf::new(Arc::new(Published { version: 1, catalog, prices: prices(), portal: None }), Vec::new())
}

/// A month of companion's premium that has just begun.
pub fn premium() -> Seen {
    Seen {
        id: subscription_id(),
        plan: PlanId::parse("premium").unwrap(),
        group: "main".to_owned(),
        catalog: 1,
        interval: Interval::Month,
        price: Money { amount_minor: 999, currency: Currency::parse("eur").unwrap() },
        status: Status::Active,
        anchor: NOW,
        period_start: NOW,
        period_end: NOW.plus_ms(30 * DAY_MS),
        trial_end: None,
        cancel_at: None,
        ended_at: None,
        allowance: Some(Allowance::Tokens {
            count: Tokens::new(500).unwrap(),
            every: Window::Week,
            rollover: Tokens::ZERO,
        }),
        quantity: 1,
        next: None,
        terms: Terms::default(),
    }
}

pub fn first_invoice() -> Command {
    let invoice = PaidInvoice {
        id: InvoiceId::parse("in_1QabcdefGhijklmnOpqrstuv").unwrap(),
        subscription: subscription_id(),
        customer: Some(CustomerId::parse("cus_QabcdefGhijkl1").unwrap()),
        paid: Money { amount_minor: 999, currency: Currency::parse("eur").unwrap() },
        payments: vec![(payment_id(99), 999)],
        lines: Vec::new(),
    };
    let paid_for = PaidFor {
        item: "plan:premium:month".parse().unwrap(),
        catalog: 1,
        allowance: premium().allowance,
        period: Some(Period { start: NOW, end: NOW.plus_ms(30 * DAY_MS) }),
        proration: false,
    };
    Command {
        cause: Cause::Invoice(invoice.id.clone()),
        request: None,
        act: Act::Invoice { invoice, paid_for },
    }
}

pub fn subscription_id() -> SubscriptionId {
    SubscriptionId::parse("sub_1QabcdefGhijklmnOpqrstuv").unwrap()
}

fn open(aws: &SdkConfig, endpoint: &str) -> Store {
    Store::open(aws, Some(endpoint.to_owned()), TABLE, Duration::from_secs(20))
}

async fn create(client: &Client) {
    let attribute = |name: &str| {
        let definition =
            AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        definition.build().unwrap()
    };
    let key =
        |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let index = |name: &str, pk: &str, sk: &str, projection| {
        GlobalSecondaryIndex::builder()
            .index_name(name)
            .key_schema(key(pk, KeyType::Hash))
            .key_schema(key(sk, KeyType::Range))
            .projection(Projection::builder().projection_type(projection).build())
            .build()
            .unwrap()
    };
    let names = [schema::PK, schema::SK, schema::GSI1_PK, schema::GSI1_SK, schema::GSI2_PK, schema::GSI2_SK]
        .map(attribute);
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(names.to_vec()))
        .key_schema(key(schema::PK, KeyType::Hash))
        .key_schema(key(schema::SK, KeyType::Range))
        .global_secondary_indexes(index(schema::GSI1, schema::GSI1_PK, schema::GSI1_SK, ProjectionType::All))
        .global_secondary_indexes(index(
            schema::GSI2,
            schema::GSI2_PK,
            schema::GSI2_SK,
            ProjectionType::KeysOnly,
        ))
        .send()
        .await
        .unwrap();
}

pub const CATALOG: &str = include_str!("../../../../infra/catalogs/companion.toml");

/// As long as identity providers make them.
pub fn user() -> UserId {
    UserId::parse("user_2b6XkLmP9qRsTuVwXyZ0aB1cD2e").unwrap()
}

/// As long as Stripe makes them.
pub fn payment_id(number: u32) -> PaymentId {
    PaymentId::parse(format!("pi_3QabcdefGhijklmnOpqrst{number:02}")).unwrap()
}

pub fn purchase(package: &str, number: u32) -> Command {
    let item: domain::item::Item = format!("package:{package}").parse().unwrap();
    let payment = Payment {
        id: payment_id(number),
        customer: Some(CustomerId::parse("cus_QabcdefGhijkl1").unwrap()),
        paid: Money { amount_minor: 999, currency: Currency::parse("eur").unwrap() },
        envelope: Envelope { item: Some(item.clone()), ..Envelope::default() },
    };
    Command {
        cause: Cause::Payment(payment.id.clone()),
        request: None,
        act: Act::Purchase { payment, item, catalog: 1 },
    }
}

/// A refund of a part of that, as an operator asks for it.
pub fn refund(number: u32, amount_minor: i64) -> Command {
    let operator = UserId::parse("user_2c7YlMnQ0rStUvWxYzA1bC2dE3f").unwrap();
    let key = RequestKey::parse("3b9d1c52-6e0f-4c8a-b7d4-000000000001").unwrap();
    let body = serde_json::json!({ "payment": payment_id(number), "amount_minor": amount_minor });
    let request = RefundRequest {
        payment: payment_id(number),
        amount: Money { amount_minor, currency: Currency::parse("eur").unwrap() },
        reason: Some(RefundReason::RequestedByCustomer),
        operator: operator.clone(),
        note: Some("1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".parse().unwrap()),
    };
    Command {
        request: Some(RequestHash::of(Operation::Refund, &[operator.as_str()], &body)),
        cause: Cause::Request { user: operator, operation: Operation::Refund, key },
        act: Act::Refund(request),
    }
}

/// A consume as a client sends it, its key a UUID.
pub fn consume(number: u32, count: u64) -> Command {
    let key = RequestKey::parse(format!("5f0c7c3e-8d1b-4a66-9a53-0000000000{number:02}")).unwrap();
    let what = What::Tokens(Tokens::new(count).unwrap());
    let body = serde_json::json!({ "tokens": count });
    Command {
        cause: Cause::Request { user: user(), operation: Operation::Consume, key },
        request: Some(RequestHash::of(Operation::Consume, &[user().as_str()], &body)),
        act: Act::Consume(Spend { what, amount: 1 }),
    }
}

/// A hold as a client asks for it, for a quarter of an hour.
pub fn hold(number: u32, count: u64) -> Command {
    let key = RequestKey::parse(format!("7a1d2b90-4c3e-4f51-8b67-0000000000{number:02}")).unwrap();
    let what = What::Tokens(Tokens::new(count).unwrap());
    let body = serde_json::json!({ "tokens": count });
    Command {
        cause: Cause::Request { user: user(), operation: Operation::Hold, key },
        request: Some(RequestHash::of(Operation::Hold, &[user().as_str()], &body)),
        act: Act::Hold { spend: Spend { what, amount: 1 }, expires_at: NOW.plus_ms(15 * MINUTE_MS) },
    }
}

/// The capture of a part of that hold.
pub fn capture(held: &Command, count: u64) -> Command {
    let hold = Hold::id_of(&held.cause);
    let body = serde_json::json!({ "tokens": count });
    let path = [user().to_string(), hold.to_string(), "capture".to_owned()];
    let key = RequestKey::parse("c2f8e6a4-1b09-4d7c-a3f5-000000000001").unwrap();
    let wanted = Captured::Tokens(Tokens::new(count).unwrap());
    Command {
        cause: Cause::HoldEnd(hold.clone()),
        request: Some(RequestHash::of(Operation::Hold, &path.each_ref().map(String::as_str), &body)),
        act: Act::EndHold { hold, wanted, key },
    }
}

pub fn prices() -> BTreeMap<String, domain::ids::PriceId> {
    [("package:medium:eur".to_owned(), domain::ids::PriceId::parse("price_1").unwrap())].into()
}
