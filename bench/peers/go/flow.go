// Workloads that choose, give up or produce: select, timeout, generator.
package main

import (
	"context"
	"reflect"
	"time"
)

// Two cases stand in the statement; more are a list that is made once, as only reflection can.
func selects() {
	n := number("n", 1_000_000)
	channels := make([]chan int, number("cases", 2))
	cases := make([]reflect.SelectCase, len(channels))
	for i := range channels {
		channels[i] = make(chan int)
		cases[i] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(channels[i])}
	}
	sum := 0
	begin := time.Now()
	go func() {
		for i := 0; i < n; i++ {
			channels[mix(i)%uint64(len(channels))] <- 1
		}
	}()
	if len(channels) == 2 {
		first, second := channels[0], channels[1]
		for i := 0; i < n; i++ {
			select {
			case value := <-first:
				sum += value
			case value := <-second:
				sum += value
			}
		}
	} else {
		for i := 0; i < n; i++ {
			_, value, _ := reflect.Select(cases)
			sum += int(value.Int())
		}
	}
	report("ns_per_receive", nsEach(begin, n), "ns")
	check(sum == n)
}

func timeout() {
	n := number("n", 1_000_000)
	sum := 0
	call := func(ctx context.Context) int {
		check(ctx.Err() == nil)
		return 1
	}
	if given["mode"] == "park" {
		questions, answers := make(chan int), make(chan int)
		go answer(questions, answers)
		call = func(ctx context.Context) int {
			questions <- 1
			select {
			case value := <-answers:
				return value
			case <-ctx.Done():
				return 0
			}
		}
	}
	begin := time.Now()
	for i := 0; i < n; i++ {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		sum += call(ctx)
		cancel()
	}
	report("ns_per_call", nsEach(begin, n), "ns")
	check(sum == n)
}

// A complete binary tree in an array's order: the children of i are 2 i + 1 and 2 i + 2.
func walk(values chan<- int, i, n int) {
	if i >= n {
		return
	}
	walk(values, 2*i+1, n)
	values <- i
	walk(values, 2*i+2, n)
}

// A goroutine and a channel: Go 1.19 has nothing else.
func generator() {
	n := number("n", 1_000_000)
	values := make(chan int)
	sum := 0
	begin := time.Now()
	go func() {
		if given["mode"] == "tree" {
			walk(values, 0, n)
		} else {
			for i := 0; i < n; i++ {
				values <- i
			}
		}
		close(values)
	}()
	for value := range values {
		sum += value
	}
	report("ns_per_value", nsEach(begin, n), "ns")
	check(sum == n*(n-1)/2)
}
