package app

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/extauthz/internal/tracing"
	"github.com/meshpass/meshpass/internal/buildinfo"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

type tracingConfig struct {
	OTLP otlpConfig `yaml:"otlp"`
}

type otlpConfig struct {
	Endpoint string `yaml:"endpoint" env:"expand"` // host:port of an OTLP/gRPC receiver
	Insecure bool   `yaml:"insecure"`              // plaintext
}

func (c tracingConfig) check(file *strictyaml.Checker) {
	if !file.Has(strictyaml.Path{"tracing"}) {
		return
	}
	at := strictyaml.Path{"tracing", "otlp", "endpoint"}
	if file.RequireText(at, c.OTLP.Endpoint) && !isHostPort(c.OTLP.Endpoint) {
		file.Reject(at, "want host:port of an OTLP/gRPC receiver, such as otel-collector.observability:4317, not %q", c.OTLP.Endpoint)
	}
}

func isHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// newTracer returns nil if the section is absent.
func (c tracingConfig) newTracer(file *strictyaml.Checker, log *slog.Logger) *tracing.Tracer {
	if !isHostPort(c.OTLP.Endpoint) { // absent, or rejected above
		return nil
	}
	tracer, err := tracing.New(tracing.Config{Endpoint: c.OTLP.Endpoint, Insecure: c.OTLP.Insecure, Version: cmp.Or(buildinfo.ReadBuild().Version, "unknown")}, log)
	if err != nil {
		file.RejectError(strictyaml.Path{"tracing", "otlp", "endpoint"}, err)
		return nil
	}
	return tracer
}

// tracingDrain is how long spans that wait may take to be exported at a stop.
const tracingDrain = time.Second

// closeTracer exports the spans that wait. Spans that a collector does not take are lost.
func closeTracer(tracer *tracing.Tracer, log *slog.Logger) {
	if tracer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tracingDrain)
	defer cancel()
	if err := tracer.Close(ctx); err != nil {
		log.Warn("spans are lost at the end", "error", err)
	}
}

// tracingStatus is nil if spans are not exported.
func (a *authorizer) tracingStatus() *status.Tracing {
	if a.tracer == nil {
		return nil
	}
	s := a.tracer.Stats()
	return &status.Tracing{Endpoint: a.config.Tracing.OTLP.Endpoint, Exported: s.Exported, Failed: s.Failed, Dropped: s.Dropped}
}
