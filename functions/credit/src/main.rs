use credit::Credit;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), edge::StartError> {
    let credit = edge::start(Credit::from_env).await;
    edge::serve_batches(|event| credit.handle(event, edge::now())).await
}
