//! Rayon in the comparison with other libraries; the protocol is in ../README.md.
//! It has what forks and joins, and nothing that waits: fib alone. w= is its number of threads.
use std::collections::HashMap;
use std::process::exit;
use std::time::Instant;

fn plain_fib(n: usize) -> usize {
    if n < 2 {
        n
    } else {
        plain_fib(n - 1) + plain_fib(n - 2)
    }
}

fn parallel_fib(n: usize, cut: usize) -> usize {
    if n < cut {
        return plain_fib(n);
    }
    let (left, right) = rayon::join(|| parallel_fib(n - 1, cut), || parallel_fib(n - 2, cut));
    left + right
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().map(String::as_str) != Some("fib") {
        exit(2);
    }
    let given: HashMap<&str, usize> = words
        .iter()
        .filter_map(|word| word.split_once('='))
        .map(|(key, value)| (key, value.parse().expect("a number")))
        .collect();
    let number = |key, otherwise| given.get(key).copied().unwrap_or(otherwise);
    let (n, cut) = (number("n", 32), number("cut", 8));
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(number("w", 1))
        .build()
        .unwrap();
    let expected = plain_fib(n);
    let mut best = f64::INFINITY;
    for _ in 0..number("reps", 3) {
        let begin = Instant::now();
        assert_eq!(threads.install(|| parallel_fib(n, cut)), expected);
        best = best.min(begin.elapsed().as_nanos() as f64 / 1e6);
    }
    println!("fib ms {best:.3} ms");
}
