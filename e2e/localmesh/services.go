package localmesh

import (
	"context"
	"fmt"
	"slices"

	"github.com/meshpass/meshpass/internal/process"
)

// services are the programs behind the Envoys. Each has the name of its workload.
var services = []string{"inventory", "orders", "reports"}

func (m *Mesh) startServices(ctx context.Context) error {
	for _, name := range services {
		workload := m.workloads[name]
		app := fmt.Sprintf("%s:%d", workload.Address, appPort)
		spec := process.Spec{Name: name, Args: []string{"-listen", app, "-inventory", serviceURL("inventory"), "-proxy", workload.ProxyURL()}}
		if other := m.options.Programs[name]; len(other) > 0 {
			spec.Path, spec.Args = other[0], append(slices.Clone(other[1:]), spec.Args...)
		}
		err := m.startProgram(ctx, spec, "build", process.NewListeningCheck(app))
		if err != nil {
			return err
		}
	}
	return nil
}

// serviceURL is the URL for calls of workloads to a service of namespace shop.
func serviceURL(name string) string {
	return fmt.Sprintf("http://%s.shop.svc.cluster.local:%d", name, inboundPort)
}
