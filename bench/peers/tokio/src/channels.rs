//! Workloads of channels and locks: pingpong, skynet, mpmc, wake, select, mutex; and timeout.
//! Tokio has no rendezvous: its channels have room for one.
use crate::program::*;
use crate::scheduling::parallel;
use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{channel, Receiver, Sender};
use tokio::task::spawn;

/// Answers with what it was asked, until there are no more questions.
async fn answer(mut questions: Receiver<usize>, answers: Sender<usize>) {
    while let Some(question) = questions.recv().await {
        answers.send(question).await.unwrap();
    }
}

pub async fn pingpong(given: &Given) {
    let n = given.number("n", 1_000_000);
    let (there, other_there) = channel(1);
    let (other_back, mut back) = channel(1);
    let begin = Instant::now();
    spawn(answer(other_there, other_back));
    for i in 0..n {
        there.send(i).await.unwrap();
        assert_eq!(back.recv().await, Some(i));
    }
    given.report("ns_per_roundtrip", ns_each(begin, n), "ns");
}

/// A tree of tasks with ten children each; the leaves' numbers are added on the way to its root.
/// Each channel has room for all children.
fn grow(
    parent: Sender<usize>,
    first: usize,
    leaves: usize,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let mut sum = first;
        if leaves > 1 {
            let (child, mut children) = channel(10);
            for i in 0..10 {
                spawn(grow(child.clone(), first + i * (leaves / 10), leaves / 10));
            }
            sum = 0;
            for _ in 0..10 {
                sum += children.recv().await.unwrap();
            }
        }
        parent.send(sum).await.unwrap();
    })
}

pub async fn skynet(given: &Given) {
    let n = given.number("n", 1_000_000);
    let mut warm = f64::INFINITY;
    for i in 0..given.number("reps", 3) {
        let begin = Instant::now();
        let (root, mut result) = channel(1);
        spawn(grow(root, 0, n));
        assert_eq!(result.recv().await, Some(n * (n - 1) / 2));
        match i {
            0 => given.report("ms_cold", milliseconds(begin), "ms"),
            _ => warm = warm.min(milliseconds(begin)),
        }
    }
    given.report("ms_warm", warm, "ms");
}

/// Tokio's channels have one receiver each, so this one is async-channel's.
pub async fn mpmc(given: &Given) {
    let n = given.number("n", 1_000_000);
    let (producers, consumers) = (given.number("p", 4), given.number("c", 4));
    let (items, taken) = async_channel::bounded(given.number("cap", 128));
    let begin = Instant::now();
    for k in 0..producers {
        let items = items.clone();
        spawn(async move {
            for i in (k..n).step_by(producers) {
                items.send(i).await.unwrap();
            }
        });
    }
    drop(items);
    let sums = parallel(consumers, |_| {
        let taken = taken.clone();
        async move {
            let mut sum = 0;
            while let Ok(item) = taken.recv().await {
                sum += item;
            }
            sum
        }
    })
    .await;
    let each = ns_each(begin, n);
    assert_eq!(sums.iter().sum::<usize>(), n * (n - 1) / 2);
    given.report("ns_per_item", each, "ns");
}

pub async fn wake(given: &Given) {
    let n = given.number("n", 100_000);
    let (there, other_there) = channel(1);
    let (other_back, mut back) = channel(1);
    let begin = Instant::now();
    let outside = std::thread::spawn(move || {
        for i in 0..n {
            there.blocking_send(i).unwrap();
            back.blocking_recv().unwrap();
        }
    });
    answer(other_there, other_back).await;
    outside.join().unwrap();
    given.report("us_per_roundtrip", ns_each(begin, n) / 1e3, "us");
}

/// Two cases stand in select!; more are asked in turn, beginning anywhere, as by StreamMap.
pub async fn select(given: &Given) {
    let n = given.number("n", 1_000_000);
    let cases = given.number("cases", 2);
    let (senders, mut receivers): (Vec<_>, Vec<_>) = (0..cases).map(|_| channel(1)).unzip();
    let begin = Instant::now();
    spawn(async move {
        for i in 0..n {
            senders[mix(i) % cases].send(1).await.unwrap();
        }
    });
    let mut sum = 0;
    if let [first, second] = &mut receivers[..] {
        while sum < n {
            tokio::select! {
                Some(value) = first.recv() => sum += value,
                Some(value) = second.recv() => sum += value,
            }
        }
    } else {
        for i in 0..n {
            sum += poll_fn(|context| {
                for k in 0..cases {
                    if let ready @ Poll::Ready(Some(_)) =
                        receivers[(i + k) % cases].poll_recv(context)
                    {
                        return ready;
                    }
                }
                Poll::Pending
            })
            .await
            .unwrap();
        }
    }
    assert_eq!(sum, n);
    given.report("ns_per_receive", ns_each(begin, n), "ns");
}

pub async fn mutex(given: &Given) {
    let (n, m) = (given.number("n", 100), given.number("m", 100_000));
    let count = Arc::new(tokio::sync::Mutex::new(0));
    let begin = Instant::now();
    parallel(n, |_| {
        let count = count.clone();
        async move {
            for _ in 0..m {
                *count.lock().await += 1;
            }
        }
    })
    .await;
    let each = ns_each(begin, n * m);
    assert_eq!(*count.lock().await, n * m);
    given.report("ns_per_op", each, "ns");
}

pub async fn timeout(given: &Given) {
    let n = given.number("n", 1_000_000);
    let limit = Duration::from_secs(3600);
    let (question, questions) = channel(1);
    let (answers, mut answered) = channel(1);
    spawn(answer(questions, answers));
    let mut sum = 0;
    let begin = Instant::now();
    if given.text("mode") == "park" {
        for _ in 0..n {
            let call = async {
                question.send(1).await.unwrap();
                answered.recv().await.unwrap()
            };
            sum += tokio::time::timeout(limit, call).await.unwrap();
        }
    } else {
        for _ in 0..n {
            sum += tokio::time::timeout(limit, async { 1 }).await.unwrap();
        }
    }
    given.report("ns_per_call", ns_each(begin, n), "ns");
    assert_eq!(sum, n);
}
