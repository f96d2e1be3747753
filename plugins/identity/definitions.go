package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/apidef/oas"
	tykconfig "github.com/TykTechnologies/tyk/config"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/plugins/identity/promtext"
	"github.com/meshpass/meshpass/shared/decision"
)

// maxDefinition is what is read of one file with a definition, in bytes.
const maxDefinition = 16 << 20

// definitions follows the files from which the gateway loads its APIs. An API none of whose
// hooks Tyk runs can be found only there: a plugin sees the definitions of the requests that
// it is called for, and Tyk has no list of loaded APIs for plugins.
//
// Tyk reads the folder at its start and at a reload; here it is read whenever it changes.
type definitions struct {
	log   *slog.Logger
	found atomic.Pointer[hookReport] // nil: nobody has looked yet

	// Only look uses these.
	files  map[string]judgedFile // by path
	config *config               // by which they were judged
	hidden string                // why no definitions can be seen, as logged last
}

// hookReport is the outcome of one look.
type hookReport struct {
	visible bool
	count   map[hookCause]int
	fault   error // for the canary: an API names our hooks and is not protected by them
}

// judgedFile is what is known of a definition for as long as its files do not change.
type judgedFile struct {
	classic, open fs.FileInfo // open: of the OpenAPI form; nil: there is none
	fault         *hookFault
}

// definitionFolder gives the folder of the gateway's definitions, or why they come from elsewhere.
func definitionFolder() (folder, hidden string) {
	if tykconfig.Global == nil {
		return "", "the gateway has no configuration yet"
	}
	switch c := tykconfig.Global(); {
	case c.UseDBAppConfigs:
		return "", "they come from the Tyk Dashboard (use_db_app_configs)"
	case c.SlaveOptions.UseRPC:
		return "", "they come by RPC from MDCB (slave_options.use_rpc)"
	default:
		return c.AppPath, ""
	}
}

// look judges the definitions whose files have changed, by the active configuration. c is nil
// as long as there is none: then targets are unknown, and hooks are judged all the same.
func (f *definitions) look(c *config) {
	folder, hidden := definitionFolder()
	if hidden != f.hidden && hidden != "" {
		f.log.Warn("API definitions cannot be seen: an API whose hooks Tyk does not run is not reported, and passes a client's own Txn-Token", "reason", hidden)
	}
	f.hidden = hidden
	report := &hookReport{visible: hidden == "", count: map[hookCause]int{}}
	if c == nil {
		c = new(config)
	}
	before := f.files
	if f.config == nil || !reflect.DeepEqual(c.Upstreams, f.config.Upstreams) || !reflect.DeepEqual(c.Allow, f.config.Allow) {
		for path, file := range before {
			before[path] = judgedFile{fault: file.fault} // to be judged again, and logged only if the answer changes
		}
	}
	f.config, f.files = c, map[string]judgedFile{}
	var paths []string
	if report.visible {
		paths = definitionFiles(folder)
	}
	for _, path := range paths {
		file := judgeFile(c, path, before[path])
		f.files[path] = file
		f.logChange(path, before[path].fault, file.fault)
		if file.fault == nil {
			continue
		}
		report.count[file.fault.cause]++
		if report.fault == nil && file.fault.cause.failsCanary() {
			report.fault = refuse(decision.ConfigInvalid, "%s: %w", path, file.fault)
		}
	}
	f.found.Store(report)
}

// definitionFiles are the files that Tyk reads, in its order. The OpenAPI forms are beside them.
func definitionFiles(folder string) (files []string) {
	all, _ := filepath.Glob(filepath.Join(folder, "*.json")) // as Tyk: a folder that cannot be read has no definitions
	for _, path := range all {
		if !strings.HasSuffix(path, openSuffix) {
			files = append(files, path)
		}
	}
	return files
}

const openSuffix = "-oas.json"

func openForm(path string) string { return strings.TrimSuffix(path, ".json") + openSuffix }

func (f *definitions) logChange(path string, before, now *hookFault) {
	switch {
	case now != nil && before != nil && *now == *before, now == nil && before == nil:
	case now == nil:
		f.log.Info("an API definition has no fault any more", "file", path)
	case !now.cause.failsCanary():
		f.log.Warn("an API is not protected", "file", path, "cause", now.cause, "error", now.text)
	default:
		f.log.Error("an API lists hooks of this plugin and is not protected by them; the canary fails until the definition is corrected",
			"file", path, "cause", now.cause, "error", now.text)
	}
}

// judgeFile answers from before where the files are the same.
func judgeFile(c *config, path string, before judgedFile) judgedFile {
	classic, err := os.Stat(path)
	if err != nil {
		return judgedFile{} // Tyk cannot read it either
	}
	open, _ := os.Stat(openForm(path))
	now := judgedFile{classic: classic, open: open}
	if unchanged(before.classic, classic) && (open == nil && before.open == nil || unchanged(before.open, open)) {
		now.fault = before.fault
		return now
	}
	now.fault = judgeDefinition(c, path)
	return now
}

// unchanged reports whether nothing was written between the two looks.
func unchanged(before, now fs.FileInfo) bool {
	return before != nil && now != nil && os.SameFile(before, now) && before.Size() == now.Size() && before.ModTime().Equal(now.ModTime())
}

// judgeDefinition reads one definition as Tyk does. What Tyk cannot read it does not serve.
func judgeDefinition(c *config, path string) (fault *hookFault) {
	defer func() { // one odd definition must not keep the others from being judged
		if cause := recover(); cause != nil {
			fault = faultf(notRead, "%s: reading it panicked: %s", filepath.Base(path), kindOf(cause))
		}
	}()
	var d apidef.APIDefinition
	if fault, ok := readDefinition(path, &d); !ok {
		return fault
	}
	fault = c.runFault(&d)
	if d.IsOAS && !hasBundle(&d) && (fault == nil || fault.cause == noHooks) {
		if differs := pairFault(&d, path); differs != nil {
			fault = differs
		}
	}
	if fault != nil {
		return faultf(fault.cause, "API %s: %s", d.APIID, fault.text)
	}
	return nil
}

// pairFault compares the hooks by which Tyk runs with those that it shows to hooks.
func pairFault(classic *apidef.APIDefinition, path string) *hookFault {
	var document struct {
		Tyk oas.XTykAPIGateway `json:"x-tyk-api-gateway"`
	}
	switch fault, ok := readDefinition(openForm(path), &document); {
	case ok:
	case fault == nil && len(hooksOf(classic)) > 0:
		return faultf(pairDiffers, "%s is missing or is no JSON: Tyk serves the API by %s, and the hooks see no definition", filepath.Base(openForm(path)), filepath.Base(path))
	default:
		return fault
	}
	var open oas.OAS
	open.SetTykExtension(&document.Tyk)
	if !reflect.DeepEqual(hooksOf(classic), hooksOf(asClassic(&open))) {
		return faultf(pairDiffers, "%s lists other hooks than %s, by which Tyk runs: have Tyk write both (PUT /tyk/apis/oas)",
			filepath.Base(openForm(path)), filepath.Base(path))
	}
	return nil
}

// readDefinition reports whether value was read; if not, the fault is nil where Tyk cannot read the
// file either.
func readDefinition(path string, value any) (fault *hookFault, ok bool) {
	data, err := readfile.Read(path, maxDefinition)
	if errors.Is(err, readfile.ErrTooLarge) {
		return faultf(notRead, "%s: %s", filepath.Base(path), err), false
	}
	if err != nil {
		return nil, false
	}
	return nil, json.Unmarshal(withEnvironment(data), value) == nil
}

var environmentValue = regexp.MustCompile(`env://([^"]+)`)

// withEnvironment fills in env://NAME, as Tyk does. Values of other stores stay names: a target that
// comes from one of them is not known to be in upstreams.
func withEnvironment(data []byte) []byte {
	return environmentValue.ReplaceAllFunc(data, func(match []byte) []byte {
		if value := os.Getenv(strings.TrimPrefix(string(match), "env://")); value != "" {
			return []byte(value)
		}
		return match
	})
}

// runFault reports why Tyk does not run the hooks that the definition lists, or why they do not
// protect the API.
func (c *config) runFault(d *apidef.APIDefinition) *hookFault {
	lists := hooksOf(d)
	switch {
	case hasBundle(d):
		return nil
	case len(lists) == 0 && withoutPath(d) != nil:
		return withoutPath(d)
	case len(lists) == 0:
		if c.forwards(d) && !isCanary(d) {
			return faultf(noHooks, "it has no hook of this plugin and forwards to a host in upstreams: a client's own Txn-Token reaches that host; list %s in %s at least",
				stripHook, preList)
		}
		return nil
	case d.Protocol != "" && d.Protocol != "http" && d.Protocol != "https" && d.Protocol != "h2c":
		return faultf(notRun, "protocol %q: Tyk runs no hooks for it", d.Protocol)
	case d.CustomMiddleware.Driver != apidef.GoPluginDriver:
		return faultf(notRun, "custom_middleware.driver is %q, so that Tyk runs none of the hooks and a client's own Txn-Token reaches the upstream: set %q",
			d.CustomMiddleware.Driver, apidef.GoPluginDriver)
	}
	if fault := c.hookFaultOf(d); fault != nil {
		return fault
	}
	if d.CORS.Enable && d.CORS.OptionsPassthrough && c.forwards(d) {
		return faultf(options, "CORS.options_passthrough: Tyk runs no hook for OPTIONS, so that a client's own Txn-Token reaches a host in upstreams: switch it off")
	}
	return nil
}

// isCanary reports whether [Canary] answers every request of the API.
func isCanary(d *apidef.APIDefinition) bool {
	return d.CustomMiddleware.Driver == apidef.GoPluginDriver && slices.ContainsFunc(d.CustomMiddleware.Pre, func(hook apidef.MiddlewareDefinition) bool {
		return hook.Name == canaryHook && !hook.Disabled
	})
}

// canaryHook is the name under which API definitions list [Canary].
const canaryHook = "Canary"

// err is what the canary says; the first look comes before the first API is served.
func (f *definitions) err() error {
	report := f.found.Load()
	if report == nil {
		return refuse(decision.ConfigInvalid, "the API definitions were not looked at yet")
	}
	return report.fault
}

func (f *definitions) write(t *promtext.Text) {
	report := f.found.Load()
	if report == nil {
		report = &hookReport{}
	}
	t.Family("meshpass_edge_definitions_visible", promtext.Gauge, "1 where the gateway loads API definitions from files, so that unguarded ones are found.")
	t.Flag(report.visible)
	t.Family("meshpass_edge_unguarded_apis", promtext.Gauge, "API definitions whose requests go on without a token or with a client's own, or are refused for their hooks.")
	for _, cause := range hookCauses {
		t.Sample(float64(report.count[cause]), "cause", string(cause))
	}
}

// lookAtDefinitions is for the goroutine of that name.
func (w *watch) lookAtDefinitions() {
	var c *config
	if s := w.inForce.Load(); s.broken == nil {
		c = s.config
	}
	w.definitions.look(c)
}

// followDefinitions looks for the first time before it returns.
func (w *watch) followDefinitions(pause func(time.Duration) bool) {
	work := work{definitionsGoroutine, w.lookAtDefinitions, w.meter, w.log}
	work.once()
	go work.forever(pause)
}
