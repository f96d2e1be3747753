package tykapi

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/apidef/oas"
	tykconfig "github.com/TykTechnologies/tyk/config"

	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/logonce"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/plugins/identity/panics"
	"github.com/meshpass/meshpass/shared/decision"
)

// maxDefinitionBytes is the largest size of a file with a definition that is read.
const maxDefinitionBytes = 16 << 20

// Folder follows the files with the gateway's API definitions. Only there can the plugin find an API
// whose requests run no hook of ours: a plugin sees the definitions of the requests that it is called
// for, and Tyk has no list of loaded APIs for plugins.
//
// Tyk reads the folder when it starts and at a reload; the plugin reads it whenever it changes.
type Folder struct {
	log    *slog.Logger
	report atomic.Pointer[HookReport] // nil: the folder was not checked yet

	// Only Check uses these.
	files  map[string]checkedFile // by path
	config *settings.Config       // of the last check
	hidden logonce.Messages       // why no definitions can be seen
}

// HookReport is the result of one check of the folder.
type HookReport struct {
	Visible bool              // the gateway loads definitions from files
	Count   map[HookCause]int // of definitions
	Fault   error             // for the canary: an API names our hooks and is not protected by them
}

// checkedFile is what is known of a definition for as long as its files do not change.
type checkedFile struct {
	classic, open fs.FileInfo // open: of the OpenAPI form; nil: the API has no such file
	fault         *hookFault
}

// NewFolder follows the folder that the gateway's configuration names.
func NewFolder(log *slog.Logger) *Folder { return &Folder{log: log} }

// Report gives the result of the last check; the first check comes before the first API is served.
func (f *Folder) Report() HookReport {
	if report := f.report.Load(); report != nil {
		return *report
	}
	return HookReport{Fault: denial.New(decision.ConfigInvalid, "the API definitions were not checked yet")}
}

// Check checks the definitions whose files have changed, by the active configuration. c is nil as long
// as no configuration is active: then upstreams are unknown, and hooks are checked all the same.
func (f *Folder) Check(c *settings.Config) {
	folder, hidden := definitionFolder()
	if f.hidden.IsNew("definitions", hidden) {
		f.log.Warn("API definitions cannot be seen: an API whose hooks Tyk does not run is not reported, and passes a client's own Txn-Token", "reason", hidden)
	}
	report := &HookReport{Visible: hidden == "", Count: map[HookCause]int{}}
	if c == nil {
		c = new(settings.Config)
	}
	before := f.files
	if f.config == nil || !reflect.DeepEqual(c.Upstreams, f.config.Upstreams) || !reflect.DeepEqual(c.Allow, f.config.Allow) {
		for path, file := range before {
			before[path] = checkedFile{fault: file.fault} // it is checked again, and logged only if the result changes
		}
	}
	f.config, f.files = c, map[string]checkedFile{}
	var paths []string
	if report.Visible {
		paths = definitionFiles(folder)
	}
	for _, path := range paths {
		file := checkFile(c, path, before[path])
		f.files[path] = file
		f.logChange(path, before[path].fault, file.fault)
		if file.fault == nil {
			continue
		}
		report.Count[file.fault.cause]++
		if report.Fault == nil && file.fault.cause.FailsCanary() {
			report.Fault = denial.New(decision.ConfigInvalid, "%s: %w", path, file.fault)
		}
	}
	f.report.Store(report)
}

func (f *Folder) logChange(path string, before, now *hookFault) {
	switch {
	case now != nil && before != nil && *now == *before, now == nil && before == nil:
	case now == nil:
		f.log.Info("an API definition has no fault any more", "file", path)
	case !now.cause.FailsCanary():
		f.log.Warn("an API is not protected", "file", path, "cause", now.cause, "error", now.text)
	default:
		f.log.Error("an API lists hooks of this plugin and is not protected by them; the canary fails until the definition is fixed",
			"file", path, "cause", now.cause, "error", now.text)
	}
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

// definitionFiles are the files that Tyk reads, in its order. The OpenAPI forms are beside them.
func definitionFiles(folder string) (files []string) {
	all, _ := filepath.Glob(filepath.Join(folder, "*.json")) // as in Tyk, a folder that cannot be read has no definitions
	for _, path := range all {
		if !strings.HasSuffix(path, openSuffix) {
			files = append(files, path)
		}
	}
	return files
}

const openSuffix = "-oas.json"

func openFormPath(path string) string { return strings.TrimSuffix(path, ".json") + openSuffix }

// checkFile keeps the result of before if the files are the same.
func checkFile(c *settings.Config, path string, before checkedFile) checkedFile {
	classic, err := os.Stat(path)
	if err != nil {
		return checkedFile{} // Tyk cannot read it either
	}
	open, _ := os.Stat(openFormPath(path))
	now := checkedFile{classic: classic, open: open}
	if isUnchanged(before.classic, classic) && (open == nil && before.open == nil || isUnchanged(before.open, open)) {
		now.fault = before.fault
		return now
	}
	now.fault = checkDefinition(c, path)
	return now
}

// isUnchanged reports whether nothing was written between the two checks.
func isUnchanged(before, now fs.FileInfo) bool {
	return before != nil && now != nil && os.SameFile(before, now) && before.Size() == now.Size() && before.ModTime().Equal(now.ModTime())
}

// checkDefinition reads one definition as Tyk does. Tyk does not serve a definition that it cannot read.
func checkDefinition(c *settings.Config, path string) (fault *hookFault) {
	defer func() { // one unusual definition must not keep the others from being checked
		if cause := recover(); cause != nil {
			fault = faultf(NotRead, "%s: reading it panicked: %s", filepath.Base(path), panics.Describe(cause))
		}
	}()
	var d apidef.APIDefinition
	if fault, ok := readDefinition(path, &d); !ok {
		return fault
	}
	fault = findRunFault(c, &d)
	if d.IsOAS && !hasBundle(&d) && (fault == nil || fault.cause == NoHooks) {
		if differs := comparePair(&d, path); differs != nil {
			fault = differs
		}
	}
	if fault != nil {
		return faultf(fault.cause, "API %s: %s", d.APIID, fault.text)
	}
	return nil
}

// findRunFault reports why Tyk does not run the hooks that the definition lists, or why they do not
// protect the API.
func findRunFault(c *settings.Config, d *apidef.APIDefinition) *hookFault {
	lists := listedHooks(d)
	switch {
	case hasBundle(d):
		return nil
	case len(lists) == 0 && findHookWithoutPath(d) != nil:
		return findHookWithoutPath(d)
	case len(lists) == 0:
		if forwardsToUpstreams(c, d) && !isCanary(d) {
			return faultf(NoHooks, "it has no hook of this plugin and forwards to a host in upstreams: a client's own Txn-Token reaches that host; list %s in %s at least",
				StripHook, preList)
		}
		return nil
	case d.Protocol != "" && d.Protocol != "http" && d.Protocol != "https" && d.Protocol != "h2c":
		return faultf(NotRun, "protocol %q: Tyk runs no hooks for it", d.Protocol)
	case d.CustomMiddleware.Driver != apidef.GoPluginDriver:
		return faultf(NotRun, "custom_middleware.driver is %q, so that Tyk runs none of the hooks and a client's own Txn-Token reaches the upstream: set %q",
			d.CustomMiddleware.Driver, apidef.GoPluginDriver)
	}
	if fault := findHookFault(c, d); fault != nil {
		return fault
	}
	if d.CORS.OptionsPassthrough && forwardsToUpstreams(c, d) { // Tyk reads it without CORS.enable too
		return faultf(Options, "CORS.options_passthrough: Tyk runs no hook for OPTIONS, so that a client's own Txn-Token reaches a host in upstreams: switch it off")
	}
	return nil
}

// comparePair compares the hooks of the file that Tyk runs by with those of the file that it shows to
// hooks.
func comparePair(classic *apidef.APIDefinition, path string) *hookFault {
	var document struct {
		Tyk oas.XTykAPIGateway `json:"x-tyk-api-gateway"`
	}
	switch fault, ok := readDefinition(openFormPath(path), &document); {
	case ok:
	case fault == nil && len(listedHooks(classic)) > 0:
		return faultf(PairDiffers, "%s is missing or is no JSON: Tyk serves the API by %s, and the hooks see no definition", filepath.Base(openFormPath(path)), filepath.Base(path))
	default:
		return fault
	}
	var open oas.OAS
	open.SetTykExtension(&document.Tyk)
	if !reflect.DeepEqual(listedHooks(classic), listedHooks(classicForm(&open))) {
		return faultf(PairDiffers, "%s lists other hooks than %s, by which Tyk runs: have Tyk write both (PUT /tyk/apis/oas)",
			filepath.Base(openFormPath(path)), filepath.Base(path))
	}
	return nil
}

// readDefinition reports whether value was read. If not, the fault is nil if Tyk cannot read the file
// either.
func readDefinition(path string, value any) (fault *hookFault, ok bool) {
	data, err := readfile.Read(path, maxDefinitionBytes)
	if errors.Is(err, readfile.ErrTooLarge) {
		return faultf(NotRead, "%s: %s", filepath.Base(path), err), false
	}
	if err != nil {
		return nil, false
	}
	return nil, json.Unmarshal(fillInEnvironment(data), value) == nil
}

var environmentValue = regexp.MustCompile(`env://([^"]+)`)

// fillInEnvironment replaces env://NAME, as Tyk does. Values of other stores stay names: a target from
// one of them is not known to be in upstreams.
func fillInEnvironment(data []byte) []byte {
	return environmentValue.ReplaceAllFunc(data, func(match []byte) []byte {
		if value := os.Getenv(strings.TrimPrefix(string(match), "env://")); value != "" {
			return []byte(value)
		}
		return match
	})
}
