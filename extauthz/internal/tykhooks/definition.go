// Package tykhooks adds the hooks of the plugin to API definitions of Tyk, and checks the definitions that list them.
package tykhooks

import (
	"errors"
	"fmt"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/docedit"
	"github.com/meshpass/meshpass/internal/gateway/hooks"
)

// Form is a form of API definitions.
type Form string

// The forms. The fields of Tyk Operator's objects are those of its public CRDs, release 1.4.2.
const (
	Classic  Form = "classic"
	Open     Form = "oas"      // an OpenAPI document with x-tyk-api-gateway
	Operator Form = "operator" // ApiDefinition of Tyk Operator: the classic form below spec
)

// extensionName is the member of an OpenAPI document that Tyk reads.
const extensionName = "x-tyk-api-gateway"

// definition is an API definition in a file.
type definition struct {
	file *docedit.File
	root *docedit.Node // the classic definition, or the extension of the OpenAPI form
	form Form
	api  string // its id, or the name of its object
}

// listKeys are the members of a form that hold lists with hooks, and of their entries.
type listKeys struct {
	names                       hooks.Names
	pre, postAuth, post, answer string // lists
	name, path                  string // of an entry
}

var (
	classicKeys = listKeys{hooks.ClassicNames, "pre", "post_key_auth", "post", "response", "name", "path"}
	openKeys    = listKeys{hooks.OpenNames, "prePlugins", "postAuthenticationPlugins", "postPlugins", "responsePlugins", "functionName", "path"}
)

func (d definition) keys() listKeys {
	if d.form == Open {
		return openKeys
	}
	return classicKeys
}

// section is the object with the lists; nil: it is missing.
func (d definition) section() *docedit.Node {
	if d.form == Open {
		return d.root.FindPath("middleware", "global")
	}
	return d.root.Find("custom_middleware")
}

// driver is the value that names how Tyk runs hooks; nil: it is missing.
func (d definition) driver() *docedit.Node {
	if d.form == Open {
		return d.section().FindPath("pluginConfig", "driver")
	}
	return d.section().Find("driver")
}

// bundle is the name of the bundle that replaces the lists; "": no bundle is active.
func (d definition) bundle() string {
	if d.form == Open {
		bundle := d.section().FindPath("pluginConfig", "bundle")
		if !bundle.Find("enabled").IsTrue() {
			return ""
		}
		return bundle.Find("path").String()
	}
	if d.root.Find("custom_middleware_bundle_disabled").IsTrue() {
		return ""
	}
	return d.root.Find("custom_middleware_bundle").String()
}

// entries gives the entries of all lists.
func (d definition) entries() hooks.Listed {
	listed, keys, section := hooks.Listed{}, d.keys(), d.section()
	for list, key := range map[hooks.List]string{hooks.Pre: keys.pre, hooks.PostAuth: keys.postAuth, hooks.Post: keys.post, hooks.Response: keys.answer} {
		for _, item := range itemsOf(section.Find(key)) {
			listed[list] = append(listed[list], d.entry(item, keys.name, keys.path))
		}
	}
	if d.form == Open {
		if auth := d.root.FindPath("server", "authentication", "custom", "config"); !auth.IsEmpty() {
			listed[hooks.AuthCheck] = append(listed[hooks.AuthCheck], d.entry(auth, keys.name, keys.path))
		}
		for _, operation := range membersOf(d.root.FindPath("middleware", "operations")) {
			for _, item := range itemsOf(operation.Value.Find("postPlugins")) {
				listed[hooks.Endpoints] = append(listed[hooks.Endpoints], d.entry(item, "functionName", "path"))
			}
		}
		return listed
	}
	if auth := section.Find("auth_check"); !auth.IsEmpty() {
		listed[hooks.AuthCheck] = append(listed[hooks.AuthCheck], d.entry(auth, keys.name, keys.path))
	}
	for _, version := range membersOf(d.root.FindPath("version_data", "versions")) {
		for _, item := range itemsOf(version.Value.FindPath("extended_paths", "go_plugin")) {
			listed[hooks.Endpoints] = append(listed[hooks.Endpoints], d.entry(item, "func_name", "plugin_path"))
		}
	}
	return listed
}

func (d definition) entry(n *docedit.Node, name, path string) hooks.Entry {
	disabled := n.Find("disabled").IsTrue()
	if d.form == Open {
		disabled = !n.Find("enabled").IsTrue()
	}
	return hooks.Entry{Name: n.Find(name).String(), Path: n.Find(path).String(), Disabled: disabled}
}

func itemsOf(n *docedit.Node) []*docedit.Node {
	if n == nil {
		return nil
	}
	return n.Items
}

func membersOf(n *docedit.Node) []docedit.Member {
	if n == nil {
		return nil
	}
	return n.Members
}

// embedded is a definition that a text of another file holds, as in a ConfigMap.
type embedded struct {
	file *docedit.File // the text
	in   *docedit.Node
}

// errNoDefinition is the error of a file without an API definition.
var errNoDefinition = errors.New("want an API definition of Tyk: a classic one (api_id, proxy), an OpenAPI document with " + extensionName +
	", an ApiDefinition of Tyk Operator, or the ConfigMap of a TykOasApiDefinition")

// manyDefinitions is the error of an answer of Tyk's API that holds a list.
const manyDefinitions = "a list of API definitions: Tyk reads one definition from a file, so save each one as a file of its own"

// source is a file with its definitions.
type source struct {
	file        *docedit.File
	definitions []definition
	embedded    []embedded
	configMaps  map[string]bool // NAMESPACE/NAME that the file has
	refers      []reference     // of TykOasApiDefinitions
}

// reference is where a TykOasApiDefinition has its OpenAPI document.
type reference struct {
	node           *docedit.Node
	configMap, key string
}

// readSource finds the definitions of a file.
func readSource(name string, text []byte) (*source, error) {
	file, err := docedit.Parse(name, text)
	if err != nil {
		return nil, err
	}
	s := &source{file: file, configMaps: map[string]bool{}}
	for _, document := range file.Documents {
		if err := s.addDocument(document); err != nil {
			return nil, err
		}
	}
	if len(s.definitions)+len(s.refers) == 0 {
		return nil, fmt.Errorf("%s: %w", name, errNoDefinition)
	}
	return s, nil
}

func (s *source) addDocument(n *docedit.Node) error {
	kind, group := n.Find("kind").String(), n.Find("apiVersion").String()
	name := n.FindPath("metadata", "name").String()
	switch {
	case n.Kind == docedit.List: // the gateway's GET /tyk/apis
		return s.file.Errorf(n, "%s", manyDefinitions)
	case n.Find("apis") != nil && n.Find("apis").Kind == docedit.List: // the Dashboard's GET /api/apis
		return s.file.Errorf(n.Find("apis"), "%s", manyDefinitions)
	case strings.HasSuffix(kind, "List"): // kubectl get -o yaml
		for _, item := range itemsOf(n.Find("items")) {
			if err := s.addDocument(item); err != nil {
				return err
			}
		}
	case n.Find("openapi") != nil || n.Find(extensionName) != nil:
		return s.addOpen(s.file, n)
	case n.Find("api_definition") != nil: // an export of the Tyk Dashboard
		return s.addClassic(n.Find("api_definition"))
	case kind == "" && (n.Find("api_id") != nil || n.Find("proxy") != nil):
		return s.addClassic(n)
	case kind == "ApiDefinition" && strings.HasPrefix(group, "tyk.tyk.io/"):
		spec := n.Find("spec")
		if spec == nil || spec.Kind != docedit.Object {
			return s.file.Errorf(n, "ApiDefinition %s: want an object in spec", name)
		}
		d := definition{file: s.file, root: spec, form: Operator, api: name}
		s.definitions = append(s.definitions, d)
		return checkSpelling(d)
	case kind == "TykOasApiDefinition" && strings.HasPrefix(group, "tyk.tyk.io/"):
		ref := n.FindPath("spec", "tykOAS", "configmapRef")
		namespace := ref.Find("namespace").String()
		if namespace == "" {
			namespace = n.FindPath("metadata", "namespace").String()
		}
		s.refers = append(s.refers, reference{n, namespace + "/" + ref.Find("name").String(), ref.Find("keyName").String()})
	case kind == "ConfigMap":
		s.configMaps[n.FindPath("metadata", "namespace").String()+"/"+name] = true
		return s.addConfigMap(n, name)
	}
	return nil
}

func (s *source) addClassic(n *docedit.Node) error {
	d := definition{file: s.file, root: n, form: Classic, api: n.Find("api_id").String()}
	s.definitions = append(s.definitions, d)
	return checkSpelling(d)
}

func (s *source) addOpen(file *docedit.File, n *docedit.Node) error {
	extension := n.Find(extensionName)
	if extension == nil || extension.Kind != docedit.Object {
		return file.Errorf(n, "the OpenAPI document has no object %s: import it into Tyk first (POST /tyk/apis/oas/import), or add the member", extensionName)
	}
	d := definition{file: file, root: extension, form: Open, api: extension.FindPath("info", "id").String()}
	if d.api == "" {
		d.api = extension.FindPath("info", "name").String()
	}
	s.definitions = append(s.definitions, d)
	return checkSpelling(d)
}

func (s *source) addConfigMap(n *docedit.Node, name string) error {
	for _, m := range membersOf(n.Find("data")) {
		if !strings.Contains(m.Value.Value, extensionName) {
			continue
		}
		file, err := docedit.Parse(fmt.Sprintf("%s (ConfigMap %s, %s)", s.file.Name, name, m.Key.Value), []byte(m.Value.Value))
		if err != nil {
			return err
		}
		s.embedded = append(s.embedded, embedded{file: file, in: m.Value})
		for _, document := range file.Documents {
			if err := s.addOpen(file, document); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkSpelling rejects a member whose name differs from one that is read here by the case of letters: Tyk reads both.
func checkSpelling(d definition) error {
	known := []string{"custom_middleware", "custom_middleware_bundle", "custom_middleware_bundle_disabled", "version_data"}
	if d.form == Open {
		known = []string{"middleware", "server", "info"}
	}
	keys := d.keys()
	inside := []string{"driver", keys.pre, keys.postAuth, keys.post, keys.answer, "auth_check", "pluginConfig"}
	for _, level := range []struct {
		node  *docedit.Node
		names []string
	}{{d.root, known}, {d.root.Find("middleware"), []string{"global", "operations"}}, {d.section(), inside}, {d.section().Find("pluginConfig"), []string{"driver", "bundle"}}} {
		for _, m := range membersOf(level.node) {
			for _, name := range level.names {
				if m.Key.Value != name && strings.EqualFold(m.Key.Value, name) {
					return d.file.Errorf(m.Key, "%q: write it as %s", m.Key.Value, name)
				}
			}
		}
	}
	return nil
}
