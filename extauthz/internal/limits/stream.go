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

	"github.com/meshpass/meshpass/internal/bytesize"
)

// maxHealthMessage is far above a HealthCheckRequest. It is gRPC's own bound for
// all messages but a Check's, which the Check's handler reads by itself.
const maxHealthMessage = 4 << 10

// ServerOptions are those of a gRPC server whose Checks call [BeginCall].
func (l *Limiter) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ConnectionTimeout(HandshakeTime),
		grpc.MaxConcurrentStreams(uint32(min(l.StreamsPerConnection, math.MaxInt32))),
		grpc.MaxHeaderListSize(MaxHeaderList),
		grpc.MaxRecvMsgSize(maxHealthMessage),
		// The estimator would let every stream of a busy connection send up to 16 MiB.
		grpc.StaticStreamWindowSize(window),
		grpc.StaticConnWindowSize(connectionWindow),
		grpc.ReadBufferSize(readBuffer),
		grpc.WriteBufferSize(writeBuffer),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: aliveAfter, Timeout: aliveWithin}),
		grpc.InTapHandle(l.beginStream),
		grpc.ChainStreamInterceptor(l.limitWatches),
	}
}

const (
	readBuffer       = 4 << 10
	writeBuffer      = 8 << 10 // shared by all connections
	connectionWindow = 1 << 20 // what streams send together; gRPC refills it whether or not they are read
)

type callKey struct{}

// Call is one stream from its headers on.
type Call struct {
	limiter *Limiter
	conn    *conn
	stop    func() bool // that the end of the stream ends the call
	cancel  context.CancelFunc
	state   atomic.Int32
	held    checkUse
}

const (
	callWaiting = iota // for its handler
	callHandled
	callEnded
)

// beginStream runs when a stream's headers have been read and nothing else of it. It
// never refuses: a Check that does not fit is answered by its handler.
func (l *Limiter) beginStream(ctx context.Context, info *tap.Info) (context.Context, error) {
	from, _ := peer.FromContext(ctx)
	on := findConn(from.Addr)
	c := &Call{limiter: l, conn: on}
	on.streams.Add(1)
	c.stop = context.AfterFunc(ctx, c.abandonStream)
	c.cancel = func() {}
	if info.FullMethodName != healthpb.Health_Watch_FullMethodName {
		ctx, c.cancel = context.WithTimeout(ctx, l.findDeadline(info.Header))
	}
	return context.WithValue(ctx, callKey{}, c), nil
}

// expected is how long Envoy waits, in milliseconds, in the headers of its call.
const expectedTimeout = "x-envoy-expected-rq-timeout-ms"

func (l *Limiter) findDeadline(headers metadata.MD) time.Duration {
	values := headers.Get(expectedTimeout)
	if len(values) != 1 {
		return l.Deadline
	}
	ms, err := strconv.ParseUint(values[0], 10, 32)
	waits := time.Duration(ms) * time.Millisecond
	if err != nil || waits >= l.Deadline {
		return l.Deadline
	}
	l.warnShorter.Do(func() {
		l.log.Warn("Envoy waits for less than limits.deadline: raise the provider's timeout or lower limits.deadline",
			"envoy", waits.String(), "deadline", l.Deadline.String())
	})
	return waits
}

// abandonStream ends a call whose handler has not begun, and will find it ended.
func (c *Call) abandonStream() {
	if c.state.CompareAndSwap(callWaiting, callEnded) {
		c.releaseStream()
	}
}

func (c *Call) releaseStream() {
	c.cancel()
	c.conn.endHandler()
}

// BeginCall is the start of a call's handler, which ends it with [Call.End]. It is nil
// where the peer has ended the stream already.
func BeginCall(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	if c == nil || !c.state.CompareAndSwap(callWaiting, callHandled) {
		return nil
	}
	c.stop()
	return c
}

// HoldPlace takes the place of a Check whose message is to be read. It reports false
// where there is no room: its answer is "overloaded", and nothing more is read.
func (c *Call) HoldPlace() bool { return c.holdTotal(1, 0) }

// HoldMessage makes room for the copy of a message of that size, in bytes.
func (c *Call) HoldMessage(message int) bool { return c.holdTotal(1, int64(message)) }

// HoldDecoded makes room for what is made of a message of which kept bytes are read:
// see [decodedTimes].
func (c *Call) HoldDecoded(message, kept int) bool {
	return c.holdTotal(1, int64(message)+decodedTimes*int64(kept))
}

// decodedTimes is how much larger the plain values and the texts made of them are,
// at most, than the bytes that they are decoded from.
const decodedTimes = 2

// MinInFlightBytes is the least [Limits.InFlightBytes] with which a Check of that size is
// decided, though its address has half of them: gRPC's copy, ours, and what is
// decoded.
func MinInFlightBytes(check bytesize.Size) bytesize.Size {
	return 2 * ((2+decodedTimes)*check + MaxHeaderList + 2*streamCost)
}

func (c *Call) holdTotal(checks int, bytes int64) bool {
	if !c.limiter.holdUse(c.conn.address, checkUse{checks - c.held.checks, bytes - c.held.bytes}) {
		return false
	}
	c.held = checkUse{checks, bytes}
	return true
}

// End gives back all that the call holds.
func (c *Call) End() {
	if !c.state.CompareAndSwap(callHandled, callEnded) {
		return
	}
	c.holdTotal(0, 0)
	c.releaseStream()
}

// limitWatches bounds health watches, each of which lasts as long as its peer likes.
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
