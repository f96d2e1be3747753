package workloadrules

import (
	"path"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/suggest"
)

var (
	configNotNamed = registry.Define("config_not_named", finding.Error,
		"The authorizer has no --config, or Tyk's gateway has no variable MESHPASS_CONFIG.",
		"The authorizer does not start; the plugin denies every request (not_configured), and the canary is not ready.",
		"Write args: [serve, --config, PATH] for the authorizer, and the variable MESHPASS_CONFIG with the path of the plugin's file for the gateway.")
	fileNotMounted = registry.Define("file_not_mounted", finding.Error,
		"No volume of the authorizer, or of Tyk's gateway, has a file or folder that its arguments, its environment or its configuration names.",
		"The authorizer does not start, the plugin denies every request, or Tyk serves no API.",
		"Mount the ConfigMap or Secret at this path, or correct the path. Relative paths begin at the folder of the configuration.")
	sourceUnknown = registry.Define("volume_source_unknown", finding.Error,
		"A volume of the authorizer, or of Tyk's gateway, is of a ConfigMap or Secret that does not exist, or a mount is of a volume that does not exist.",
		"The pods do not start: FailedMount, or the API server rejects them.",
		"Correct the name. kustomize adds a hash to names that configMapGenerator makes, and writes it where it knows the field.")
	variableUnknown = registry.Define("variable_unknown", finding.Error,
		"An API definition has a value env://NAME or secrets://NAME, and the gateway's container, or secrets of tyk.conf, has no such name.",
		"Tyk leaves the text as it is: the host, key or secret does not exist, and the API fails.",
		"Set the variable in the container, or the member of secrets, or correct its name.")
)

// checkAuthorizers checks the containers that run `meshpass serve`.
func (c *checker) checkAuthorizers() {
	for _, w := range c.Workloads {
		for _, n := range w.Containers() {
			if !model.IsAuthorizer(n) {
				continue
			}
			container := w.ContainerOf(n)
			c.checkVolumes(container)
			file, at := model.Argument(n, "config")
			switch {
			case at == nil && n.Find("args") != nil:
				c.report.Add(configNotNamed, n.Find("args"), "%s runs `meshpass serve` without --config", w.Title())
			case at == nil:
				c.report.Add(configNotNamed, n, "%s runs `meshpass serve` without --config", w.Title())
			case strings.HasPrefix(file, "/"):
				if content := c.requireConfig(container, at, file, "--config", objects.Authorizer); content != nil {
					c.checkReferences(container, content, path.Dir(file), authorizerFiles)
					c.checkCertificates(w, container, content, path.Dir(file))
					c.checkListeners(w, content)
					c.checkProbes(w, n, content)
				}
			}
		}
	}
}

// requireFile reports a file or folder that the container does not have.
func (c *checker) requireFile(container *model.Container, at *objects.Node, file, what string, isFolder bool) {
	if found, _ := c.FindFile(container, file, isFolder); found == model.Absent {
		c.report.Add(fileNotMounted, at, "%s: no volume of %s has %s", what, container.Title, file)
	}
}

// requireConfig reports a configuration that the container does not have at a path, or has at another one. It gives its content, if it is known.
func (c *checker) requireConfig(container *model.Container, at *objects.Node, file, what string, kind objects.ContentKind) *objects.Content {
	found, content := c.FindFile(container, file, false)
	switch {
	case content != nil && content.Kind == kind:
		return content
	case found == model.Present:
		return nil
	}
	volumes, _ := container.Volumes()
	for _, volume := range volumes {
		for _, source := range model.SourcesOf(volume) {
			holder, name, _ := model.SourceOf(source)
			for _, each := range c.Set.ContentsOf(kind) {
				if holder != "" && each.Holder == name && (each.Namespace == container.Namespace || container.Namespace == "") {
					c.report.Add(fileNotMounted, at, "%s: %s has no file %s, and has the %s as key %s of the %s %s", what, container.Title, file, kind, each.Name, holder, name)
					return nil
				}
			}
		}
	}
	if found == model.Absent {
		c.report.Add(fileNotMounted, at, "%s: no volume of %s has %s", what, container.Title, file)
	}
	return nil
}

// A reference is a member of a configuration with the path of a file or folder.
type reference struct {
	path     []string // * is each entry of a list
	isFolder bool
}

var (
	authorizerFiles = []reference{
		{[]string{"trust", "*", "jwks", "file"}, false}, {[]string{"trust", "*", "jwks", "caFile"}, false}, {[]string{"trust", "*", "jwks", "seed"}, false},
		{[]string{"policies", "dirs", "*", "path"}, true}, {[]string{"policies", "overrides"}, false}, {[]string{"revocation", "file"}, false},
		{[]string{"revocation", "redis", "caFile"}, false}, {[]string{"revocation", "redis", "passwordFile"}, false}, {[]string{"listeners", "*", "services"}, false},
		{[]string{"tls", "certFile"}, false}, {[]string{"tls", "keyFile"}, false}, {[]string{"tls", "clientCAFile"}, false}, {[]string{"audit", "chain", "key"}, false},
	}
	pluginFiles = []reference{
		{[]string{"keys", "dir"}, true}, {[]string{"secretFile"}, false}, {[]string{"revocation", "file"}, false}, {[]string{"edge", "policies", "*", "path"}, true},
		{[]string{"audit", "chain", "key"}, false},
	}
)

// checkReferences looks up the files that a configuration names.
func (c *checker) checkReferences(container *model.Container, content *objects.Content, folder string, references []reference) {
	for _, r := range references {
		for _, n := range valuesAt(content.Root, r.path) {
			if file := n.String(); file != "" {
				file = model.ResolvePath(folder, file)
				c.requireFile(container, n, file, strings.Join(r.path, "."), r.isFolder)
				c.checkMount(container, n, file, strings.Join(r.path, "."))
			}
		}
	}
}

func valuesAt(n *objects.Node, steps []string) []*objects.Node {
	if len(steps) == 0 {
		if n == nil {
			return nil
		}
		return []*objects.Node{n}
	}
	if steps[0] != "*" {
		return valuesAt(n.Find(steps[0]), steps[1:])
	}
	var all []*objects.Node
	for _, entry := range n.Entries() {
		all = append(all, valuesAt(entry, steps[1:])...)
	}
	return all
}

// checkVolumes looks the sources of volumes up. Without the whole cluster, a name that resembles no other one may be of an object that is
// applied by other means.
func (c *checker) checkVolumes(container *model.Container) {
	volumes, unknown := container.Volumes()
	for _, mount := range unknown {
		if container.Node.Find("extraVolumeMounts") == nil { // a chart adds volumes of its own
			c.report.Add(sourceUnknown, mount, "%s mounts the volume %s, which its pod does not have", container.Title, mount.Find("name").String())
		}
	}
	for _, volume := range volumes {
		for _, source := range model.SourcesOf(volume) {
			c.checkSource(container, source)
		}
	}
}

func (c *checker) checkSource(container *model.Container, source *objects.Node) {
	kind, name, entry := model.SourceOf(source)
	if entry == nil || entry.Find("optional").IsTrue() {
		return
	}
	var names []string
	for _, o := range c.OfKind(objects.Core, kind) {
		if o.Namespace != container.Namespace && container.Namespace != "" {
			continue
		}
		if o.Name == name {
			return
		}
		names = append(names, o.Name)
	}
	near := suggest.DidYouMean(name, names)
	if i := slices.IndexFunc(names, func(other string) bool { return len(other) == len(name)+11 && strings.HasPrefix(other, name+"-") }); near == "" && i >= 0 {
		near = ` (did you mean "` + names[i] + `"?)`
	}
	if near != "" || c.Set.IsWholeCluster && kind == "ConfigMap" {
		c.report.Add(sourceUnknown, entry, "%s has a volume of the %s %s, which is not there%s", container.Title, kind, name, near)
	}
}

// checkGateways checks the containers of Tyk's gateway.
func (c *checker) checkGateways() {
	for _, g := range c.Gateways {
		container := g.Container()
		if container == nil {
			continue
		}
		c.checkVolumes(container)
		c.checkPluginFile(g, container)
		if file, at := model.Argument(container.Node, "conf"); path.IsAbs(file) && g.Workload != nil {
			c.requireFile(container, at, file, "--conf", false)
		}
		if text, at := g.Setting("app_path"); g.Workload != nil && path.IsAbs(text) && !g.IsOn("use_db_app_configs") && !c.isInImage(text) {
			c.requireFile(container, at, text, "app_path", true)
		}
		if text, at := g.Setting("policies.policy_record_name"); g.Workload != nil && path.IsAbs(text) && (container.FindMount(text) != nil || !strings.HasPrefix(text, "/opt/tyk-gateway/")) {
			c.requireFile(container, at, text, "policy_record_name", false)
		}
	}
	for _, a := range c.ServedAPIs() {
		c.checkVariables(a)
	}
}

// isInImage reports a folder that Tyk's image has.
func (c *checker) isInImage(folder string) bool {
	return folder == "/opt/tyk-gateway/apps" || strings.HasPrefix(folder, "/opt/tyk-gateway/apps/")
}

// checkPluginFile looks for the file that MESHPASS_CONFIG names.
func (c *checker) checkPluginFile(g *model.TykGateway, container *model.Container) {
	const name = "MESHPASS_CONFIG"
	file := g.Variables.Value(name)
	runs := slices.ContainsFunc(c.ServedAPIs(), func(a *model.API) bool { return c.Serves(g, a) && a.ListsHooks() })
	switch {
	case runs && g.Variables.Lacks(name):
		c.report.Add(configNotNamed, container.Node, "%s has no variable MESHPASS_CONFIG, and its APIs have our hooks", container.Title)
		return
	case runs && file != nil && file.String() == "":
		c.report.Add(configNotNamed, file, "the variable MESHPASS_CONFIG of %s is empty", container.Title)
		return
	case !path.IsAbs(file.String()): // relative to the working folder, or not in the input
		return
	}
	if content := c.requireConfig(container, file, file.String(), name, objects.PluginFile); content != nil {
		c.checkReferences(container, content, path.Dir(file.String()), pluginFiles)
	}
}

// checkVariables looks up the variables, and the secrets of tyk.conf, that a definition names.
func (c *checker) checkVariables(a *model.API) {
	g := c.GatewayOf(a)
	if g == nil || g.Workload == nil {
		return // Helm values may be one layer of several
	}
	_, secrets := g.Setting("secrets")
	a.Root.Walk(func(n *objects.Node) bool {
		if n.Kind != objects.Text {
			return true
		}
		_, name, isVariable := strings.Cut(n.String(), "env://") // up to the end of the text, as Tyk reads it
		if isVariable && g.Variables.Lacks(name) {
			c.report.Add(variableUnknown, n, "the API %s reads env://%s, and %s has no such variable%s", a.Title(), name, g.Workload.Title(), suggest.DidYouMean(name, g.Variables.Names()))
		}
		_, name, isSecret := strings.Cut(n.String(), "secrets://")
		if isSecret && g.Conf != nil && (secrets == nil || secrets.Kind == objects.Map && secrets.FindFold(name) == nil) {
			c.report.Add(variableUnknown, n, "the API %s reads secrets://%s, and secrets of tyk.conf has no such member", a.Title(), name)
		}
		return true
	})
}
