package localmesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/internal/process"
)

// startTimeout ends a start that hangs. It is long enough for a slow machine.
const startTimeout = 60 * time.Second

// program is a program of the run. It may be killed and started again.
type program struct {
	spec  process.Spec
	ready func(context.Context) error
	proc  atomic.Pointer[process.Proc] // nil: it was not started
}

func (p *program) startAndAwait(ctx context.Context) error {
	proc, err := process.Start(p.spec)
	if err != nil {
		return err
	}
	p.proc.Store(proc)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return proc.AwaitReady(ctx, p.ready)
}

func (p *program) stopIfStarted() error {
	if proc := p.proc.Load(); proc != nil {
		return proc.Stop()
	}
	return nil
}

// Kill ends a program of the run, such as the authorizer meshpass, as a crash would.
func (m *Mesh) Kill(name string) error {
	p, err := m.findProgram(name)
	if err == nil {
		p.proc.Load().Kill()
	}
	return err
}

// Restart starts a program that was killed, and returns when it is ready.
func (m *Mesh) Restart(ctx context.Context, name string) error {
	p, err := m.findProgram(name)
	if err != nil {
		return err
	}
	return p.startAndAwait(ctx)
}

func (m *Mesh) findProgram(name string) (*program, error) {
	for _, p := range m.programs {
		if p.spec.Name == name && p.proc.Load() != nil {
			return p, nil
		}
	}
	return nil, fmt.Errorf("no program of this run is named %q", name)
}

// serveHTTP serves HTTP at an address until the mesh is closed.
func (m *Mesh) serveHTTP(ctx context.Context, at string, handler http.Handler) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", at)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			m.log.Error("a server of the run stopped", "address", at, "error", err)
		}
	}()
	m.onClose(server.Close)
	return nil
}

// Processes are the programs and Envoys of the run as they are now, by name. A program that is started again is
// another process.
func (m *Mesh) Processes() map[string]*process.Proc {
	all := map[string]*process.Proc{}
	for _, p := range m.programs {
		if proc := p.proc.Load(); proc != nil {
			all[p.spec.Name] = proc
		}
	}
	for _, proxy := range m.proxies {
		all["Envoy of "+proxy.Name()] = proxy.Proc
	}
	return all
}
