use webhook::Webhook;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let webhook = edge::start(Webhook::from_env).await;
    edge::serve_http(|request| webhook.handle(request, edge::now())).await
}
