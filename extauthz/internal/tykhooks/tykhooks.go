package tykhooks

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/docedit"
	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/internal/gateway/hooks"
)

// DefaultPath is the plugin's file, relative to the gateway's working directory, as in manifests/tyk.
const DefaultPath = "plugins/identity.so"

// Options are the settings of the command.
type Options struct {
	Path string // of the plugin's file; "": that of the hooks that are listed, else DefaultPath
}

// File is a file with API definitions, and its new content.
type File struct {
	Name        string
	Before      []byte
	After       []byte // with the hooks; equal to Before if a definition is rejected or nothing is missing
	Definitions []Definition
}

// Definition is the result for one definition.
type Definition struct {
	File     string   `json:"file"`
	API      string   `json:"api"`
	Form     Form     `json:"form"`
	Complete bool     `json:"complete"`
	Missing  []string `json:"missing,omitempty"`  // the command adds it
	Problems []string `json:"problems,omitempty"` // people must change it first
	Notes    []string `json:"notes,omitempty"`    // a setting that hooks do not see
}

// Input is a file to read.
type Input struct {
	Name string
	Text []byte
}

// Prepare reads the files and adds the hooks to their definitions in memory. Errors: a file that cannot be read or edited. A
// definition that contradicts the hooks is no error; see [Definition].
func Prepare(inputs []Input, options Options) ([]File, error) {
	var sources []*source
	configMaps := map[string]bool{}
	for _, input := range inputs {
		s, err := readSource(input.Name, input.Text)
		if err != nil {
			return nil, err
		}
		for name := range s.configMaps {
			configMaps[name] = true
		}
		sources = append(sources, s)
	}
	var files []File
	for i, s := range sources {
		for _, ref := range s.refers {
			if !configMaps[ref.configMap] {
				return nil, s.file.Errorf(ref.node, "its OpenAPI document is in ConfigMap %s, key %q: name the file with that ConfigMap too", ref.configMap, ref.key)
			}
		}
		file, err := s.prepare(inputs[i].Text, options)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

func (s *source) prepare(text []byte, options Options) (File, error) {
	file := File{Name: s.file.Name, Before: text, After: text}
	rejected, missing := false, false
	for _, d := range s.definitions {
		result := d.check(options)
		file.Definitions = append(file.Definitions, result)
		rejected = rejected || len(result.Problems) > 0
		missing = missing || len(result.Missing) > 0
	}
	if rejected || !missing {
		return file, nil
	}
	for i, d := range s.definitions {
		if !file.Definitions[i].Complete {
			if err := d.addHooks(d.choosePath(options)); err != nil {
				return File{}, err
			}
		}
	}
	for _, e := range s.embedded {
		inner, err := e.file.Apply()
		if err != nil {
			return File{}, err
		}
		if string(inner) != e.in.Value {
			if err := s.file.ReplaceLiteral(e.in, string(inner)); err != nil {
				return File{}, err
			}
		}
	}
	var err error
	file.After, err = s.file.Apply()
	return file, err
}

// check compares a definition with the rules of the plugin.
func (d definition) check(options Options) Definition {
	result := Definition{File: d.file.Name, API: d.api, Form: d.form}
	listed := d.entries()
	if slices.ContainsFunc(listed[hooks.Pre], func(e hooks.Entry) bool { return e.Name == hooks.Canary && !e.Disabled }) {
		result.Complete = true
		result.Notes = []string{"it is the canary, which needs no other hook"}
		return result
	}
	result.Problems = d.findProblems(listed, options)
	result.Notes = d.findNotes()
	if d.driver().IsEmpty() {
		result.Missing = append(result.Missing, "driver "+hooks.Driver)
	}
	for _, hook := range []string{hooks.Strip, hooks.Sign, hooks.Guard} {
		if !slices.ContainsFunc(listed[hooks.ListOf[hook]], func(e hooks.Entry) bool { return e.Name == hook }) {
			result.Missing = append(result.Missing, fmt.Sprintf("%s in %s", hook, d.keys().names[hooks.ListOf[hook]]))
		}
	}
	result.Complete = len(result.Missing)+len(result.Problems) == 0
	return result
}

// findProblems lists what contradicts the hooks.
func (d definition) findProblems(listed hooks.Listed, options Options) (problems []string) {
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	names := d.keys().names
	if bundle := d.bundle(); bundle != "" {
		report("the bundle %q replaces the lists of the definition: list the hooks in the bundle's manifest, as `meshpass tyk bundle build` does, or disable the bundle", bundle)
	}
	if protocol := d.root.Find("protocol").String(); d.form != Open && protocol != "" && !slices.Contains([]string{"http", "https", "h2c"}, protocol) {
		report("protocol %q: Tyk runs no hooks for it", protocol)
	}
	driver, others := d.driver().String(), findOthers(listed)
	switch {
	case driver != "" && driver != hooks.Driver:
		report("the driver is %q, and an API has one driver: set %q after the plugins of the other driver are removed", driver, hooks.Driver)
	case driver == "" && others != "":
		report("%s is listed without a driver, so it is no Go plugin: set the driver %q and remove it, or keep this API without our hooks", others, hooks.Driver)
	}
	if d.form == Open {
		for _, old := range []string{"prePlugin", "postAuthenticationPlugin", "postPlugin"} {
			if !d.section().Find(old).IsEmpty() {
				report("middleware.global.%s is a deprecated form that replaces the list %ss: move its plugins to that list", old, old)
			}
		}
	}
	for _, list := range []hooks.List{hooks.Pre, hooks.AuthCheck, hooks.PostAuth, hooks.Post, hooks.Response, hooks.Endpoints} {
		for _, e := range listed[list] {
			if _, ours := hooks.ListOf[e.Name]; ours && e.Disabled {
				report("%s lists %s, and it is disabled: enable it, or remove the entry", names[list], e.Name)
			}
		}
	}
	if text := listed.FindWithoutPath(names); text != "" {
		report("%s", text)
	}
	if text := hooks.FindMisplaced(listed.Working(), names); text != "" {
		report("%s", text)
	}
	if slices.Contains(listed.Working()[hooks.Post], hooks.Guard) && !listed.GuardIsLast() {
		report("%s: the last hook must be %s, without which no request gets a token: move it to the end", names[hooks.Post], hooks.Guard)
	}
	paths := listedPaths(listed)
	if options.Path != "" {
		paths = append(paths, options.Path)
		slices.Sort(paths)
		paths = slices.Compact(paths)
	}
	if len(paths) > 1 {
		report("the hooks are in different files (%s): name the same file for all three", strings.Join(paths, ", "))
	}
	return problems
}

// findOthers gives the name of a hook that is not ours; "": all are ours.
func findOthers(listed hooks.Listed) string {
	for _, list := range []hooks.List{hooks.Pre, hooks.AuthCheck, hooks.PostAuth, hooks.Post, hooks.Response} {
		for _, e := range listed[list] {
			if _, ours := hooks.ListOf[e.Name]; !ours && e.Name != "" && !e.Disabled {
				return e.Name
			}
		}
	}
	return ""
}

// listedPaths gives the files of our hooks, sorted, each once.
func listedPaths(listed hooks.Listed) (paths []string) {
	for hook, list := range hooks.ListOf {
		for _, e := range listed[list] {
			if e.Name == hook && e.Path != "" {
				paths = append(paths, e.Path)
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// findNotes lists settings that hooks do not see.
func (d definition) findNotes() (notes []string) {
	if d.form == Open {
		var others []string
		for _, version := range itemsOf(d.root.FindPath("info", "versioning", "versions")) {
			others = append(others, version.Find("id").String())
		}
		notes = appendVersions(notes, others)
		if d.section().FindPath("cors", "optionsPassthrough").IsTrue() {
			notes = append(notes, optionsNote("middleware.global.cors.optionsPassthrough"))
		}
		if d.readsTokens() && !d.section().FindPath("contextVariables", "enabled").IsTrue() {
			notes = append(notes, contextNote("middleware.global.contextVariables.enabled"))
		}
		return notes
	}
	var others []string
	for _, version := range membersOf(d.root.FindPath("version_definition", "versions")) {
		others = append(others, version.Value.String())
	}
	notes = appendVersions(notes, others)
	if d.root.FindPath("CORS", "options_passthrough").IsTrue() {
		notes = append(notes, optionsNote("CORS.options_passthrough"))
	}
	if d.root.Find("is_oas").IsTrue() {
		notes = append(notes, "it is the classic half of an API in OpenAPI form: change the other half too, so that both list the same hooks")
	}
	if (d.root.Find("enable_jwt").IsTrue() || d.root.Find("use_openid").IsTrue()) && !d.root.Find("enable_context_vars").IsTrue() {
		notes = append(notes, contextNote("enable_context_vars"))
	}
	return notes
}

func appendVersions(notes, ids []string) []string {
	if len(ids) == 0 {
		return notes
	}
	return append(notes, "its versions are definitions of their own, which need the hooks too: "+strings.Join(ids, ", "))
}

func optionsNote(setting string) string {
	return setting + ": Tyk runs no hook for OPTIONS, so a client's own Txn-Token reaches the upstream: switch it off"
}

func contextNote(setting string) string {
	return setting + " is off: the plugin denies requests with tokens of identity providers (claims_unavailable) until it is true"
}

// readsTokens reports whether an API in OpenAPI form authenticates users by a JWT or by OpenID Connect.
func (d definition) readsTokens() bool {
	auth := d.root.FindPath("server", "authentication")
	return auth.FindPath("oidc", "enabled").IsTrue() || slices.ContainsFunc(membersOf(auth.Find("securitySchemes")), func(scheme docedit.Member) bool {
		return slices.ContainsFunc([]string{"source", "jwksURIs", "signingMethod", "identityBaseField"}, func(key string) bool { return !scheme.Value.Find(key).IsEmpty() })
	})
}

// choosePath gives the plugin's file for hooks that are added.
func (d definition) choosePath(options Options) string {
	if options.Path != "" {
		return options.Path
	}
	if paths := listedPaths(d.entries()); len(paths) > 0 {
		return paths[0]
	}
	return DefaultPath
}

// addHooks adds what is missing. StripIdentity becomes the first of its list, so that no other plugin sees a client's headers
// under our names; SignIdentity and GuardUpstream become the last ones.
func (d definition) addHooks(path string) error {
	keys, listed, section := d.keys(), d.entries(), d.section()
	var absent []docedit.Pair // members that the section lacks
	if d.driver().IsEmpty() {
		switch driver := d.driver(); {
		case driver != nil:
			if err := d.file.Replace(driver, hooks.Driver); err != nil {
				return err
			}
		case d.form != Open:
			absent = append(absent, docedit.Pair{Key: "driver", Value: hooks.Driver})
		case section.Find("pluginConfig") != nil:
			if err := d.file.AddMembers(section, "pluginConfig", docedit.Pair{Key: "driver", Value: hooks.Driver}); err != nil {
				return err
			}
		default:
			absent = append(absent, docedit.Pair{Key: "pluginConfig", Value: []docedit.Pair{{Key: "driver", Value: hooks.Driver}}})
		}
	}
	for _, row := range []struct{ hook, list string }{{hooks.Strip, keys.pre}, {hooks.Sign, keys.postAuth}, {hooks.Guard, keys.post}} {
		if slices.ContainsFunc(listed[hooks.ListOf[row.hook]], func(e hooks.Entry) bool { return e.Name == row.hook }) {
			continue
		}
		if section.Find(row.list) == nil {
			absent = append(absent, docedit.Pair{Key: row.list, Value: []any{d.newEntry(row.hook, path)}})
			continue
		}
		if err := d.file.AddItem(section, row.list, d.newEntry(row.hook, path), row.hook == hooks.Strip); err != nil {
			return err
		}
	}
	if len(absent) == 0 {
		return nil
	}
	if d.form != Open {
		return d.file.AddMembers(d.root, "custom_middleware", absent...)
	}
	if middleware := d.root.Find("middleware"); middleware.IsEmpty() {
		return d.file.AddMembers(d.root, "middleware", docedit.Pair{Key: "global", Value: absent})
	}
	return d.file.AddMembers(d.root.Find("middleware"), "global", absent...)
}

func (d definition) newEntry(hook, path string) []docedit.Pair {
	if d.form == Open {
		return []docedit.Pair{{Key: "enabled", Value: true}, {Key: "functionName", Value: hook}, {Key: "path", Value: path}}
	}
	return []docedit.Pair{{Key: "name", Value: hook}, {Key: "path", Value: path}}
}

// Report has the results for all files.
type Report struct {
	Definitions []Definition `json:"definitions"`
}

// NewReport collects the results.
func NewReport(files []File) Report {
	report := Report{Definitions: []Definition{}}
	for _, f := range files {
		report.Definitions = append(report.Definitions, f.Definitions...)
	}
	return report
}

// IsComplete reports whether nothing is missing and nothing contradicts the hooks.
func (r Report) IsComplete() bool {
	return !slices.ContainsFunc(r.Definitions, func(d Definition) bool { return !d.Complete })
}

// Print writes a line for each definition, and one for each finding.
func (r Report) Print(to io.Writer) error {
	for _, d := range r.Definitions {
		state := "complete"
		if !d.Complete {
			state = "not complete"
		}
		if _, err := printer.Fprintf(to, "%s: API %s (%s): %s\n", d.File, d.API, d.Form, state); err != nil {
			return err
		}
		for _, row := range []struct {
			label string
			texts []string
		}{{"missing", d.Missing}, {"problem", d.Problems}, {"note", d.Notes}} {
			for _, text := range row.texts {
				printer.Fprintf(to, "  %s: %s\n", row.label, text)
			}
		}
	}
	return nil
}

// Rejection is the error of definitions that contradict the hooks; nil: no definition does.
func (r Report) Rejection() error {
	var texts []string
	for _, d := range r.Definitions {
		for _, problem := range d.Problems {
			texts = append(texts, fmt.Sprintf("%s: API %s: %s", d.File, d.API, problem))
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return fmt.Errorf("nothing was changed:\n%s", strings.Join(texts, "\n"))
}
