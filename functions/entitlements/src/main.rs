use entitlements::Entitlements;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), edge::StartError> {
    let entitlements = edge::start(Entitlements::from_env).await;
    edge::serve_http(|request| entitlements.handle(request, edge::now())).await
}
