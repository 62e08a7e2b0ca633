//! Four loopback ports in a row: API, Stripe, DynamoDB, SQS.

use std::io;

use tokio::net::TcpListener;

pub struct Ports {
    pub api: TcpListener,
    pub stripe: TcpListener,
    pub dynamodb: TcpListener,
    pub sqs: TcpListener,
}

#[derive(Debug, thiserror::Error)]
pub enum PortError {
    #[error(
        "port {0} is busy: stop what listens there, or choose other ports with --port N (0 picks free ones)"
    )]
    Busy(u16),
    #[error("--port {0} leaves no room: the stack takes four ports in a row")]
    TooHigh(u16),
    #[error("port {0} cannot be opened: {1}")]
    Failed(u16, io::Error),
}

impl Ports {
    /// Consecutive ports from `first`; 0 lets the system pick each.
    pub async fn bind(first: u16) -> Result<Ports, PortError> {
        let nth = |n: u16| match first {
            0 => Ok(0),
            _ => first.checked_add(n).ok_or(PortError::TooHigh(first)),
        };
        Ok(Ports {
            api: bind(nth(0)?).await?,
            stripe: bind(nth(1)?).await?,
            dynamodb: bind(nth(2)?).await?,
            sqs: bind(nth(3)?).await?,
        })
    }
}

async fn bind(port: u16) -> Result<TcpListener, PortError> {
    TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => PortError::Busy(port),
        _ => PortError::Failed(port, error),
    })
}

/// `http://127.0.0.1:<port>`.
pub fn url(listener: &TcpListener) -> io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_port_is_named_with_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = Ports::bind(port).await.err().unwrap().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("--port"), "{error}");
    }

    #[tokio::test]
    async fn there_must_be_room_for_four() {
        assert!(matches!(Ports::bind(65534).await, Err(PortError::TooHigh(65534) | PortError::Busy(_))));
    }
}
