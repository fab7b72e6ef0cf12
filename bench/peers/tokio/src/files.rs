//! Workloads on files in the page cache: file_read, pread. Both go to Tokio's thread pool; it has no
//! read at an offset, so pread is a blocking call there.
use crate::program::*;
use crate::scheduling::parallel;
use std::future::Future;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncReadExt;
use tokio::task::spawn_blocking;

const BLOCK_BYTES: usize = 4096;

/// read(i, buffer) n times, spread over c tasks; it gives the buffer back.
async fn measure_reads<F, R>(given: &Given, n: usize, read: F)
where
    F: Fn(usize, Vec<u8>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Vec<u8>> + Send,
{
    let c = given.number("c", 64);
    let cpu = cpu_seconds();
    let begin = Instant::now();
    parallel(c, |k| {
        let read = read.clone();
        async move {
            let mut buffer = vec![0; BLOCK_BYTES];
            for i in (k..n).step_by(c) {
                buffer = read(i, buffer).await;
            }
        }
    })
    .await;
    given.report("us_per_op", ns_each(begin, n) / 1e3, "us");
    let used = (cpu_seconds() - cpu) * 1e5 / n as f64;
    given.report("cpu_per_100k", used, "s");
}

pub async fn file_read(given: &Given) {
    let path = Arc::new(given.text("f").to_string());
    measure_reads(given, given.number("n", 10_000), move |_, mut buffer| {
        let path = path.clone();
        async move {
            let mut file = tokio::fs::File::open(path.as_str()).await.unwrap();
            assert_eq!(file.read(&mut buffer).await.unwrap(), BLOCK_BYTES);
            buffer
        }
    })
    .await;
}

pub async fn pread(given: &Given) {
    let file = Arc::new(std::fs::File::open(given.text("f")).unwrap());
    measure_reads(given, given.number("n", 100_000), move |i, mut buffer| {
        let file = file.clone();
        async move {
            let at = (mix(i) % 65536 * BLOCK_BYTES) as u64;
            let call = move || {
                assert_eq!(file.read_at(&mut buffer, at).unwrap(), BLOCK_BYTES);
                buffer
            };
            spawn_blocking(call).await.unwrap()
        }
    })
    .await;
}
