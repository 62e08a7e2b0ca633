use wallet::Wallet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), edge::StartError> {
    let wallet = edge::start(Wallet::from_env).await;
    edge::serve_http(|request| wallet.handle(request, edge::now())).await
}
