// Go in the comparison with other libraries; the protocol is in ../README.md.
// w= is GOMAXPROCS.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var workload string
var given = map[string]string{}

func number(key string, otherwise int) int {
	value, err := strconv.Atoi(given[key])
	if err != nil {
		return otherwise
	}
	return value
}

func report(metric string, value float64, unit string) {
	fmt.Printf("%s %s %.3f %s\n", workload, metric, value, unit)
}

func check(right bool) {
	if !right {
		fmt.Fprintln(os.Stderr, "failed: wrong result")
		os.Exit(1)
	}
}

func nsEach(begin time.Time, n int) float64 {
	return float64(time.Since(begin).Nanoseconds()) / float64(n)
}

func milliseconds(begin time.Time) float64 { return nsEach(begin, 1e6) }

// Of the whole process, user and system.
func cpuSeconds() float64 {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

func residentBytes() float64 {
	text, _ := os.ReadFile("/proc/self/statm")
	pages, _ := strconv.Atoi(strings.Fields(string(text))[1])
	return float64(pages * os.Getpagesize())
}

// splitmix64: the same "random" numbers in every program.
func mix(i int) uint64 {
	z := (uint64(i) + 1) * 0x9E3779B97F4A7C15
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB
	return z ^ (z >> 31)
}

func reportLateness(late []time.Duration) {
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	n := len(late)
	report("late_p50", float64(late[n/2])/1e3, "us")
	report("late_p99", float64(late[n*99/100])/1e3, "us")
	report("late_max", float64(late[n-1])/1e3, "us")
}

func main() {
	all := map[string]func(){
		"yield": yield, "spawn_join": spawnJoin, "idle": idle, "timers": timers, "fib": fib,
		"pingpong": pingpong, "skynet": skynet, "mpmc": mpmc, "wake": wake, "mutex": mutex,
		"select": selects, "timeout": timeout, "generator": generator,
		"file_read": fileRead, "pread": pread, "echo": echo, "http": httpServer,
	}
	if len(os.Args) > 1 {
		workload = os.Args[1]
		for _, word := range os.Args[2:] {
			key, value, _ := strings.Cut(word, "=")
			given[key] = value
		}
	}
	body, known := all[workload]
	if !known {
		os.Exit(2)
	}
	runtime.GOMAXPROCS(number("w", 1))
	body()
}
