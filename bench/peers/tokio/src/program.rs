//! What each program of the comparison needs: its arguments, clocks, and the lines that it prints.
use std::collections::HashMap;
use std::time::{Duration, Instant};

pub struct Given {
    pub workload: String,
    values: HashMap<String, String>,
}

impl Given {
    pub fn new() -> Given {
        let mut words = std::env::args().skip(1);
        let workload = words.next().unwrap_or_default();
        let pair = |word: String| {
            word.split_once('=')
                .map(|(k, v)| (k.to_string(), v.to_string()))
        };
        Given {
            workload,
            values: words.filter_map(pair).collect(),
        }
    }

    pub fn number(&self, key: &str, otherwise: usize) -> usize {
        self.values
            .get(key)
            .map_or(otherwise, |value| value.parse().expect("a number"))
    }

    pub fn text(&self, key: &str) -> &str {
        self.values.get(key).map_or("", String::as_str)
    }

    pub fn report(&self, metric: &str, value: f64, unit: &str) {
        println!("{} {metric} {value:.3} {unit}", self.workload);
    }

    pub fn lateness(&self, mut late: Vec<Duration>) {
        late.sort_unstable();
        let n = late.len();
        for (metric, i) in [
            ("late_p50", n / 2),
            ("late_p99", n * 99 / 100),
            ("late_max", n - 1),
        ] {
            self.report(metric, late[i].as_nanos() as f64 / 1e3, "us");
        }
    }
}

pub fn ns_each(begin: Instant, n: usize) -> f64 {
    begin.elapsed().as_nanos() as f64 / n as f64
}

pub fn milliseconds(begin: Instant) -> f64 {
    ns_each(begin, 1_000_000)
}

/// Of the whole process, user and system.
pub fn cpu_seconds() -> f64 {
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut used) };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    seconds(used.ru_utime) + seconds(used.ru_stime)
}

pub fn resident_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as f64
}

/// splitmix64: the same "random" numbers in every program.
pub fn mix(i: usize) -> usize {
    let mut z = (i as u64 + 1).wrapping_mul(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D049BB133111EB);
    (z ^ (z >> 31)) as usize
}
