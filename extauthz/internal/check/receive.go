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
	request *auth.CheckRequest
	refusal decision.Reason // why it is not judged; empty: it is
	err     error           // for the log
}

// unreadStream is what gRPC's own stream offers to the one who reads it. Reading by
// grpc.ServerStream.RecvMsg would end the call with a gRPC error where a message is
// too large or late, and take the memory for a message before anybody is asked.
type unreadStream interface {
	ReadMessageHeader(header []byte) error
	Read(n int) (mem.BufferSlice, error)
}

var errNoStream = errors.New("gRPC's stream cannot be read: another version than the one that this was built for")

// part is how much of a message is asked for at one time.
const part = 32 << 10

// headOfLarge is how much is read of a message that is too large. Envoy writes both
// sides' names first, so that the record has them.
const headOfLarge = 16 << 10

// receive reads the message of a Check, if its sender may ask, and if there is
// room for it. Only the end of the stream by the peer is an error.
func (s *Server) receive(ctx context.Context, stream grpc.ServerStream, call *limits.Call) (arrival, error) {
	if err := s.Admit(ctx); err != nil {
		return arrival{refusal: decision.ClientRefused, err: err}, nil
	}
	if !call.Admit() {
		return arrival{refusal: decision.Overloaded}, nil
	}
	in, ok := grpc.ServerTransportStreamFromContext(ctx).(unreadStream)
	if !ok {
		return arrival{refusal: decision.Panic, err: errNoStream}, nil
	}
	message, refusal, err := s.readMessage(in, call)
	if late := ctx.Err(); late != nil {
		if errors.Is(late, context.DeadlineExceeded) {
			return arrival{refusal: decision.DeadlineExceeded, err: errors.New("the message is not complete")}, nil
		}
		return arrival{}, status.FromContextError(late).Err()
	}
	switch {
	case refusal == decision.CheckTooLarge:
		head, _ := prune(message, 0, true) // the names alone: none of its headers is looked at
		return arrival{request: decode(head.kept), refusal: refusal, err: err}, nil
	case refusal != "":
		return arrival{refusal: refusal, err: err}, nil
	case err != nil: // not a message, or cut off: answered like an empty one
		return arrival{request: &auth.CheckRequest{}, err: err}, nil
	}
	return s.unpack(message, call), nil
}

// readMessage reads a length-prefixed message (the gRPC protocol over HTTP/2), of
// one that is too large the head.
func (s *Server) readMessage(in unreadStream, call *limits.Call) (message []byte, refusal decision.Reason, err error) {
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
		return nil, "", errors.New("a compressed message: no coding was offered")
	case size > int64(s.Limiter.CheckBytes):
		err := fmt.Errorf("a message of %d bytes: limits.checkBytes is %s", size, s.Limiter.CheckBytes)
		message, _ := copyOf(in, headOfLarge)
		return message, decision.CheckTooLarge, err
	case !call.Receive(int(size)):
		return nil, decision.Overloaded, nil
	}
	message, err = copyOf(in, int(size))
	return message, "", err
}

// copyOf reads what comes, and copies it: gRPC's own buffers are many times larger than the bytes
// where a peer sends few of them in each frame.
func copyOf(in unreadStream, size int) ([]byte, error) {
	message := make([]byte, 0, size)
	for len(message) < size {
		next, err := in.Read(min(part, size-len(message)))
		for _, buffer := range next {
			message = append(message, buffer.ReadOnlyData()...)
		}
		next.Free()
		if err != nil {
			return message, err
		}
	}
	return message, nil
}

// unpack decodes what a decision reads of a message, if there is room for it.
func (s *Server) unpack(message []byte, call *limits.Call) arrival {
	pruned, err := prune(message, s.Limiter.Headers, false)
	switch {
	case err != nil:
		return arrival{request: &auth.CheckRequest{}, err: err}
	case !call.Decode(len(message), len(pruned.kept)):
		return arrival{refusal: decision.Overloaded}
	case pruned.headers > s.Limiter.Headers:
		err := fmt.Errorf("%d header fields: limits.headers is %d", pruned.headers, s.Limiter.Headers)
		return arrival{request: decode(pruned.kept), refusal: decision.TooManyHeaders, err: err}
	}
	return arrival{request: decode(pruned.kept)}
}

// decode turns a Check that cannot be decoded into an empty one, which is denied for
// its missing HTTP attributes. A gRPC error may become an allow by Envoy's failOpen:
// a byte that is not UTF-8 was enough for that once (CVE-2023-27488).
func decode(message []byte) *auth.CheckRequest {
	request := &auth.CheckRequest{}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(message, request); err != nil {
		return &auth.CheckRequest{}
	}
	return request
}
