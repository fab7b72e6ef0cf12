// Workloads of the scheduler alone: yield, spawn_join, idle, timers, fib.
package main

import (
	"math"
	"runtime"
	"sync"
	"time"
)

// Runs body(0) ... body(n - 1), each in a goroutine, and waits for them.
func parallel(n int, body func(int)) {
	var running sync.WaitGroup
	running.Add(n)
	for i := 0; i < n; i++ {
		go func(i int) {
			body(i)
			running.Done()
		}(i)
	}
	running.Wait()
}

func yield() {
	n, m, floating := number("n", 2), number("m", 1_000_000), number("float", 0) != 0
	sum := make([]float64, n)
	begin := time.Now()
	parallel(n, func(k int) {
		x := 1.0
		for i := 0; i < m; i++ {
			if floating {
				x = x/3 + 1
			}
			runtime.Gosched()
		}
		sum[k] = x
	})
	report("ns_per_switch", nsEach(begin, n*m), "ns")
}

func spawnJoin() {
	n := number("n", 1_000_000)
	if given["mode"] != "all" {
		var running sync.WaitGroup
		begin := time.Now()
		for i := 0; i < n; i++ {
			running.Add(1)
			go running.Done()
			running.Wait()
		}
		report("ns_per_fiber", nsEach(begin, n), "ns")
		return
	}
	warm := math.Inf(1)
	for round := 0; round < 4; round++ {
		begin := time.Now()
		parallel(n, func(int) {})
		took := nsEach(begin, n)
		if round == 0 {
			report("ns_per_fiber_cold", took, "ns")
		} else {
			warm = math.Min(warm, took)
		}
	}
	report("ns_per_fiber_warm", warm, "ns")
}

func idle() {
	n := number("n", 100_000)
	runtime.GC()
	gate := make(chan struct{})
	var parked sync.WaitGroup
	parked.Add(n)
	before := residentBytes()
	begin := time.Now()
	for i := 0; i < n; i++ {
		go func() {
			parked.Done()
			<-gate
		}()
	}
	parked.Wait()
	report("spawn_ns_per_fiber", nsEach(begin, n), "ns")
	report("bytes_per_fiber", (residentBytes()-before)/float64(n), "B")
}

func timers() {
	n := number("n", 100_000)
	late := make([]time.Duration, n)
	cpu := cpuSeconds()
	begin := time.Now()
	parallel(n, func(i int) {
		wanted := time.Duration(mix(i)%1000+1) * time.Millisecond
		own := time.Now()
		time.Sleep(wanted)
		late[i] = time.Since(own) - wanted
	})
	report("wall", milliseconds(begin), "ms")
	report("cpu", cpuSeconds()-cpu, "s")
	reportLateness(late)
}

func plainFib(n int) int {
	if n < 2 {
		return n
	}
	return plainFib(n-1) + plainFib(n-2)
}

func parallelFib(n, cut int) int {
	if n < cut {
		return plainFib(n)
	}
	var left int
	var running sync.WaitGroup
	running.Add(1)
	go func() {
		left = parallelFib(n-1, cut)
		running.Done()
	}()
	right := parallelFib(n-2, cut)
	running.Wait()
	return left + right
}

func fib() {
	n, cut := number("n", 32), number("cut", 8)
	expected := plainFib(n)
	best := math.Inf(1)
	for i := 0; i < number("reps", 3); i++ {
		begin := time.Now()
		check(parallelFib(n, cut) == expected)
		best = math.Min(best, milliseconds(begin))
	}
	report("ms", best, "ms")
}
