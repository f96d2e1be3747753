package localmesh

import (
	"context"
	"time"

	"github.com/meshpass/meshpass/e2e/process"
	"github.com/meshpass/meshpass/e2e/repo"
)

// startTimeout is generous: it ends a run that would hang, on a slow machine too.
const startTimeout = 60 * time.Second

const authorizerAudit = "meshpass.audit.log"

func (m *Mesh) startAuthorizer(ctx context.Context) error {
	return m.startProgram(ctx, process.Spec{
		Name:   "meshpass",
		Args:   []string{"serve", "--config", "meshpass.yaml"},
		Stdout: authorizerAudit,
	}, "meshpass", listening(m.addr(authorizerHost, authorizerPort)))
}

// startProgram starts one of make's programs in the run's folder, waits for ready and stops it with
// the mesh. Its log is NAME.log; spec.Stdout names a file of the run's folder, too.
func (m *Mesh) startProgram(ctx context.Context, spec process.Spec, target string, ready func(context.Context) error) error {
	path, err := repo.Bin(spec.Name, target)
	if err != nil {
		return err
	}
	spec.Path, spec.Dir, spec.Stderr = path, m.dir, m.path(spec.Name+".log")
	if spec.Stdout == "" {
		spec.Stdout = spec.Name + ".log"
	}
	spec.Stdout = m.path(spec.Stdout)
	program, err := process.Start(spec)
	if err != nil {
		return err
	}
	m.onClose(program.Stop)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return program.Await(ctx, ready)
}
