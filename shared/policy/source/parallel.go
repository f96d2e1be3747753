package source

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// forEach calls do for 0 to n-1, on all processors but one, so that requests are decided
// meanwhile.
func forEach(n int, do func(int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(n, max(1, runtime.GOMAXPROCS(0)-1)) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		}()
	}
	workers.Wait()
}
