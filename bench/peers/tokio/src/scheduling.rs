//! Workloads of the scheduler alone: yield, spawn_join, idle, timers, fib.
use crate::program::*;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{spawn, yield_now};

/// Runs body(0) ... body(n - 1), each in a task, and waits for them.
pub async fn parallel<F, R>(n: usize, body: impl Fn(usize) -> F) -> Vec<R>
where
    F: Future<Output = R> + Send + 'static,
    R: Send + 'static,
{
    let tasks: Vec<_> = (0..n).map(|i| spawn(body(i))).collect();
    let mut results = Vec::with_capacity(n);
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

pub async fn yields(given: &Given) {
    let (n, m) = (given.number("n", 2), given.number("m", 1_000_000));
    let floating = given.number("float", 0) != 0;
    let begin = Instant::now();
    parallel(n, |_| async move {
        let mut x = 1.0_f64;
        for _ in 0..m {
            if floating {
                x = std::hint::black_box(x / 3.0 + 1.0);
            }
            yield_now().await;
        }
    })
    .await;
    given.report("ns_per_switch", ns_each(begin, n * m), "ns");
}

pub async fn spawn_join(given: &Given) {
    let n = given.number("n", 1_000_000);
    if given.text("mode") != "all" {
        let begin = Instant::now();
        for _ in 0..n {
            spawn(async {}).await.unwrap();
        }
        given.report("ns_per_fiber", ns_each(begin, n), "ns");
        return;
    }
    let mut warm = f64::INFINITY;
    for round in 0..4 {
        let begin = Instant::now();
        parallel(n, |_| async {}).await;
        match round {
            0 => given.report("ns_per_fiber_cold", ns_each(begin, n), "ns"),
            _ => warm = warm.min(ns_each(begin, n)),
        }
    }
    given.report("ns_per_fiber_warm", warm, "ns");
}

pub async fn idle(given: &Given) {
    let n = given.number("n", 100_000);
    let gate = Arc::new(tokio::sync::Notify::new());
    let parked = Arc::new(AtomicUsize::new(0));
    let before = resident_bytes();
    let begin = Instant::now();
    for _ in 0..n {
        let (gate, parked) = (gate.clone(), parked.clone());
        spawn(async move {
            parked.fetch_add(1, Relaxed);
            gate.notified().await;
        });
    }
    while parked.load(Relaxed) < n {
        yield_now().await;
    }
    given.report("spawn_ns_per_fiber", ns_each(begin, n), "ns");
    given.report(
        "bytes_per_fiber",
        (resident_bytes() - before) / n as f64,
        "B",
    );
}

pub async fn timers(given: &Given) {
    let n = given.number("n", 100_000);
    let cpu = cpu_seconds();
    let begin = Instant::now();
    let late = parallel(n, |i| async move {
        let wanted = Duration::from_millis(mix(i) as u64 % 1000 + 1);
        let own = Instant::now();
        tokio::time::sleep(wanted).await;
        own.elapsed() - wanted
    })
    .await;
    given.report("wall", milliseconds(begin), "ms");
    given.report("cpu", cpu_seconds() - cpu, "s");
    given.lateness(late);
}

fn plain_fib(n: usize) -> usize {
    if n < 2 {
        n
    } else {
        plain_fib(n - 1) + plain_fib(n - 2)
    }
}

fn task_fib(n: usize, cut: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        if n < cut {
            return plain_fib(n);
        }
        let left = spawn(task_fib(n - 1, cut));
        let right = task_fib(n - 2, cut).await;
        left.await.unwrap() + right
    })
}

pub async fn fib(given: &Given) {
    let (n, cut) = (given.number("n", 32), given.number("cut", 8));
    let expected = plain_fib(n);
    let mut best = f64::INFINITY;
    for _ in 0..given.number("reps", 3) {
        let begin = Instant::now();
        assert_eq!(task_fib(n, cut).await, expected);
        best = best.min(milliseconds(begin));
    }
    given.report("ms", best, "ms");
}
