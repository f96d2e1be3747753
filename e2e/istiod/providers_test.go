package main

import (
	"maps"
	"path/filepath"
	"testing"
	"time"
)

// fails says how Envoys ask by a provider, and what becomes of a request that nobody can be asked about.
type fails struct {
	service string
	open    bool
	status  string
	within  time.Duration
}

// All providers but the one whose name says so are closed, and answer an outage with 503; none waits for longer
// than a caller would. Where the authorizer is beside the workload, both of a sidecar's providers ask there: an open
// one that asks where nobody is would let everything in for good.
func TestProviders(t *testing.T) {
	const shared, beside = "meshpass.meshpass.svc.cluster.local", "authorizer.meshpass.internal"
	closed := func(service string) fails { return fails{service, false, "503", 250 * time.Millisecond} }
	providers := func(sidecars string) map[string]fails {
		return map[string]fails{
			"meshpass":          closed(sidecars),
			"meshpass-open":     {sidecars, true, "", 250 * time.Millisecond},
			"meshpass-waypoint": closed("meshpass-waypoint.meshpass.svc.cluster.local"),
			"meshpass-ingress":  closed("meshpass-ingress.meshpass.svc.cluster.local"),
		}
	}
	for _, row := range []struct {
		folders []string
		want    map[string]fails
	}{
		{[]string{"."}, providers(shared)},
		{[]string{".", "egress"}, providers(shared)},
		{[]string{".", "multicluster/east"}, providers(shared)},
		{[]string{".", "multicluster/west"}, providers(shared)},
		{[]string{".", "beside"}, providers(beside)},
	} {
		t.Run(row.folders[len(row.folders)-1], func(t *testing.T) {
			var paths []string
			for _, folder := range row.folders {
				paths = append(paths, filepath.Join(shipped, "istio", folder, "install.yaml"))
			}
			files, err := readAll(paths)
			if err != nil {
				t.Fatal(err)
			}
			m, err := parse(files)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]fails{}
			for _, p := range m.mesh.ExtensionProviders {
				if grpc := p.GetEnvoyExtAuthzGrpc(); grpc != nil {
					got[p.Name] = fails{grpc.GetService(), grpc.GetFailOpen(), grpc.GetStatusOnError(), grpc.GetTimeout().AsDuration()}
				}
			}
			if !maps.Equal(got, row.want) {
				t.Errorf("got %v\nwant %v", got, row.want)
			}
		})
	}
}
