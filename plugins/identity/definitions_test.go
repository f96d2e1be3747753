package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/apidef/oas"
	tykconfig "github.com/TykTechnologies/tyk/config"

	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
)

// startWithAPIs is start for a gateway whose definitions are files in DIR/apis.
func startWithAPIs(t *testing.T) *rig {
	t.Helper()
	p := startRig(t)
	withGateway(t, tykconfig.Config{AppPath: filepath.Join(p.dir, "apis")})
	requireNoError(t, os.Mkdir(filepath.Join(p.dir, "apis"), 0o700))
	return p
}

// writeDefinition writes a definition file.
func (p *rig) writeDefinition(t *testing.T, name string, d any) {
	t.Helper()
	data, err := json.Marshal(d)
	requireNoError(t, err)
	p.writeFile(t, "apis/"+name, string(data))
}

// requireCanary checks the canary's answer and the gauge.
func (p *rig) requireCanary(t *testing.T, reason decision.Reason, visible string, counts map[tykapi.HookCause]int) {
	t.Helper()
	want := map[string]string{"meshpass_edge_definitions_visible": visible, "meshpass_edge_ready": "1"}
	for _, cause := range tykapi.HookCauses {
		want[fmt.Sprintf(`meshpass_edge_unguarded_apis{cause=%q}`, cause)] = fmt.Sprint(counts[cause])
	}
	status := http.StatusOK
	if reason != decision.Issued {
		status = http.StatusServiceUnavailable
		want["meshpass_edge_ready"] = "0"
	}
	before := p.canaryAnswers(t, reason)
	if rw := callCanary(); rw.Code != status || p.canaryAnswers(t, reason) != before+1 {
		t.Errorf("canary: got %d %s, want %d %s", rw.Code, rw.Body, status, reason)
	}
	p.requireSamples(t, want)
}

func TestDefinitions(t *testing.T) {
	const strip, sign, guard = tykapi.StripHook, tykapi.SignHook, tykapi.GuardHook
	driver := func(name string) func(*call) {
		return func(c *call) { c.api.CustomMiddleware.Driver = apidef.MiddlewareDriver(name) }
	}
	rows := []struct {
		name   string
		change func(*call)
		cause  tykapi.HookCause // "": none
		log    string
	}{
		{"all three hooks", func(*call) {}, "", ""},
		{"no driver", driver(""), tykapi.NotRun, `custom_middleware.driver is \"\"`},
		{"driver mistyped", driver("goplugins"), tykapi.NotRun, `custom_middleware.driver is \"goplugins\"`},
		{"driver otto", driver("otto"), tykapi.NotRun, `custom_middleware.driver is \"otto\"`},
		{"protocol", func(c *call) { c.api.Protocol = "tcp" }, tykapi.NotRun, `protocol \"tcp\"`},
		{"no SignIdentity", listHooks(strip, "", guard), tykapi.SignMissing, "does not list SignIdentity"},
		{"only StripIdentity", listHooks(strip, "", ""), tykapi.SignMissing, "does not list SignIdentity"},
		{"no GuardUpstream", listHooks(strip, sign, ""), tykapi.GuardMissing, "the last hook must be GuardUpstream"},
		{"SignIdentity in pre", listHooks(strip+" "+sign, "", guard), tykapi.HookList, "custom_middleware.pre lists SignIdentity"},
		{"keyless only SignIdentity", func(c *call) { listHooks("", sign, "")(c); c.api.UseKeylessAccess = true }, tykapi.StripMissing, "list StripIdentity in custom_middleware.pre"},
		{"keyless only StripIdentity", func(c *call) { listHooks(strip, "", "")(c); c.api.UseKeylessAccess = true }, "", ""},
		{"keyless only StripIdentity without a path", func(c *call) {
			listHooks(strip, "", "")(c)
			c.api.UseKeylessAccess, c.api.CustomMiddleware.Pre[0].Path = true, ""
		}, tykapi.HookList, "lists StripIdentity without a path"},
		{"options_passthrough", func(c *call) { c.api.CORS.Enable, c.api.CORS.OptionsPassthrough = true, true }, tykapi.Options, "switch it off"},
		{"options_passthrough without CORS", func(c *call) { c.api.CORS.OptionsPassthrough = true }, tykapi.Options, "switch it off"},
		{"options_passthrough to another host", func(c *call) {
			listHooks(strip, "", "")(c)
			c.api.CORS.Enable, c.api.CORS.OptionsPassthrough, c.api.Proxy.TargetURL = true, true, foreign
		}, "", ""},
		{"no hooks", listHooks("", "", ""), tykapi.NoHooks, "no hook of this plugin"},
		{"no hooks and inactive as Tyk serves it too", func(c *call) { listHooks("", "", "")(c); c.api.Active = false }, tykapi.NoHooks, "no hook of this plugin"},
		{"no hooks to another host", func(c *call) { listHooks("", "", "")(c); c.api.Proxy.TargetURL = foreign }, "", ""},
		{"no hooks to an API of the gateway", func(c *call) { listHooks("", "", "")(c); c.api.Proxy.TargetURL = "tyk://other" }, "", ""},
		{"no hooks a target of the list", func(c *call) {
			listHooks("", "", "")(c)
			c.api.Proxy.TargetURL, c.api.Proxy.EnableLoadBalancing, c.api.Proxy.Targets = foreign, true, []string{"orders.svc.cluster.local:8080"}
		}, tykapi.NoHooks, "no hook of this plugin"},
		{"no hooks the target from the environment", func(c *call) { listHooks("", "", "")(c); c.api.Proxy.TargetURL = "env://TARGET_OF_TEST" }, tykapi.NoHooks, "no hook of this plugin"},
		{"the canary", listHooks("Canary", "", ""), "", ""},
		{"the canary without a driver", func(c *call) { listHooks("Canary", "", "")(c); driver("")(c) }, tykapi.NoHooks, "no hook of this plugin"},
		{"a bundle", func(c *call) { listHooks("", "", "")(c); c.api.CustomMiddlewareBundle = "bundle.zip" }, "", ""},
	}
	t.Setenv("TARGET_OF_TEST", inMesh)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p := startWithAPIs(t)
			p.requireCanary(t, decision.Issued, "1", nil)
			c := keyCall()
			row.change(c)
			p.writeDefinition(t, "orders.json", c.api)
			p.log.Reset()
			for range 3 { // it is logged once
				p.watch.checkDefinitions()
			}
			reason, counts := decision.Issued, map[tykapi.HookCause]int{}
			if row.cause != "" {
				counts[row.cause] = 1
			}
			if row.cause != "" && row.cause.FailsCanary() {
				reason = decision.ConfigInvalid
			}
			p.requireCanary(t, reason, "1", counts)
			if lines := strings.Count(p.log.String(), "\n"); lines != len(counts) {
				t.Errorf("%d lines, want %d:\n%s", lines, len(counts), &p.log)
			}
			if row.cause != "" && (!strings.Contains(p.log.String(), row.log) || !strings.Contains(p.log.String(), "cause="+string(row.cause)) ||
				!strings.Contains(p.log.String(), "orders.json")) {
				t.Errorf("want %q, the cause and the file:\n%s", row.log, &p.log)
			}
			good := keyCall()
			p.writeDefinition(t, "orders.json", good.api)
			p.watch.checkDefinitions()
			p.requireCanary(t, decision.Issued, "1", nil)
		})
	}
}

// Each of several definitions counts, and the canary fails until the last one is fixed or removed.
func TestSeveralDefinitions(t *testing.T) {
	p := startWithAPIs(t)
	for i, change := range []func(*call){listHooks(tykapi.StripHook, "", tykapi.GuardHook), listHooks(tykapi.StripHook, "", tykapi.GuardHook), listHooks("", "", ""), func(*call) {}} {
		c := keyCall()
		change(c)
		p.writeDefinition(t, fmt.Sprintf("%d.json", i), c.api)
	}
	p.writeFile(t, "apis/broken.json", "{")
	p.writeFile(t, "apis/note.txt", "no definition")
	requireNoError(t, os.Mkdir(filepath.Join(p.dir, "apis", "folder.json"), 0o700))
	p.watch.checkDefinitions()
	p.requireCanary(t, decision.ConfigInvalid, "1", map[tykapi.HookCause]int{tykapi.SignMissing: 2, tykapi.NoHooks: 1})
	removeFile(t, p, "apis/0.json")
	p.watch.checkDefinitions()
	p.requireCanary(t, decision.ConfigInvalid, "1", map[tykapi.HookCause]int{tykapi.SignMissing: 1, tykapi.NoHooks: 1})
	removeFile(t, p, "apis/1.json")
	p.watch.checkDefinitions()
	p.requireCanary(t, decision.Issued, "1", map[tykapi.HookCause]int{tykapi.NoHooks: 1})
}

// Tyk runs an OpenAPI definition by its classic file, and shows the other file to hooks.
func TestOpenAPIDefinitionFiles(t *testing.T) {
	p := startWithAPIs(t)
	classic, shown := keyCall(), keyCall()
	classic.api.IsOAS = true
	write := func() {
		var open oas.OAS
		open.SetTykExtension(&oas.XTykAPIGateway{})
		open.Fill(shown.api)
		p.writeDefinition(t, "orders.json", classic.api)
		p.writeDefinition(t, "orders-oas.json", map[string]any{"openapi": "3.0.3", "x-tyk-api-gateway": open.GetTykExtension()})
		p.watch.checkDefinitions()
	}
	write()
	p.requireCanary(t, decision.Issued, "1", nil)
	listHooks(tykapi.StripHook, "", tykapi.GuardHook)(shown)
	write()
	p.requireCanary(t, decision.ConfigInvalid, "1", map[tykapi.HookCause]int{tykapi.PairDiffers: 1})
	listHooks("", "", "")(classic)
	listHooks(tykapi.StripHook, tykapi.SignHook, tykapi.GuardHook)(shown)
	write()
	p.requireCanary(t, decision.ConfigInvalid, "1", map[tykapi.HookCause]int{tykapi.PairDiffers: 1})
}

// An OpenAPI form that is missing or empty lists no hooks.
func TestOddOpenAPIForms(t *testing.T) {
	p := startWithAPIs(t)
	c := keyCall()
	c.api.IsOAS = true
	for _, text := range []string{
		"", "[", "{}", "null", `{"x-tyk-api-gateway": null}`, `{"x-tyk-api-gateway": {"middleware": null}}`,
		`{"x-tyk-api-gateway": {"middleware": {"global": {"prePlugins": [null]}}}}`,
	} {
		p.writeDefinition(t, "orders.json", c.api)
		removeFile(t, p, "apis/orders-oas.json")
		if text != "" {
			p.writeFile(t, "apis/orders-oas.json", text)
		}
		p.log.Reset()
		p.watch.checkDefinitions()
		p.requireCanary(t, decision.ConfigInvalid, "1", map[tykapi.HookCause]int{tykapi.PairDiffers: 1})
		if strings.Contains(p.log.String(), "panic") {
			t.Errorf("%s: %s", text, &p.log)
		}
	}
}

// Definitions are checked again when upstreams change in the configuration.
func TestDefinitionsAfterAnotherConfiguration(t *testing.T) {
	p := startWithAPIs(t)
	c := keyCall()
	listHooks("", "", "")(c)
	c.api.Proxy.TargetURL = "http://orders.other.example.com/"
	p.writeDefinition(t, "orders.json", c.api)
	p.checkOnce()
	p.requireCanary(t, decision.Issued, "1", nil)
	replaceIn(t, p, "*.svc.cluster.local", "*.other.example.com")
	p.checkOnce()
	p.requireCanary(t, decision.Issued, "1", map[tykapi.HookCause]int{tykapi.NoHooks: 1})
}

// If definitions do not come from files, it is logged once that they cannot be seen.
func TestHiddenDefinitions(t *testing.T) {
	rpc := tykconfig.Config{}
	rpc.SlaveOptions.UseRPC = true
	for name, row := range map[string]struct {
		config tykconfig.Config
		log    string
	}{
		"Dashboard": {tykconfig.Config{UseDBAppConfigs: true}, "use_db_app_configs"},
		"MDCB":      {rpc, "slave_options.use_rpc"},
	} {
		t.Run(name, func(t *testing.T) {
			p := startWithAPIs(t)
			bad := keyCall()
			bad.api.CustomMiddleware.Driver = ""
			p.writeDefinition(t, "orders.json", bad.api)
			row.config.AppPath = filepath.Join(p.dir, "apis")
			withGateway(t, row.config)
			p.log.Reset()
			p.watch.checkDefinitions()
			p.watch.checkDefinitions()
			if strings.Count(p.log.String(), row.log) != 1 {
				t.Errorf("want one line with %s:\n%s", row.log, &p.log)
			}
			p.requireCanary(t, decision.Issued, "0", nil)
		})
	}
}

// A file that is too large to be read is reported, and Tyk may serve it.
func TestLargeDefinition(t *testing.T) {
	p := startWithAPIs(t)
	p.writeFile(t, "apis/large.json", strings.Repeat(" ", 16<<20+1))
	p.watch.checkDefinitions()
	p.requireCanary(t, decision.Issued, "1", map[tykapi.HookCause]int{tykapi.NotRead: 1})
}

// The canary is not ready before the definitions were checked.
func TestCanaryBeforeTheFirstLook(t *testing.T) {
	p := startRig(t)
	p.watch.definitions = tykapi.NewFolder(p.watch.log)
	p.signer.definitions = p.watch.definitions
	p.requireCanary(t, decision.ConfigInvalid, "0", nil)
}
