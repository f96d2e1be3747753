package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"os"
	"time"

	"google.golang.org/grpc/grpclog"

	"github.com/meshpass/meshpass/extauthz/internal/debugserver"
	"github.com/meshpass/meshpass/internal/logqueue"
)

// logQueue bounds the lines of the log that wait, in bytes.
const logQueue = 1 << 20

// lastDrain bounds the work after the last Check: waiting spans are exported for up to one second,
// audit records are written for two and log lines for one, and the watches of files end.
const lastDrain = 5 * time.Second

// logDrain is how long the log's last lines may take to be written.
const logDrain = time.Second

// newLog queues all that the process logs: its own lines, and those of libraries
// that have a logger of their own.
func newLog(stderr io.Writer, output logOutput) *logqueue.Queue {
	queue := logqueue.New(stderr, logqueue.Options{Limit: logQueue, Line: output.newLossLine})
	log.SetOutput(queue.Writer())
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, queue.Writer()))
	return queue
}

// logOutput is the form of the log.
type logOutput struct {
	level  string // at the start
	format string // json or text
}

func (o logOutput) newLevel() *debugserver.Level {
	level, _ := debugserver.ParseLevel(o.level) // the flag takes no other word
	return debugserver.NewLevel(level)
}

func (o logOutput) newHandler(w io.Writer, level slog.Leveler) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if o.format == "text" {
		return slog.NewTextHandler(w, options)
	}
	return slog.NewJSONHandler(w, options)
}

// newLossLine makes the line that names lost lines.
func (o logOutput) newLossLine(loss logqueue.Loss) []byte {
	var line bytes.Buffer
	slog.New(o.newHandler(&line, slog.LevelError)).Error("log lines were lost", "cause", string(loss.Cause), "count", loss.Count, "since", loss.Since)
	return line.Bytes()
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
