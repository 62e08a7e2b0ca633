//! Everything Tollgate asks of Stripe. The only crate that names async-stripe: its typed builders make
//! each request and read each answer, over a transport of our own; none of its types escape.

mod adopt;
mod billing;
mod catalog;
mod change;
mod checkout;
mod clearing;
mod customer;
mod ended;
mod error;
mod failure;
mod idempotency;
mod in_process;
mod invoice;
mod invoice_history;
mod leads;
mod metadata;
mod methods;
mod money;
mod paging;
mod pay;
mod payment;
mod phase;
mod portal;
mod portal_configuration;
mod preview;
mod reversal;
mod schedule;
mod secret;
mod settings;
mod setup;
mod subscribe;
mod subscription;
mod transport;
mod words;

use std::fmt;
use std::sync::Arc;

pub use billing::{Billing, BillingAddress};
pub use catalog::{BadProductId, Price, Product, ProductId};
pub use change::ChangeOrder;
pub use checkout::{CheckoutOrder, Session, SessionStatus};
pub use ended::EndedFor;
pub use error::{Refusal, StripeError};
pub use in_process::InProcess;
pub use invoice_history::{InvoicePage, InvoiceSummary};
pub use leads::Billed;
pub use methods::PaymentMethod;
pub use pay::PaymentOrder;
pub use payment::{Intent, IntentState, IntentStatus};
pub use portal::PortalFlow;
pub use portal_configuration::{PortalChanges, PortalConfiguration, PortalPlan};
pub use preview::{Preview, PreviewLine};
pub use reversal::{Refund, RefundOrder, Reversed};
pub use schedule::Next;
pub use secret::ClientSecret;
pub use settings::{BadSettings, Settings};
pub use setup::{Setup, SetupOrder, SetupStatus};
pub use subscribe::{OpenedSubscription, SubscriptionOrder};
pub use subscription::{Subscription, SubscriptionItem};

use transport::{Call, Transport};

/// A connection to one Stripe account. Clones share its pool.
#[derive(Clone)]
pub struct Stripe {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Transport,
    stack: String,
    livemode: bool,
}

impl Stripe {
    /// Opens no connection yet; reads the system's certificates unless the address is a plain loopback one.
    pub fn new(settings: Settings) -> Result<Stripe, BadSettings> {
        let livemode = settings.livemode()?;
        let transport = Transport::new(&settings)?;
        Ok(Stripe { shared: Arc::new(Shared { transport, stack: settings.stack, livemode }) })
    }

    /// Whether real money moves.
    pub fn livemode(&self) -> bool {
        self.shared.livemode
    }

    fn stack(&self) -> &str {
        &self.shared.stack
    }

    /// What an async-stripe builder is sent with. The object is what logs and errors call it.
    fn call(&self, object: &'static str) -> Call<'_> {
        Call::new(&self.shared.transport, object)
    }
}

impl fmt::Debug for Stripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stripe")
            .field("stack", &self.shared.stack)
            .field("livemode", &self.shared.livemode)
            .finish_non_exhaustive()
    }
}
