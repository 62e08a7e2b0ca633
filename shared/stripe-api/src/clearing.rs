//! Emptying a parameter. Stripe wants it sent as an empty text, which no typed builder can say of a number or of
//! a section.

use stripe::StripeRequest;
use stripe_client_core::CustomizableStripeRequest;

pub(crate) trait Clearing: StripeRequest {
    /// What the builder sends, and beside it this parameter, empty.
    fn clearing(&self, parameter: &str) -> CustomizableStripeRequest<Self::Output> {
        let mut request = self.build();
        let rest = request.body.take().filter(|body| !body.is_empty());
        request.body = Some(rest.map_or(format!("{parameter}="), |rest| format!("{rest}&{parameter}=")));
        request.customize()
    }
}

impl<R: StripeRequest> Clearing for R {}
