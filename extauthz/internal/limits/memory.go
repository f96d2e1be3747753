package limits

import "github.com/meshpass/meshpass/internal/bytesize"

// What is held, at most, for each of these; measured with Go 1.26 and grpc-go 1.85
// while peers made the buffers of TLS and HTTP/2 as large as they get.
const (
	connectionCost = 80 * bytesize.KiB // with TLS; some 32 KiB while it is idle
	handshakeCost  = 48 * bytesize.KiB
	watchCost      = streamCost
)

// MaxMemory is what peers can make the process hold on so many listeners, whatever
// they send.
func (l Limits) MaxMemory(listeners int) bytesize.Size {
	each := bytesize.Size(l.Connections)*connectionCost + Handshakes*handshakeCost
	return bytesize.Size(listeners)*each + bytesize.Size(l.maxWireBytes()) + bytesize.Size(l.Watches)*watchCost
}
