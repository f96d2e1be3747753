// Package netns tests transparent interception on one machine. Each workload has its own network
// namespace, as a pod has. iptables diverts its connections to its Envoy, in both directions, by the rules
// that Istio's own code writes. The programs need no address of a proxy, as they do in package localmesh.
//
// The test needs root. The namespaces are connected to one bridge, which has no route to other networks.
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

// templatePrefix is the prefix of addresses in checked-in files.
const templatePrefix = "10.98.77."

// network is a bridge and the namespaces on it. The bridge has its own namespace, so that the
// machine's own iptables rules (Docker has many) do not filter the traffic of pods. The machine has one
// interface on the bridge. Creating the bridge's namespace, which has the network's name, reserves its addresses.
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
		if err := runIP(ctx, "netns", "add", n.hubName()); err != nil {
			continue // another run has it
		}
		return n, runEach(ctx, [][]string{
			{"-netns", n.hubName(), "link", "add", "bridge", "type", "bridge"},
			{"-netns", n.hubName(), "link", "set", "bridge", "up"},
			{"link", "add", n.uplinkName(), "type", "veth", "peer", "name", "host", "netns", n.hubName()},
			{"-netns", n.hubName(), "link", "set", "host", "master", "bridge", "up"},
			{"address", "add", n.gateway() + "/24", "dev", n.uplinkName()},
			{"link", "set", n.uplinkName(), "up"},
		})
	}
	return nil, errors.New("no free network: killed runs may have left namespaces; ip netns list shows them, ip netns delete removes one")
}

func (n *network) hubName() string    { return fmt.Sprintf("meshpass-%d", n.id) }
func (n *network) uplinkName() string { return fmt.Sprintf("meshpass%d", n.id) }
func (n *network) prefix() string     { return fmt.Sprintf("10.98.%d.", n.id) }
func (n *network) gateway() string    { return n.prefix() + "1" } // this machine, as pods see it

// localise replaces the addresses of a checked-in text by the network's.
func (n *network) localise(text string) string {
	return strings.ReplaceAll(text, templatePrefix, n.prefix())
}

// addPod creates the namespace of a pod, with an address of the bridge as its only interface.
func (n *network) addPod(ctx context.Context, name, address string) (*pod, error) {
	p := &pod{name: fmt.Sprintf("meshpass-%d-%s", n.id, name), address: address}
	// ip netns exec shows these files in place of the machine's own.
	if err := os.MkdirAll(p.etcDir(), 0o755); err != nil {
		return nil, err
	}
	n.pods = append(n.pods, p)
	if err := os.WriteFile(filepath.Join(p.etcDir(), "hosts"), []byte(n.localise(n.hosts)), 0o644); err != nil {
		return nil, err
	}
	return p, runEach(ctx, [][]string{
		{"netns", "add", p.name},
		{"-netns", n.hubName(), "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", p.name},
		{"-netns", n.hubName(), "link", "set", name, "master", "bridge", "up"},
		{"-netns", p.name, "link", "set", "lo", "up"},
		{"-netns", p.name, "address", "add", address + "/24", "dev", "eth0"},
		{"-netns", p.name, "link", "set", "eth0", "up"},
		// Addresses of Services exist nowhere. A packet to one needs a route before it can be diverted.
		{"-netns", p.name, "route", "add", "default", "via", n.gateway()},
	})
}

// removeAll removes all namespaces and the bridge. All programs in them must have ended.
func (n *network) removeAll(ctx context.Context) error {
	var errs []error
	for _, p := range n.pods {
		errs = append(errs, runIP(ctx, "netns", "delete", p.name), os.RemoveAll(p.etcDir()))
	}
	return errors.Join(append(errs, runIP(ctx, "netns", "delete", n.hubName()))...) // and with it the interfaces
}

func (p *pod) etcDir() string { return filepath.Join("/etc/netns", p.name) }

// commandInside returns the command line that runs a program in the namespace.
func (p *pod) commandInside(program string, args ...string) (path string, all []string) {
	return "ip", append([]string{"netns", "exec", p.name, program}, args...)
}

// dial connects from inside the namespace, as a program in it would. address must be a literal:
// looking up a name would leave the one thread that is in the namespace.
func (p *pod) dial(ctx context.Context, address string) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine, instead of serving others from there
		if err = p.enterNamespace(); err == nil {
			conn, err = new(net.Dialer).DialContext(ctx, "tcp4", address)
		}
	}()
	<-done
	return conn, err
}

// enterNamespace moves the calling thread into the namespace.
func (p *pod) enterNamespace() error {
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

// runEach runs ip with each list of arguments in turn, until one fails.
func runEach(ctx context.Context, commands [][]string) error {
	for _, args := range commands {
		if err := runIP(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

func runIP(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
