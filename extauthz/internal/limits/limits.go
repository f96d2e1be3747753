// Package limits bounds what the process spends on the peers of its gRPC listeners:
// connections, handshakes, streams, bytes of messages, time and health watches. The
// bounds hold for everything that a peer can send.
//
// A connection and a Check that do not fit end differently on purpose. A peer that may
// not ask, or that has too many connections, is cut off. A Check that does not fit is
// still answered: Envoy's failOpen lets a request in when its Check fails, and the
// sender of the request writes most of a Check.
//
// Every limit holds for all peers together, and half of it for one address. Addresses
// are counted and SPIFFE ids are not: all replicas of a workload, and all workers of an
// Envoy, have one id. A loopback address has no share of its own, because a sidecar in
// front of the process gives its address to all peers.
package limits

import (
	"time"

	"github.com/meshpass/meshpass/internal/bytesize"
)

// Limits are what all listeners of a process may use together, except where a field has
// another scope. The zero value admits nothing.
type Limits struct {
	InFlight             int           // Checks that are received or decided at one time
	InFlightBytes        bytesize.Size // of their messages
	Deadline             time.Duration // for one Check, from its headers to its answer
	CheckBytes           bytesize.Size // of one Check
	Headers              int           // in the request of one Check
	Connections          int           // of each listener
	StreamsPerConnection int
	Watches              int // grpc.health.v1 Watch
}

// Default fits in a container of 256 MiB: see [Limits.MaxMemory].
var Default = Limits{
	InFlight:             1024,
	InFlightBytes:        32 * bytesize.MiB,
	Deadline:             200 * time.Millisecond,
	CheckBytes:           bytesize.MiB,
	Headers:              200,
	Connections:          1000,
	StreamsPerConnection: 250,
	Watches:              100,
}

// Fixed bounds.
const (
	// Handshakes is how many connections of a listener may be in their TLS
	// handshake. One more closes the oldest connection of the address that has most of
	// them: an honest handshake takes milliseconds.
	Handshakes = 128

	// HandshakeTime ends a connection that has not finished TLS and HTTP/2's
	// preface.
	HandshakeTime = 5 * time.Second

	// MaxHeaderList bounds the headers of a gRPC call (RFC 9113 section 6.5.2).
	// It is above Envoy's own bound for the headers of a request
	// (max_request_headers_kb, 60), because Envoy copies the request's tracestate into
	// the headers of its call.
	MaxHeaderList = 80 << 10

	// window is how many bytes HTTP/2 lets a peer send before the Check's handler reads
	// (RFC 9113 section 6.9.2). gRPC has no smaller window.
	window = 64 << 10

	// writeTime ends a connection whose peer does not take its answers.
	writeTime = 10 * time.Second

	// kernelBuffer is how many bytes a socket may hold in each direction.
	kernelBuffer = 32 << 10
)

// A peer that has sent nothing for aliveAfter is pinged. If it does not answer within
// aliveWithin, it is gone without closing its connection, which is then closed.
var (
	aliveAfter  = time.Minute
	aliveWithin = 20 * time.Second
)

// minPing is the shortest time between two pings of a peer, also while it has no Check
// open. Envoy sends them with the setting connection_keepalive.
var minPing = 5 * time.Second

// Bytes that gRPC holds for a peer in addition to those that the peer sent.
const (
	streamCost = 16 << 10 // for a stream: its goroutine, its context, its decoded headers
	frameCost  = 64       // for a frame that waits to be read
)

// decodedTimes is the largest ratio of the decoded values, with the texts made of them,
// to the bytes that they are decoded from.
const decodedTimes = 2

// MinInFlightBytes is the smallest [Limits.InFlightBytes] that has room for one Check of
// a size. The address of its peer has half of the bytes. The Check needs gRPC's copy, our
// copy, and the decoded values.
func MinInFlightBytes(check bytesize.Size) bytesize.Size {
	return 2 * ((2+decodedTimes)*check + MaxHeaderList + 2*streamCost)
}

// maxWireBytes is how many bytes gRPC may hold. It is a quarter more than InFlightBytes,
// because a Check that has no room there is answered too, and needs bytes for that.
func (l Limits) maxWireBytes() int64 { return int64(l.InFlightBytes) / 4 * 5 }

// The most that the process holds for each of these. Measured with Go 1.26 and grpc-go
// 1.85, while peers made the buffers of TLS and HTTP/2 as large as possible.
const (
	connectionCost = 80 * bytesize.KiB // with TLS; about 32 KiB while it is idle
	handshakeCost  = 48 * bytesize.KiB
	watchCost      = streamCost
)

// MaxMemory is the most that peers can make the process hold on a number of listeners.
func (l Limits) MaxMemory(listeners int) bytesize.Size {
	each := bytesize.Size(l.Connections)*connectionCost + Handshakes*handshakeCost
	return bytesize.Size(listeners)*each + bytesize.Size(l.maxWireBytes()) + bytesize.Size(l.Watches)*watchCost
}
