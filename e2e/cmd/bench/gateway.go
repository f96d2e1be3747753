package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/meshpass/meshpass/e2e/bench"
	"github.com/meshpass/meshpass/e2e/localmesh"
)

// gatewayClients are the requests in flight at any time.
const gatewayClients = 8

// gatewayRig is one gateway with the same API without a plugin, with one that does nothing, and with ours. The clients take a
// part of the machine.
type gatewayRig struct {
	mesh *localmesh.Mesh
	key  string
}

func newGatewayGroup() bench.Group {
	rig := &gatewayRig{}
	group := bench.Group{Name: "gateway", Start: rig.start}
	for i, a := range apis {
		row := bench.Row{Name: a.id, Unit: "requests/s", Measure: func(ctx context.Context, r bench.Round) (float64, error) {
			return load{url: rig.mesh.GatewayURL() + a.listenPath(), authorization: rig.key, clients: gatewayClients}.requestsPerSecond(ctx, r.Length)
		}}
		if i > 0 {
			row.Base = []string{apis[i-1].id}
		}
		if i == 2 {
			row.Target = bench.Target{AtLeast: 0.85}
		}
		group.Rows = append(group.Rows, row)
	}
	return group
}

func (g *gatewayRig) start(ctx context.Context, _ bench.Round) (end func() error, err error) {
	ctx, stop := context.WithCancel(ctx)
	upstream, err := startUpstream(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	g.mesh, err = localmesh.Start(ctx, localmesh.Options{Prepare: addAPIs(upstream)})
	if err != nil {
		stop()
		return nil, err
	}
	end = func() error {
		defer stop()
		if err := errors.Join(g.mesh.Close(), g.mesh.RemoveDir()); err != nil {
			return fmt.Errorf("%w (logs: %s)", err, g.mesh.Dir())
		}
		return nil
	}
	g.key, err = g.mesh.CreateKey(ctx, session)
	return end, err
}
