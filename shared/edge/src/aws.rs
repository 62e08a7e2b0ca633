//! One AWS configuration for every client: rustls on ring, trusting Amazon's own roots.
//!
//! Five bundled roots instead of the system's hundred and forty make the first call a millisecond faster,
//! and a function talks to nothing else over this client.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

use crate::env::{BadSetting, Env};

const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// Loads region and credentials: from the process as AWS provides them, or from given settings.
pub async fn config(env: &Env) -> Result<SdkConfig, BadSetting> {
    let trust = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
    let tls = TlsContext::builder().with_trust_store(trust).build();
    let tls = tls.map_err(|error| wrong("the bundled roots", error))?;
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https();
    let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    let loader = match env {
        Env::Process => loader,
        Env::Given(_) => {
            let (id, secret) = (env.required("AWS_ACCESS_KEY_ID")?, env.required("AWS_SECRET_ACCESS_KEY")?);
            let region = Region::new(env.required("AWS_REGION")?);
            loader.region(region).credentials_provider(Credentials::new(id, secret, None, None, "given"))
        }
    };
    Ok(loader.load().await)
}

/// Where a function's table is: the connection's configuration, an endpoint if not AWS's own, and the name.
pub async fn table(env: &Env) -> Result<(SdkConfig, Option<String>, String), BadSetting> {
    Ok((config(env).await?, env.optional("AWS_ENDPOINT_URL_DYNAMODB"), env.required("TABLE_NAME")?))
}

fn wrong(name: &'static str, error: impl std::fmt::Display) -> BadSetting {
    BadSetting::Wrong { name, problem: error.to_string() }
}
