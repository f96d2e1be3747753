package app

import (
	"crypto/tls"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/meshpass/meshpass/extauthz/internal/testhelp/certtest"
	"github.com/meshpass/meshpass/internal/bytesize"
)

const manifests = "../../../manifests"

// shippedMemory is the limit of the authorizer's container.
func shippedMemory(t *testing.T) bytesize.Size {
	t.Helper()
	data, err := os.ReadFile(manifests + "/base/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var deployment struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Name      string
						Resources struct{ Limits struct{ Memory string } }
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal(data, &deployment); err != nil {
		t.Fatal(err)
	}
	for _, container := range deployment.Spec.Template.Spec.Containers {
		if container.Name == "meshpass" {
			memory := resource.MustParse(container.Resources.Limits.Memory)
			return bytesize.Size(memory.Value())
		}
	}
	t.Fatal("no container meshpass")
	return 0
}

// All that peers can fill, by any message and all at once, fits into the
// container that is shipped, with every configuration that is shipped.
func TestAllLimitsTogetherFitIntoTheContainer(t *testing.T) {
	limit := shippedMemory(t)
	if limit != 256*bytesize.MiB {
		t.Errorf("the container has %s: docs/configuration.md says 256MiB", limit)
	}
	files, err := filepath.Glob(manifests + "/overlays/*/meshpass.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		f := mustReadConfig(t, file)
		if got := f.config.memory(); got > limit*9/10 { // what the garbage collector keeps below
			t.Errorf("%s: %d MiB", file, got/bytesize.MiB)
		}
	}
}

// Each limit is a part of the sum.
func TestEachLimitCounts(t *testing.T) {
	before := mustReadConfig(t, "testdata/minimal.yaml").config
	for name, more := range map[string]func(*config){
		"listeners":      func(c *config) { c.Listeners = append(c.Listeners, listenerConfig{}) },
		"connections":    func(c *config) { c.Limits.Connections++ },
		"inFlightBytes":  func(c *config) { c.Limits.InFlightBytes += bytesize.MiB },
		"watches":        func(c *config) { c.Limits.Watches++ },
		"verifiedTokens": func(c *config) { c.Cache.VerifiedTokens.bytes++ },
		"audit.queue":    func(c *config) { c.Audit.Queue++ },
	} {
		after := before
		more(&after)
		if after.memory() <= before.memory() {
			t.Errorf("%s is not in the sum", name)
		}
	}
}

// The log has the sum in bytes, so that it can be compared with what a process takes.
func TestTheMostMemoryIsLogged(t *testing.T) {
	r := start(t, newFiles(t, oneListener, "{mode: plaintext}").config)
	if line := `"msg":"memory at most","process":33554432,"peers":207290368}`; !strings.Contains(r.log.String(), line) {
		t.Errorf("want %s in the log: %s", line, &r.log)
	}
}

func TestLimitsAboveTheMemoryAreLogged(t *testing.T) {
	const message = "the limits together are above the memory limit: lower limits.connections, limits.inFlightBytes or cache.verifiedTokens, or give the container more memory"
	for name, row := range map[string]struct {
		limit int64
		want  int
	}{
		"no limit": {math.MaxInt64, 0}, "enough": {1 << 30, 0}, "too little": {200 << 20, 1},
	} {
		t.Run(name, func(t *testing.T) {
			before := debug.SetMemoryLimit(row.limit)
			t.Cleanup(func() { debug.SetMemoryLimit(before) })
			r := start(t, newFiles(t, oneListener, "{mode: plaintext}").config)
			if got := r.logged(message); got != row.want {
				t.Errorf("logged %d times: %s", got, &r.log)
			}
		})
	}
}

// A workload that may not ask gets nothing from us but the end of its handshake.
func TestStrangersGetNoConnection(t *testing.T) {
	ca := certtest.NewCA(t)
	f := newTLSFiles(t, ca, mutual, oneListener)
	r := start(t, f.config)
	config := &tls.Config{
		RootCAs: ca.CertPool(), ServerName: "meshpass.meshpass.svc", NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13,
		Certificates: []tls.Certificate{ca.IssueLeaf(time.Now().Add(lasting), "spiffe://cluster.local/ns/stranger/sa/default").TLS},
	}
	conn, err := tls.Dial("tcp", r.addresses()[0], config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if n, err := conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "bad certificate") {
		t.Errorf("read %d bytes, %v", n, err)
	}
	eventually(t, "the metrics do not count it", func() bool {
		_, body := get(t, r.ops()+"/metrics")
		return strings.Contains(body, `meshpass_connections_refused_total{cause="tls",listener="sidecar"} 1`+"\n") &&
			strings.Contains(body, `meshpass_connections{listener="sidecar"} 0`+"\n")
	})
	if _, body := get(t, r.ops()+"/readyz?verbose"); !strings.Contains(body, "connections of sidecar: 0 of 1000\n") {
		t.Errorf("readyz: %s", body)
	}
}
