package app

import (
	"errors"
	"fmt"
	"net"
)

// sockets are all that the process listens on.
type sockets struct {
	grpc []net.Listener // one for each listener of the configuration, in its order
	ops  net.Listener   // nil: none is configured
}

// bind opens every address or none, so that a port which is taken never leaves
// half an authorizer behind.
func bind(listeners []listenerConfig, ops string) (sockets, error) {
	var bound sockets
	var failures []error
	for _, l := range listeners {
		listener, err := listenOn(fmt.Sprintf("listener %q", l.Name), l.GRPC)
		bound.grpc, failures = append(bound.grpc, listener), append(failures, err)
	}
	if ops != "" {
		listener, err := listenOn("ops", ops)
		bound.ops, failures = listener, append(failures, err)
	}
	if err := errors.Join(failures...); err != nil {
		return sockets{}, errors.Join(err, bound.close())
	}
	return bound, nil
}

func listenOn(name, address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen on %s: %w", name, address, cause(err))
	}
	return listener, nil
}

func (s sockets) close() error {
	var failures []error
	for _, listener := range append(s.grpc, s.ops) {
		if listener != nil {
			failures = append(failures, listener.Close())
		}
	}
	return errors.Join(failures...)
}

// cause strips the address, which the message has already.
func cause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
