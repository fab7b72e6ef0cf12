//! hyper, on Tokio, in the comparison with other libraries; the protocol is in ../README.md.
//! http alone. w=1 is Tokio's runtime for the current thread, more its runtime for many.
use hyper::service::{make_service_fn, service_fn};
use hyper::{header, Body, Response, Server};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::exit;
use tokio::runtime::Builder;

async fn serve(port: u16) {
    let hello = |_| async {
        Response::builder()
            .header(header::CONTENT_TYPE, "text/plain")
            .body(Body::from("Hello, World!"))
    };
    let service = make_service_fn(|_| async move { Ok::<_, Infallible>(service_fn(hello)) });
    Server::bind(&SocketAddr::from(([127, 0, 0, 1], port)))
        .tcp_nodelay(true)
        .serve(service)
        .await
        .unwrap();
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().map(String::as_str) != Some("http") {
        exit(2);
    }
    let number = |key: &str, otherwise: usize| {
        let value = words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        value.map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let workers = number("w", 1);
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(workers).enable_all().build().unwrap();
    let port = number("port", 0) as u16;
    // A task of its own, so that accepting runs on a worker too.
    let server = runtime.spawn(serve(port));
    runtime.block_on(server).unwrap();
}
