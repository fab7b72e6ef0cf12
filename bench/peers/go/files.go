// Workloads on files in the page cache: file_read, pread.
package main

import (
	"os"
	"sync/atomic"
	"time"
)

const blockBytes = 4096

// read(i, buffer) n times, spread over c goroutines.
func measureReads(n int, read func(int, []byte) (int, error)) {
	c := number("c", 64)
	var shortReads atomic.Int64
	cpu := cpuSeconds()
	begin := time.Now()
	parallel(c, func(k int) {
		buffer := make([]byte, blockBytes)
		for i := k; i < n; i += c {
			if got, err := read(i, buffer); got != blockBytes || err != nil {
				shortReads.Add(1)
			}
		}
	})
	report("us_per_op", nsEach(begin, n)/1e3, "us")
	report("cpu_per_100k", (cpuSeconds()-cpu)*1e5/float64(n), "s")
	check(shortReads.Load() == 0)
}

func fileRead() {
	path := given["f"]
	measureReads(number("n", 10_000), func(_ int, buffer []byte) (int, error) {
		file, err := os.Open(path)
		if err != nil {
			return 0, err
		}
		defer file.Close()
		return file.Read(buffer)
	})
}

func pread() {
	file, err := os.Open(given["f"])
	check(err == nil)
	measureReads(number("n", 100_000), func(i int, buffer []byte) (int, error) {
		return file.ReadAt(buffer, int64(mix(i)%65536*blockBytes))
	})
}
