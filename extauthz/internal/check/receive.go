package check

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/shared/decision"
)

// arrival is a Check as it came in, or as much of it as there was room and time for.
type arrival struct {
	request *auth.CheckRequest // nil: nothing of it is read
	deny    decision.Reason    // why it is denied without a decision; empty: it is decided
	err     error              // for the log
}

// unreadStream is the part of gRPC's own stream that reads a message. Reading with
// grpc.ServerStream.RecvMsg would end the call with a gRPC error if a message is too
// large or late, and would allocate the memory for a message before any limit is checked.
type unreadStream interface {
	ReadMessageHeader(header []byte) error
	Read(n int) (mem.BufferSlice, error)
}

var errNoStream = errors.New("cannot read the stream of gRPC: its version is not the one that this program was built for")

// maxPart is how many bytes of a message are asked for at one time.
const maxPart = 32 << 10

// headOfLarge is how many bytes are read of a message that is too large. Envoy writes
// the names of both sides first, so the record has them.
const headOfLarge = 16 << 10

// receive reads the message of a Check, if its sender may ask and if there is room for
// it. The only error is the end of the stream by the peer.
func (s *Server) receive(ctx context.Context, stream grpc.ServerStream, call *limits.Call) (arrival, error) {
	if err := s.config.Admit(ctx); err != nil {
		return arrival{deny: decision.ClientRefused, err: err}, nil
	}
	if !call.HoldPlace() {
		return arrival{deny: decision.Overloaded}, nil
	}
	in, ok := grpc.ServerTransportStreamFromContext(ctx).(unreadStream)
	if !ok {
		return arrival{deny: decision.Panic, err: errNoStream}, nil
	}
	message, deny, err := s.readMessage(in, call)
	if late := ctx.Err(); late != nil {
		if errors.Is(late, context.DeadlineExceeded) {
			return arrival{deny: decision.DeadlineExceeded, err: errors.New("the message is not complete")}, nil
		}
		return arrival{}, status.FromContextError(late).Err()
	}
	switch {
	case deny == decision.CheckTooLarge:
		head, _ := prune(message, 0, true) // only the names: none of its headers is read
		return arrival{request: decode(head.kept), deny: deny, err: err}, nil
	case deny != "":
		return arrival{deny: deny, err: err}, nil
	case err != nil: // not a message, or cut off: answered like an empty one
		return arrival{request: &auth.CheckRequest{}, err: err}, nil
	}
	return s.unpack(message, call), nil
}

// readMessage reads a length-prefixed message (gRPC over HTTP/2). If it is too large,
// only its head is read.
func (s *Server) readMessage(in unreadStream, call *limits.Call) (message []byte, deny decision.Reason, err error) {
	var prefix [5]byte
	switch err := in.ReadMessageHeader(prefix[:]); {
	case errors.Is(err, io.EOF):
		return nil, "", errors.New("no message")
	case err != nil:
		return nil, "", err
	}
	size := int64(binary.BigEndian.Uint32(prefix[1:]))
	switch {
	case prefix[0] != 0:
		return nil, "", errors.New("the message is compressed, and no coding was offered")
	case size > int64(s.config.Limiter.CheckBytes):
		err := fmt.Errorf("the message has %d bytes: limits.checkBytes is %s", size, s.config.Limiter.CheckBytes)
		message, _ := readCopy(in, headOfLarge)
		return message, decision.CheckTooLarge, err
	case !call.HoldMessage(int(size)):
		return nil, decision.Overloaded, nil
	}
	message, err = readCopy(in, int(size))
	return message, "", err
}

// readCopy reads up to size bytes and copies them. gRPC's own buffers are many times
// larger than the bytes if a peer sends few of them in each frame.
func readCopy(in unreadStream, size int) ([]byte, error) {
	message := make([]byte, 0, size)
	for len(message) < size {
		part, err := in.Read(min(maxPart, size-len(message)))
		for _, buffer := range part {
			message = append(message, buffer.ReadOnlyData()...)
		}
		part.Free()
		if err != nil {
			return message, err
		}
	}
	return message, nil
}

// unpack decodes the fields that a decision reads, if there is room for them.
func (s *Server) unpack(message []byte, call *limits.Call) arrival {
	pruned, err := prune(message, s.config.Limiter.Headers, false)
	switch {
	case err != nil:
		return arrival{request: &auth.CheckRequest{}, err: err}
	case !call.HoldDecoded(len(message), len(pruned.kept)):
		return arrival{deny: decision.Overloaded}
	case pruned.headers > s.config.Limiter.Headers:
		err := fmt.Errorf("the request has %d headers: limits.headers is %d", pruned.headers, s.config.Limiter.Headers)
		return arrival{request: decode(pruned.kept), deny: decision.TooManyHeaders, err: err}
	}
	return arrival{request: decode(pruned.kept)}
}

// decode turns a Check that cannot be decoded into an empty one, which is denied because
// it has no HTTP attributes. A gRPC error may become an allow by Envoy's failOpen: one
// byte that was not UTF-8 was once enough for that (CVE-2023-27488).
func decode(message []byte) *auth.CheckRequest {
	request := &auth.CheckRequest{}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(message, request); err != nil {
		return &auth.CheckRequest{}
	}
	return request
}
