//! Tokio in the comparison with other libraries; the protocol is in ../README.md.
//! w=1 is its runtime for the current thread, more its runtime for many.
//! Tokio has no generators.
mod channels;
mod files;
mod program;
mod scheduling;
mod servers;

use channels::*;
use program::Given;
use scheduling::*;
use std::process::exit;
use tokio::runtime::Builder;

const UNSUPPORTED: i32 = 2;

async fn run(given: Given) -> i32 {
    match given.workload.as_str() {
        "yield" => yields(&given).await,
        "spawn_join" => spawn_join(&given).await,
        "idle" => idle(&given).await,
        "timers" => timers(&given).await,
        "fib" => fib(&given).await,
        "pingpong" => pingpong(&given).await,
        "skynet" => skynet(&given).await,
        "mpmc" => mpmc(&given).await,
        "wake" => wake(&given).await,
        "select" => select(&given).await,
        "mutex" => mutex(&given).await,
        "timeout" => timeout(&given).await,
        "file_read" => files::file_read(&given).await,
        "pread" => files::pread(&given).await,
        "echo" => servers::echo(&given).await,
        _ => return UNSUPPORTED,
    }
    0
}

fn main() {
    let given = Given::new();
    let workers = given.number("w", 1);
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = builder
        .worker_threads(workers)
        .enable_all()
        .build()
        .unwrap();
    // A task of its own, so that it runs on a worker too.
    let body = runtime.spawn(run(given));
    exit(runtime.block_on(body).unwrap());
}
