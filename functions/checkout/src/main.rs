use checkout::Checkout;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), edge::StartError> {
    let checkout = edge::start(Checkout::from_env).await;
    edge::serve_http(|request| checkout.handle(request, edge::now())).await
}
