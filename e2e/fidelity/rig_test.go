// Package fidelity_test tests the parts between a request and its decision:
// the Envoy of a workload, configured by Istio and not by hand.
//
// A decision is worth as much as the likeness of what was decided to what the
// workload gets. So each test sends bytes to the Envoy of orders, over mTLS as
// a caller of the mesh, and compares three views: what was sent, what the Check
// said, what arrived. TestEnvoy has a programmable authorizer in our place and
// shows Envoy's own rules; TestAuthorizer has the real one. docs/envoy.md is
// the table of what they show.
package fidelity_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/envoy/ads"
	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
	"github.com/meshpass/meshpass/e2e/localmesh/dump"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/subnet"
)

// patience bounds whatever a test waits for, on a slow machine too.
const patience = 30 * time.Second

// rig is the Envoy of orders and the workload behind it. The authorizer, at
// authorizerAddress, is the test's choice.
type rig struct {
	net      *subnet.Subnet
	dir      string
	xds, sds string
	orders   envoy.Workload
	caller   envoy.Workload // the identity of the tests' requests
	ca       *sds.Authority
	identity tls.Certificate
	upstream *upstream
	envoy    *envoy.Proc
}

// controlPlane serves an Envoy its configuration, at the rig's xds.
type controlPlane func(testing.TB, *rig)

func newRig(t testing.TB, from controlPlane) *rig {
	t.Helper()
	return newRigBefore(t, from, func(r *rig, address string) { r.upstream = newUpstream(t, address) })
}

// newRigBefore has the test start the program behind the Envoy, which listens at the given address.
func newRigBefore(t testing.TB, from controlPlane, start func(r *rig, address string)) *rig {
	t.Helper()
	n, err := subnet.Claim()
	must(t, err)
	stopAtEnd(t, n.Release)
	workloads, err := cluster.LoadTourWorkloads(n.Prefix())
	must(t, err)
	r := &rig{
		net: n, dir: t.TempDir(), xds: n.Addr(2) + ":15010", sds: n.Addr(3) + ":15012",
		orders: workloads["orders"], caller: workloads["tyk-gateway"],
	}
	from(t, r)
	ca, err := sds.NewAuthority()
	must(t, err)
	issuer, err := sds.Serve(context.Background(), r.sds, ca, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(issuer.Stop)
	r.ca, r.identity = ca, certificateOf(t, ca, r.caller)
	start(r, n.Addr(11)+":9080")
	r.startEnvoy(t)
	return r
}

// fromDump is what istiod sends, as it is checked in.
func fromDump(t testing.TB, r *rig) {
	t.Helper()
	server, err := ads.Serve(context.Background(), r.xds, dump.Files, r.net.Prefix(), slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(server.Stop)
}

// certificateOf lets the tests speak as a workload without its Envoy, which
// would correct the bytes that they send.
func certificateOf(t testing.TB, ca *sds.Authority, w envoy.Workload) tls.Certificate {
	t.Helper()
	id, err := url.Parse(w.SPIFFE())
	must(t, err)
	pair, err := ca.Issue(sds.Names{URIs: []*url.URL{id}})
	must(t, err)
	certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
	must(t, err)
	return certificate
}

func (r *rig) authorizerAddress() string { return r.net.Addr(5) + ":9000" }

func (r *rig) startEnvoy(t testing.TB) {
	t.Helper()
	r.envoy = r.startEnvoyOf(t, r.orders)
}

func (r *rig) startEnvoyOf(t testing.TB, w envoy.Workload) *envoy.Proc {
	t.Helper()
	bin, err := repo.BinDir()
	must(t, err)
	binary, err := envoy.Find(bin)
	must(t, err)
	started, err := envoy.Start(context.Background(), envoy.Options{Binary: binary, Workload: w, XDS: r.xds, SDS: r.sds, Dir: r.dir})
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(r.dir, w.Name+".envoy.log"))
		t.Fatalf("%v\n%s", err, log)
	}
	stopAtEnd(t, func() error {
		err := started.Check(context.Background())
		return errors.Join(err, started.Stop())
	})
	return started
}

// stopAtEnd fails a test whose part does not end by itself when asked.
func stopAtEnd(t testing.TB, stop func() error) {
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls until holds, and fails the test if it never does.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("never saw that %s", what)
		case <-tick.C:
		}
	}
}

// settled is the path of a request that only pushes others along.
const settled = "/settled"

// settle returns when all that was sent before has arrived, if it ever will:
// the Envoy has one worker, and the upstream accepts in order.
func (r *rig) settle(t testing.TB) {
	t.Helper()
	r.one(t, request(settled))
	eventually(t, "the upstream is idle", r.upstream.idle)
}

// arrivals are what arrived since they were last asked for.
func (r *rig) arrivals() []arrival {
	return slices.DeleteFunc(r.upstream.take(), func(a arrival) bool { return a.target() == settled })
}
