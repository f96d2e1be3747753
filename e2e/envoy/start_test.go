package envoy_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/localmesh/dump"
)

// A rejected configuration must not look like a mesh that works: Envoy itself goes on
// without the rejected part.
func TestStartFailsWhenEnvoyRefuses(t *testing.T) {
	for name, row := range map[string]struct{ old, new, reason string }{
		"cluster":  {`"connectTimeout": "10s"`, `"connectTimeout": "0s"`, "ConnectTimeout"},
		"listener": {`"statPrefix": "outbound_`, `"stripAnyHostPort": true, "stripMatchingHostPort": true, "statPrefix": "outbound_`, "strip"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.fromDump(t, doctored(t, "orders.json", row.old, row.new))
			p, err := envoy.Start(t.Context(), r.options(t, "orders"))
			if !errors.Is(err, envoy.ErrRejected) || !strings.Contains(err.Error(), row.reason) {
				t.Fatalf("got %v, want ErrRejected about %s", err, row.reason)
			}
			if p != nil {
				t.Error("an Envoy is left")
			}
		})
	}
}

// doctored gives the checked-in dump with a text of one file replaced.
func doctored(t *testing.T, file, oldText, newText string) fs.FS {
	t.Helper()
	data, err := fs.ReadFile(dump.Files, file)
	must(t, err)
	text := strings.ReplaceAll(string(data), oldText, newText)
	if text == string(data) {
		t.Fatalf("%s does not contain %s", file, oldText)
	}
	return fstest.MapFS{file: {Data: []byte(text)}}
}

func TestStartFailsWhenEnvoyEnds(t *testing.T) {
	r := newRig(t)
	o := r.options(t, "orders")
	o.Binary = filepath.Join(t.TempDir(), "envoy")
	must(t, os.WriteFile(o.Binary, []byte("#!/bin/sh\nexit 3\n"), 0o755))
	_, err := envoy.Start(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "orders.envoy.log") {
		t.Fatalf("got %v, want the exit status and the log's name", err)
	}
}

func TestStartRefusesBadAddresses(t *testing.T) {
	good := envoy.Options{
		Workload: envoy.Workload{Name: "orders", Address: "127.0.0.1"}, XDS: "127.0.0.1:1", SDS: "127.0.0.1:2",
	}
	for want, spoil := range map[string]func(*envoy.Options){
		"xDS server":        func(o *envoy.Options) { o.XDS = "istiod:15010" },
		"SDS server":        func(o *envoy.Options) { o.SDS = "" },
		`workload "orders"`: func(o *envoy.Options) { o.Workload.Address = "" },
	} {
		o := good
		spoil(&o)
		if _, err := envoy.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
	}
}

func TestCheckSeesAnEnvoyThatDied(t *testing.T) {
	r := newRig(t)
	r.fromCheckedInDump(t)
	p := r.start(t, "orders")
	must(t, p.Check(t.Context()))
	must(t, syscall.Kill(p.PID(), syscall.SIGKILL))
	<-p.Done()
	if err := p.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("got %v, want that it was killed", err)
	}
}
