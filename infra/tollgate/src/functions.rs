//! The real functions, started as Lambda would start them, with settings that point at the local servers.

use std::sync::Arc;

use admin::Admin;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use checkout::Checkout;
use credit::Credit;
use domain::time::Time;
use edge::{Env, StartError};
use entitlements::Entitlements;
use lambda_http::{Body, Request, Response};
use wallet::Wallet;
use webhook::Webhook;

/// One of each.
pub struct Functions {
    admin: Admin,
    checkout: Checkout,
    credit: Credit,
    entitlements: Entitlements,
    wallet: Wallet,
    webhook: Webhook,
}

impl Functions {
    pub async fn from_env(env: &Env) -> Result<Arc<Functions>, StartError> {
        Ok(Arc::new(Functions {
            admin: Admin::from_env(env).await?,
            checkout: Checkout::from_env(env).await?,
            credit: Credit::from_env(env).await?,
            entitlements: Entitlements::from_env(env).await?,
            wallet: Wallet::from_env(env).await?,
            webhook: Webhook::from_env(env).await?,
        }))
    }

    /// Calls the function that the template names. `None` means that there is no such function here.
    pub async fn http(&self, name: &str, request: Request, now: Time) -> Option<Response<Body>> {
        Some(match name {
            "admin" => self.admin.handle(request, now).await,
            "checkout" => self.checkout.handle(request, now).await,
            "entitlements" => self.entitlements.handle(request, now).await,
            "wallet" => self.wallet.handle(request, now).await,
            "webhook" => self.webhook.handle(request, now).await,
            _ => return None,
        })
    }

    pub async fn credit(&self, event: SqsEvent, now: Time) -> SqsBatchResponse {
        self.credit.handle(event, now).await
    }
}
