// Workloads of channels and locks: pingpong, skynet, mpmc, wake, mutex.
package main

import (
	"math"
	"runtime"
	"sync"
	"time"
)

// Answers with what it was asked, until there are no more questions.
func answer(questions <-chan int, answers chan<- int) {
	for question := range questions {
		answers <- question
	}
}

func pingpong() {
	n := number("n", 1_000_000)
	there, back := make(chan int), make(chan int)
	begin := time.Now()
	go answer(there, back)
	for i := 0; i < n; i++ {
		there <- i
		check(<-back == i)
	}
	report("ns_per_roundtrip", nsEach(begin, n), "ns")
}

// A tree of goroutines with ten children each; the leaves' numbers are added on the way to its
// root.
func grow(parent chan<- int, first, leaves int) {
	if leaves == 1 {
		parent <- first
		return
	}
	children := make(chan int)
	for i := 0; i < 10; i++ {
		go grow(children, first+i*(leaves/10), leaves/10)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-children
	}
	parent <- sum
}

func skynet() {
	n := number("n", 1_000_000)
	warm := math.Inf(1)
	for i := 0; i < number("reps", 3); i++ {
		begin := time.Now()
		root := make(chan int)
		go grow(root, 0, n)
		check(<-root == n*(n-1)/2)
		if i == 0 {
			report("ms_cold", milliseconds(begin), "ms")
		} else {
			warm = math.Min(warm, milliseconds(begin))
		}
	}
	report("ms_warm", warm, "ms")
}

func mpmc() {
	n, producers, consumers := number("n", 1_000_000), number("p", 4), number("c", 4)
	items := make(chan int, number("cap", 128))
	sums := make([]int, consumers)
	begin := time.Now()
	go func() {
		parallel(producers, func(k int) {
			for i := k; i < n; i += producers {
				items <- i
			}
		})
		close(items)
	}()
	parallel(consumers, func(k int) {
		sum := 0
		for item := range items {
			sum += item
		}
		sums[k] = sum
	})
	each := nsEach(begin, n)
	sum := 0
	for _, part := range sums {
		sum += part
	}
	check(sum == n*(n-1)/2)
	report("ns_per_item", each, "ns")
}

func wake() {
	n := number("n", 100_000)
	there, back := make(chan int), make(chan int)
	begin := time.Now()
	go func() {
		runtime.LockOSThread()
		for i := 0; i < n; i++ {
			there <- i
			<-back
		}
		close(there)
	}()
	for i := range there {
		back <- i
	}
	report("us_per_roundtrip", nsEach(begin, n)/1e3, "us")
}

func mutex() {
	n, m := number("n", 100), number("m", 100_000)
	var lock sync.Mutex
	count := 0
	begin := time.Now()
	parallel(n, func(int) {
		for i := 0; i < m; i++ {
			lock.Lock()
			count++
			lock.Unlock()
		}
	})
	each := nsEach(begin, n*m)
	check(count == n*m)
	report("ns_per_op", each, "ns")
}
