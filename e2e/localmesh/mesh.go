package localmesh

import (
	"context"
	"errors"
	"sync"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/envoy/ads"
	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/localmesh/dump"
	"github.com/meshpass/meshpass/e2e/repo"
)

// startControlPlane starts the server for the configuration of Envoys, and the one for their
// certificates.
func (m *Mesh) startControlPlane(ctx context.Context) error {
	certificates, err := sds.Serve(m.ctx, m.addressOf(sdsHost, sdsPort), m.ca, m.log)
	if err != nil {
		return err
	}
	m.onClose(func() error { certificates.Stop(); return nil })
	if m.options.Istiod || m.topology.Name != "" {
		return m.startIstiods(ctx)
	}
	server, err := ads.Serve(m.ctx, m.addressOf(controlPlaneHost, controlPlanePort), dump.Files, m.net.Prefix(), m.log)
	if err != nil {
		return err
	}
	m.onClose(func() error { server.Stop(); return nil })
	return nil
}

// startEnvoys starts all of them at once: each waits for its configuration.
func (m *Mesh) startEnvoys(ctx context.Context) error {
	bin, err := repo.BinDir()
	if err != nil {
		return err
	}
	binary, err := envoy.Find(bin)
	if err != nil {
		return err
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for _, workload := range m.workloads {
		wg.Go(func() {
			proxy, err := envoy.Start(ctx, envoy.Options{
				Binary:   binary,
				Workload: workload,
				XDS:      m.findControlPlane(workload.Name),
				SDS:      m.addressOf(sdsHost, sdsPort),
				Dir:      m.dir,
			})
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			if err == nil {
				m.onClose(proxy.Stop)
				m.proxies = append(m.proxies, proxy)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Check returns an error if an Envoy has ended, or has rejected any configuration.
func (m *Mesh) Check(ctx context.Context) error {
	var errs []error
	for _, proxy := range m.proxies {
		errs = append(errs, proxy.Check(ctx))
	}
	return errors.Join(errs...)
}
