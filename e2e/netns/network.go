// Package netns runs workloads on one machine as pods have them: each in a network namespace of its
// own, whose connections iptables diverts to its Envoy, both ways, by the rules that Istio's own
// code writes. The program in it knows nothing of a mesh, where package localmesh must tell it
// through which address to call.
//
// It needs root. The namespaces hang on one bridge, and there is no way out of it.
package netns

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// template is the prefix that stands in checked-in files.
const template = "10.98.77."

// network is a bridge and the namespaces on it. The bridge has a namespace of its own, so that no
// rule of this machine's (Docker's are many) judges what pods send each other. This machine hangs on
// it by one interface. The bridge's namespace has the network's name and is the claim on its addresses.
type network struct {
	id    int // 0 to 255
	pods  []*pod
	hosts string // the text of every namespace's /etc/hosts
}

// pod is one namespace with an address on the bridge.
type pod struct {
	name    string // of the namespace, for ip netns
	address string
}

func newNetwork(ctx context.Context, hosts string) (*network, error) {
	for range 16 {
		n := &network{id: rand.IntN(256), hosts: hosts}
		if err := ip(ctx, "netns", "add", n.hub()); err != nil {
			continue // another run has it
		}
		return n, each(ctx, [][]string{
			{"-netns", n.hub(), "link", "add", "bridge", "type", "bridge"},
			{"-netns", n.hub(), "link", "set", "bridge", "up"},
			{"link", "add", n.uplink(), "type", "veth", "peer", "name", "host", "netns", n.hub()},
			{"-netns", n.hub(), "link", "set", "host", "master", "bridge", "up"},
			{"address", "add", n.gateway() + "/24", "dev", n.uplink()},
			{"link", "set", n.uplink(), "up"},
		})
	}
	return nil, errors.New("no free network: are namespaces left of runs that were killed? ip netns list shows them, ip netns delete removes one")
}

func (n *network) hub() string     { return fmt.Sprintf("meshpass-%d", n.id) }
func (n *network) uplink() string  { return fmt.Sprintf("meshpass%d", n.id) }
func (n *network) prefix() string  { return fmt.Sprintf("10.98.%d.", n.id) }
func (n *network) gateway() string { return n.prefix() + "1" } // this machine, as pods see it

// localise carries a checked-in text over to the network's addresses.
func (n *network) localise(text string) string { return strings.ReplaceAll(text, template, n.prefix()) }

// add makes the namespace of a pod, with an address of the bridge as its only interface.
func (n *network) add(ctx context.Context, name, address string) (*pod, error) {
	p := &pod{name: fmt.Sprintf("meshpass-%d-%s", n.id, name), address: address}
	// ip netns exec shows these files in place of the machine's own.
	if err := os.MkdirAll(p.etc(), 0o755); err != nil {
		return nil, err
	}
	n.pods = append(n.pods, p)
	if err := os.WriteFile(filepath.Join(p.etc(), "hosts"), []byte(n.localise(n.hosts)), 0o644); err != nil {
		return nil, err
	}
	return p, each(ctx, [][]string{
		{"netns", "add", p.name},
		{"-netns", n.hub(), "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", p.name},
		{"-netns", n.hub(), "link", "set", name, "master", "bridge", "up"},
		{"-netns", p.name, "link", "set", "lo", "up"},
		{"-netns", p.name, "address", "add", address + "/24", "dev", "eth0"},
		{"-netns", p.name, "link", "set", "eth0", "up"},
		// Addresses of Services exist nowhere. A packet to one needs a route before it can be diverted.
		{"-netns", p.name, "route", "add", "default", "via", n.gateway()},
	})
}

// close removes all namespaces and the bridge. Nothing may run in them any more.
func (n *network) close(ctx context.Context) error {
	var errs []error
	for _, p := range n.pods {
		errs = append(errs, ip(ctx, "netns", "delete", p.name), os.RemoveAll(p.etc()))
	}
	return errors.Join(append(errs, ip(ctx, "netns", "delete", n.hub()))...) // and with it the interfaces
}

func (p *pod) etc() string { return filepath.Join("/etc/netns", p.name) }

// inside is the command line that runs a program in the namespace.
func (p *pod) inside(program string, args ...string) (path string, all []string) {
	return "ip", append([]string{"netns", "exec", p.name, program}, args...)
}

// dial connects from inside the namespace, as a program in it would. address must be a literal:
// looking up a name would leave the one thread that is in the namespace.
func (p *pod) dial(ctx context.Context, address string) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine, instead of serving others from there
		if err = p.enter(); err == nil {
			conn, err = new(net.Dialer).DialContext(ctx, "tcp4", address)
		}
	}()
	<-done
	return conn, err
}

// enter moves the calling thread into the namespace.
func (p *pod) enter() error {
	handle, err := os.Open(filepath.Join("/run/netns", p.name))
	if err != nil {
		return err
	}
	defer handle.Close()
	if err := unix.Setns(int(handle.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering %s: %w", p.name, err)
	}
	return nil
}

// each runs ip with one list of arguments after the other, until one fails.
func each(ctx context.Context, commands [][]string) error {
	for _, args := range commands {
		if err := ip(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

func ip(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
