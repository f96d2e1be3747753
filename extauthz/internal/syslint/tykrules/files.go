package tykrules

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/gateway/hooks"
)

var (
	definitionNotLoaded = registry.Define("tyk_definition_not_loaded", finding.Error,
		"The gateway does not load a definition that a ConfigMap has for it.",
		"The API is answered with 404; or a former version of it stays where the gateway does look.",
		"Mount the ConfigMap at app_path, name the file *.json, and leave use_db_app_configs off.")
	pluginNotInstalled = registry.Define("tyk_plugin_not_installed", finding.Error,
		"The path of a hook is no place where the gateway's pods have the plugin.",
		"Tyk cannot load the hooks, and does not serve the API.",
		"Write the path below the volume with the plugin, such as plugins/identity.so, or mount the volume there.")
)

// checkFiles compares what definitions name with what the gateway's pods have.
func (c *checker) checkFiles() {
	for _, a := range c.apis {
		g := c.GatewayOf(a)
		if g == nil {
			continue
		}
		if g.Workload != nil {
			c.checkLoaded(a, g)
		}
		if container := g.Container(); container != nil && (g.Workload != nil || g.Values.Find("extraVolumes") != nil) {
			c.checkInstalled(a, g, container)
		}
	}
}

// checkLoaded checks whether the gateway finds a definition that is in a ConfigMap of its namespace.
func (c *checker) checkLoaded(a *model.API, g *model.TykGateway) {
	if a.Object != nil || a.Form == model.OpenAPI || a.Content.Holder == "" || a.Content.Namespace != g.Workload.Namespace {
		return
	}
	title := "ConfigMap " + a.Content.Namespace + "/" + a.Content.Holder
	if g.IsOn("use_db_app_configs") {
		c.report.Add(definitionNotLoaded, g.At("use_db_app_configs"), "with use_db_app_configs the gateway does not load the definitions of %s", title)
		return
	}
	folder, at := g.Setting("app_path")
	if folder == "" && c.readsOtherConf(g) {
		return
	}
	if folder == "" {
		folder, at = "apps", g.Root
	}
	folder = g.Path(folder)
	container := g.Container()
	found, _ := c.FindFile(container, path.Join(folder, a.Content.Name), false)
	mounted := slices.Contains(container.ConfigMapsAt(folder), a.Content.Holder)
	if exists, _ := c.FindFile(container, folder, true); exists == model.Absent && !strings.HasPrefix(folder, "/opt/tyk-gateway/apps") {
		return // see file_not_mounted
	}
	switch {
	case found == model.Absent && !mounted:
		c.report.Add(definitionNotLoaded, at, "app_path is %s, and %s is not mounted there", folder, title)
	case mounted && !strings.HasSuffix(a.Content.Name, ".json"):
		c.report.Add(definitionNotLoaded, a.Root, "API %s: Tyk loads files *.json, and this one is called %s", a.Title(), a.Content.Name)
	}
}

// readsOtherConf reports a gateway whose tyk.conf is in a volume, and not in the input.
func (c *checker) readsOtherConf(g *model.TykGateway) bool {
	container := g.Container()
	file, _ := model.Argument(container.Node, "conf")
	if file == "" {
		file = "tyk.conf"
	}
	found, _ := c.FindFile(container, g.Path(file), false)
	return g.Conf == nil && found == model.Unknown
}

var (
	tykOwnImage = regexp.MustCompile(`(^|/)tykio/tyk-gateway`)
	pluginImage = regexp.MustCompile(`(^|/)tyk-plugin([:@]|$)`)
)

// checkInstalled checks the paths of our hooks.
func (c *checker) checkInstalled(a *model.API, g *model.TykGateway, container *model.Container) {
	if n, _ := c.otherFile(a); n != nil || a.Bundle != nil {
		return
	}
	for list, entries := range a.Hooks {
		for i, e := range entries {
			if _, ours := hooks.ListOf[e.Name]; !ours && e.Name != hooks.Canary || e.Disabled || e.Path == "" {
				continue
			}
			if why := c.whyNotInstalled(g, container, g.Path(e.Path)); why != "" {
				c.report.Add(pluginNotInstalled, a.HookNodes[list][i], "API %s: %s: %s", a.Title(), e.Path, why)
				return
			}
		}
	}
}

// whyNotInstalled explains why the pods do not have the plugin at a path; "": they have it, or the input does not show it.
func (c *checker) whyNotInstalled(g *model.TykGateway, container *model.Container, file string) string {
	volume, below, known := container.FindVolume(path.Dir(file))
	found, _ := c.FindFile(container, path.Dir(file), true)
	switch {
	case !known || volume == nil && g.Workload != nil && !tykOwnImage.MatchString(g.Image.String()):
		return "" // an image of one's own may have it
	case volume == nil:
		return "no volume is mounted at " + path.Dir(file) + ", and Tyk's image does not have the plugin"
	case found == model.Absent:
		return "the volume at " + path.Dir(file) + " does not have the plugin"
	}
	folder, own := c.pluginFolder(g, volume)
	switch {
	case !own:
		return ""
	case path.Clean(folder) != path.Clean(below):
		return "the plugin is in another folder of this volume"
	case path.Base(file) != "identity.so":
		return "the plugin's file is called identity.so"
	}
	return ""
}

// pluginFolder gives the folder of a volume with the plugin: of our image, or where our init container writes it. own is false for other volumes.
func (c *checker) pluginFolder(g *model.TykGateway, volume *objects.Node) (folder string, own bool) {
	if pluginImage.MatchString(volume.FindPath("image", "reference").String()) {
		return "plugins", true
	}
	if g.Workload == nil {
		return "", false
	}
	for _, init := range g.Workload.PodSpec.Find("initContainers").Entries() {
		if args := init.Find("args").Texts(); pluginImage.MatchString(init.Find("image").String()) && len(args) > 0 {
			if filled, below, _ := g.Workload.ContainerOf(init).FindVolume(args[len(args)-1]); filled == volume {
				return below, true
			}
		}
	}
	return "", false
}
