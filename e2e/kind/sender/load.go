package sender

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Load describes requests: each of the Workers sends Message again and again for the time For, and waits Pause
// after each answer.
type Load struct {
	Message Message
	Workers int
	Pause   time.Duration
	For     time.Duration
}

// Tally counts answers by their status; "closed" and "no answer" are counted in the same way. Tail counts
// those of the last quarter of the time alone.
type Tally struct {
	All, Tail map[string]int
}

// Lost is the number of requests without the answer 200.
func (t Tally) Lost() int { return t.Sent() - t.All["200"] }

// Sent is the number of requests.
func (t Tally) Sent() int {
	sent := 0
	for _, n := range t.All {
		sent += n
	}
	return sent
}

// Run sends the load. Its connections stay open, like those of a busy client.
func (l Load) Run(ctx context.Context) Tally {
	t := Tally{All: map[string]int{}, Tail: map[string]int{}}
	began := time.Now()
	ctx, cancel := context.WithDeadline(ctx, began.Add(l.For))
	defer cancel()
	tail := began.Add(l.For * 3 / 4)
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.Workers}, Timeout: timeout}
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range l.Workers {
		workers.Go(func() {
			for waitPause(ctx, l.Pause) {
				// A request that has begun is completed, otherwise each worker's last one would count as lost.
				outcome := classifyAnswer(sendWith(context.WithoutCancel(ctx), &client, l.Message))
				mu.Lock()
				t.All[outcome]++
				if time.Now().After(tail) {
					t.Tail[outcome]++
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return t
}

func classifyAnswer(a Answer, err error) string {
	switch {
	case err != nil:
		return "no answer"
	case a.Closed:
		return "closed"
	default:
		return strconv.Itoa(a.Status)
	}
}

// waitPause waits for d; false: ctx ended.
func waitPause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
