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

// lastDrain is what comes after the last Check: what waits of audit records and of
// the log is written, for two seconds and one, and the watches of files end.
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

// lostLines is a line of the log, as slog would write it.
func lostLines(loss logqueue.Loss) []byte {
	const form = `{"time":%q,"level":"ERROR","msg":"log lines were lost","cause":%q,"count":%d,"since":%q}` + "\n"
	return fmt.Appendf(nil, form, time.Now().Format(time.RFC3339Nano), loss.Cause, loss.Count, loss.Since.Format(time.RFC3339Nano))
}

// endLog writes the last lines, unless their reader hangs.
func endLog(queue *logqueue.Queue) {
	ctx, cancel := context.WithTimeout(context.Background(), logDrain)
	defer cancel()
	_ = queue.Close(ctx) // there is nowhere left to say so
}

// endInTime ends the process that long after ctx has, whatever hangs: a file
// system that is gone, a reader of the log, a Check. The returned function says that
// nothing did.
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
