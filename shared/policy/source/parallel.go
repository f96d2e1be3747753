package source

import (
	"runtime"
	"sync"
)

// workers run tasks on all processors but one, so that requests are decided meanwhile.
type workers struct {
	tasks chan func()
	ended sync.WaitGroup
}

func startWorkers() *workers {
	w := &workers{tasks: make(chan func())}
	for range max(1, runtime.GOMAXPROCS(0)-1) {
		w.ended.Add(1)
		go func() {
			defer w.ended.Done()
			for task := range w.tasks {
				task()
			}
		}()
	}
	return w
}

// do waits until a worker is free, so that no more tasks are in memory than workers.
func (w *workers) do(task func()) { w.tasks <- task }

// wait ends the workers after their tasks.
func (w *workers) wait() {
	close(w.tasks)
	w.ended.Wait()
}
