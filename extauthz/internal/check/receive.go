package check

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/shared/decision"
)

// arrival is a Check as it came in, or as much of it as there was room and time for.
type arrival struct {
	request *decide.Request // nil: nothing of it is read
	deny    decision.Reason // why it is denied without a decision; empty: it is decided
	err     error           // for the log
	reader  *wireReader     // has the memory of the request; may be nil
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
		head := newWireReader(message, 0, true) // only the names, and no header
		_ = head.read()                         // then it is empty
		return arrival{request: &head.request, deny: deny, err: err, reader: head}, nil
	case deny != "":
		return arrival{deny: deny, err: err}, nil
	case err != nil: // not a message, or cut off: answered like an empty one
		return arrival{request: &decide.Request{}, err: err}, nil
	}
	return s.unpack(message, call), nil
}

// readMessage reads a length-prefixed message (gRPC over HTTP/2). If it is too large,
// only its head is read.
func (s *Server) readMessage(in unreadStream, call *limits.Call) (message string, deny decision.Reason, err error) {
	var prefix [5]byte
	switch err := in.ReadMessageHeader(prefix[:]); {
	case errors.Is(err, io.EOF):
		return "", "", errors.New("no message")
	case err != nil:
		return "", "", err
	}
	size := int64(binary.BigEndian.Uint32(prefix[1:]))
	switch {
	case prefix[0] != 0:
		return "", "", errors.New("the message is compressed, and no coding was offered")
	case size > int64(s.config.Limiter.CheckBytes):
		err := fmt.Errorf("the message has %d bytes: limits.checkBytes is %s", size, s.config.Limiter.CheckBytes)
		message, _ := readCopy(in, headOfLarge)
		return message, decision.CheckTooLarge, err
	case !call.HoldMessage(int(size)):
		return "", decision.Overloaded, nil
	}
	message, err = readCopy(in, int(size))
	return message, "", err
}

// readCopy reads up to size bytes and copies them. gRPC's own buffers are many times
// larger than the bytes if a peer sends few of them in each frame.
func readCopy(in unreadStream, size int) (string, error) {
	var message strings.Builder
	message.Grow(size)
	for message.Len() < size {
		part, err := in.Read(min(maxPart, size-message.Len()))
		for _, buffer := range part {
			message.Write(buffer.ReadOnlyData()) // never fails
		}
		part.Free()
		if err != nil {
			return message.String(), err
		}
	}
	return message.String(), nil
}

// unpack reads the fields that a decision reads, if there is room for them. A panic becomes a denial here, so that it has a record.
func (s *Server) unpack(message string, call *limits.Call) (arrived arrival) {
	defer func() {
		if cause := recover(); cause != nil {
			s.decider.LogPanic(cause)
			arrived = arrival{request: &decide.Request{}, deny: decision.Panic}
		}
	}()
	reader := newWireReader(message, s.config.Limiter.Headers, false)
	arrived = arrival{reader: reader, request: &reader.request, err: reader.read()}
	switch {
	case arrived.err != nil:
	case !call.HoldDecoded(len(message), reader.kept):
		return arrival{deny: decision.Overloaded, reader: reader}
	case reader.headers > s.config.Limiter.Headers:
		arrived.deny = decision.TooManyHeaders
		arrived.err = fmt.Errorf("the request has %d headers: limits.headers is %d", reader.headers, s.config.Limiter.Headers)
	}
	return arrived
}
