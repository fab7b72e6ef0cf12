//! The server: echo. For http see ../../hyper.
use crate::program::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn echo_client(mut client: TcpStream) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut bytes = [0; 4096];
    loop {
        match client.read(&mut bytes).await? {
            0 => return Ok(()),
            n => client.write_all(&bytes[..n]).await?,
        }
    }
}

pub async fn echo(given: &Given) {
    let listener = TcpListener::bind(format!("127.0.0.1:{}", given.text("port")))
        .await
        .unwrap();
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(echo_client(client));
    }
}
