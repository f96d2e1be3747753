package limits

import (
	"context"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// maxHealthMessage is far above the size of a HealthCheckRequest. gRPC applies it to all
// messages but those of Checks, which the handler of a Check reads by itself.
const maxHealthMessage = 4 << 10

// ServerOptions are for a gRPC server whose handler of Checks calls [BeginCall].
func (l *Limiter) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ConnectionTimeout(HandshakeTime),
		grpc.MaxConcurrentStreams(uint32(min(l.StreamsPerConnection, math.MaxInt32))),
		grpc.MaxHeaderListSize(MaxHeaderList),
		grpc.MaxRecvMsgSize(maxHealthMessage),
		// With gRPC's own estimator, every stream of a busy connection may send up to 16 MiB.
		grpc.StaticStreamWindowSize(window),
		grpc.StaticConnWindowSize(connectionWindow),
		grpc.ReadBufferSize(readBuffer),
		grpc.WriteBufferSize(writeBuffer),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: aliveAfter, Timeout: aliveWithin}),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.InTapHandle(l.beginStream),
		grpc.ChainStreamInterceptor(l.limitWatches),
	}
}

// streamWorkers is how many goroutines wait for streams. Their stacks have the size that a Check needs: a new goroutine's stack is
// copied several times until it has that size, which costs a tenth of a Check. Streams beyond them get new goroutines.
const streamWorkers = 64

const (
	readBuffer       = 4 << 10
	writeBuffer      = 8 << 10 // shared by all connections
	connectionWindow = 1 << 20 // for all streams together; gRPC refills it even if they are not read
)

type callKey struct{}

// Call is one stream, from its headers to its end.
type Call struct {
	limiter *Limiter
	conn    *conn
	stop    func() bool // stops ending the call with the stream
	cancel  context.CancelFunc
	state   atomic.Int32
	held    checkUse
}

const (
	callWaiting = iota // its handler has not begun
	callHandled
	callEnded
)

// beginStream is called when the headers of a stream have been read and nothing else. It
// rejects no stream: a Check that does not fit is answered by its handler.
func (l *Limiter) beginStream(ctx context.Context, info *tap.Info) (context.Context, error) {
	from, _ := peer.FromContext(ctx)
	on := findConn(from.Addr)
	c := &Call{limiter: l, conn: on}
	on.streams.Add(1)
	c.stop = context.AfterFunc(ctx, c.abandonStream)
	c.cancel = func() {}
	if info.FullMethodName != healthpb.Health_Watch_FullMethodName {
		ctx, c.cancel = context.WithTimeout(ctx, l.findDeadline(on.listener, info.Header))
	}
	return context.WithValue(ctx, callKey{}, c), nil
}

// expectedTimeout is the header of Envoy's call with the time that Envoy waits, in
// milliseconds.
const expectedTimeout = "x-envoy-expected-rq-timeout-ms"

// findDeadline is the shorter of our deadline and the time that Envoy waits. The listener is nil for a
// connection that none has accepted.
func (l *Limiter) findDeadline(on *Listener, headers metadata.MD) time.Duration {
	values := headers.Get(expectedTimeout)
	if len(values) != 1 {
		return l.Deadline
	}
	ms, err := strconv.ParseUint(values[0], 10, 32)
	waits := time.Duration(ms) * time.Millisecond
	if err == nil && on != nil {
		on.noteShortest(waits)
	}
	if err != nil || waits >= l.Deadline {
		return l.Deadline
	}
	if on != nil && on.noteTimeout(waits) {
		l.log.Warn("Envoy waits for less than limits.deadline: raise the provider's timeout or lower limits.deadline",
			"listener", on.name, "envoy", waits.String(), "deadline", l.Deadline.String())
	}
	return waits
}

// abandonStream ends a call whose handler has not begun. The handler finds it ended.
func (c *Call) abandonStream() {
	if c.state.CompareAndSwap(callWaiting, callEnded) {
		c.releaseStream()
	}
}

func (c *Call) releaseStream() {
	c.cancel()
	c.conn.endHandler()
}

// BeginCall begins the call of a handler, which ends it with [Call.End]. It gives nil if the
// peer has ended the stream already.
func BeginCall(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	if c == nil || !c.state.CompareAndSwap(callWaiting, callHandled) {
		return nil
	}
	c.stop()
	return c
}

// HoldPlace takes a place for a Check whose message is to be read. It reports false if
// there is no room: the answer is "overloaded" then, and nothing more is read.
func (c *Call) HoldPlace() bool { return c.holdTotal(1, 0) }

// HoldMessage makes room for the copy of a message. The size is in bytes. It reports false
// if there is no room.
func (c *Call) HoldMessage(size int) bool { return c.holdTotal(1, int64(size)) }

// HoldDecoded makes room for a message and the values decoded from it. The sizes are those
// of the message and of its part that is decoded, in bytes. It reports false if there is
// no room.
func (c *Call) HoldDecoded(size, decoded int) bool {
	return c.holdTotal(1, int64(size)+decodedTimes*int64(decoded))
}

// holdTotal changes what the call holds to these totals. It changes nothing and reports
// false if there is no room.
func (c *Call) holdTotal(checks int, bytes int64) bool {
	if !c.limiter.holdUse(c.conn.address, checkUse{checks - c.held.checks, bytes - c.held.bytes}) {
		return false
	}
	c.held = checkUse{checks, bytes}
	return true
}

// End releases all that the call holds.
func (c *Call) End() {
	if !c.state.CompareAndSwap(callHandled, callEnded) {
		return
	}
	c.holdTotal(0, 0)
	c.releaseStream()
}

// limitWatches bounds the number of health watches: a watch lasts as long as its peer likes.
func (l *Limiter) limitWatches(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if info.FullMethod != healthpb.Health_Watch_FullMethodName {
		return handle(server, stream)
	}
	c := BeginCall(stream.Context())
	if c == nil {
		return status.FromContextError(stream.Context().Err()).Err()
	}
	ok := l.beginWatch(c.conn.address)
	c.End() // a watch has a place of its own
	if !ok {
		return status.Error(codes.ResourceExhausted, "too many health watches: see limits.watches")
	}
	defer l.endWatch(c.conn.address)
	return handle(server, stream)
}
