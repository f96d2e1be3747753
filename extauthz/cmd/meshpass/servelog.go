package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"google.golang.org/grpc/grpclog"

	"github.com/meshpass/meshpass/internal/logqueue"
)

// logQueue bounds the lines of the log that wait, in bytes.
const logQueue = 1 << 20

// lastDrain bounds the work after the last Check: waiting audit records are written for up to two
// seconds and log lines for one, and the watches of files end.
const lastDrain = 5 * time.Second

// logDrain is how long the log's last lines may take to be written.
const logDrain = time.Second

// newLog queues all that the process logs: its own lines, and those of libraries
// that have a logger of their own.
func newLog(stderr io.Writer) *logqueue.Queue {
	queue := logqueue.New(stderr, logqueue.Options{Limit: logQueue, Line: lostLines})
	log.SetOutput(queue.Writer())
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, queue.Writer()))
	return queue
}

// lostLines names a loss in a line of the log, in the form of slog.
func lostLines(loss logqueue.Loss) []byte {
	const form = `{"time":%q,"level":"ERROR","msg":"log lines were lost","cause":%q,"count":%d,"since":%q}` + "\n"
	return fmt.Appendf(nil, form, time.Now().Format(time.RFC3339Nano), loss.Cause, loss.Count, loss.Since.Format(time.RFC3339Nano))
}

// endLog writes the last lines, unless their reader hangs.
func endLog(queue *logqueue.Queue) {
	ctx, cancel := context.WithTimeout(context.Background(), logDrain)
	defer cancel()
	_ = queue.Close(ctx) // no log is left for the error
}

// endInTime ends the process when the time after the end of ctx is over, if something hangs: a file
// system that is gone, a reader of the log, a Check. The caller calls the returned function when
// all work has ended.
func endInTime(ctx context.Context, within time.Duration) (ended func()) {
	done := make(chan struct{})
	context.AfterFunc(ctx, func() {
		select {
		case <-done:
		case <-time.After(within):
			os.Exit(exitCouldNot)
		}
	})
	return func() { close(done) }
}
