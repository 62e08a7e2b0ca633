use admin::Admin;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), edge::StartError> {
    let admin = edge::start(Admin::from_env).await;
    edge::serve_http(|request| admin.handle(request, edge::now())).await
}
