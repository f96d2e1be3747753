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
		"Mount the ConfigMap at app_path, name the file *.json, and leave use_db_app_configs and slave_options.use_rpc off.")
	pluginNotInstalled = registry.Define("tyk_plugin_not_installed", finding.Error,
		"The path of a hook is no place where the gateway's pods have the plugin.",
		"Tyk cannot load the hooks, and does not serve the API.",
		"Write the path below the volume with the plugin, such as plugins/identity.so, or mount the volume there.")
	pluginRelease = registry.Define("tyk_plugin_release", finding.Error,
		"The path of a hook names the plugin for another release than the gateway's image has, or there is no plugin for the gateway's release.",
		"A gateway loads a plugin of its own release alone: it answers every request to the API with 500.",
		"Write plugins/identity.so. The gateway completes the name with its own release and platform.")
	jwtSourcePlain = registry.Define("tyk_jwt_source_plain", finding.Error,
		"A classic definition names a key set by a plain URL, and the gateway is of release 5.9 or newer.",
		"Tyk accepts tokens with the first request after a start only, and answers 403 (Key not authorized) afterwards.",
		"Write the URL of jwt_source in base64, which every release reads, and add this text to jwtSources of the plugin's file, if it lists any.")
	pluginTrial = registry.Define("tyk_plugin_trial", finding.Warning,
		"The init container that tries the plugin has another release than the gateway.",
		"A plugin that the gateway cannot load passes the trial, or the trial stops a rollout that would work.",
		"Use one image in the init container with `install check` and in the gateway's container.")
)

// checkFiles compares what definitions name with what the gateway's pods have.
func (c *checker) checkFiles() {
	for _, a := range c.apis {
		g := c.GatewayOf(a)
		if g == nil {
			continue
		}
		c.checkPluginRelease(a, g)
		c.checkJWTSource(a, g)
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
	if g.IsOn("slave_options.use_rpc") {
		c.report.Add(definitionNotLoaded, g.At("slave_options.use_rpc"), "with slave_options.use_rpc the gateway does not load the definitions of %s", title)
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
	case found == model.Unknown && !mounted && c.isMountedElsewhere(g, container, a.Content.Holder):
		c.report.Add(definitionNotLoaded, at, "app_path is %s, and %s is mounted at another folder", folder, title)
	case mounted && !strings.HasSuffix(a.Content.Name, ".json"):
		c.report.Add(definitionNotLoaded, a.Root, "API %s: Tyk loads files *.json, and this one is called %s", a.Title(), a.Content.Name)
	}
}

// isMountedElsewhere reports a ConfigMap that the gateway's container mounts, and no init container, which could copy it to app_path.
func (c *checker) isMountedElsewhere(g *model.TykGateway, container *model.Container, configMap string) bool {
	mounts := func(each *model.Container) bool {
		volumes, _ := each.Volumes()
		return slices.ContainsFunc(volumes, func(v *objects.Node) bool {
			return slices.ContainsFunc(model.SourcesOf(v), func(source *objects.Node) bool {
				kind, name, _ := model.SourceOf(source)
				return kind == "ConfigMap" && name == configMap
			})
		})
	}
	return mounts(container) && !slices.ContainsFunc(g.Workload.PodSpec.Find("initContainers").Entries(), func(n *objects.Node) bool { return mounts(g.Workload.ContainerOf(n)) })
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
	for _, list := range hookLists {
		for i, e := range a.Hooks[list] {
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

// namedRelease is the release in the name of a plugin's file.
var namedRelease = regexp.MustCompile(`(?:^|/)identity_(v\d+\.\d+\.\d+)_linux_[a-z0-9]+\.so$`)

// checkTrial compares the image of an init container that tries the plugin with the image of the gateway.
func (c *checker) checkTrial(g *model.TykGateway) {
	release, known := imageRelease(g.Image)
	if !known || g.Workload == nil {
		return
	}
	for _, init := range g.Workload.PodSpec.Find("initContainers").Entries() {
		words := slices.Concat(init.Find("command").Texts(), init.Find("args").Texts())
		tried, named := imageRelease(init.Find("image"))
		if len(words) > 1 && path.Base(words[0]) == "install" && words[1] == "check" && named && tried != release {
			c.report.Add(pluginTrial, init.Find("image"), "the init container %s tries the plugin with %s, and the gateway is %s",
				init.Find("name").String(), init.Find("image").String(), g.Image.String())
		}
	}
}

// checkJWTSource finds a URL that releases from 5.9 on read once.
func (c *checker) checkJWTSource(a *model.API, g *model.TykGateway) {
	release, known := imageRelease(g.Image)
	source := a.Root.FindFold("jwt_source")
	if !known || release.isBefore(5, 9) || a.Form != model.Classic || a.IsPair || !a.ListsHooks() {
		return
	}
	if text := g.Resolve(source.String()); a.Root.FindFold("enable_jwt").IsTrue() && (strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")) {
		c.report.Add(jwtSourcePlain, source, "API %s: jwt_source is a plain URL, and the gateway is %s", a.Title(), g.Image.String())
	}
}

// checkPluginRelease compares the release that a hook's path names with the image of the gateway.
func (c *checker) checkPluginRelease(a *model.API, g *model.TykGateway) {
	release, known := imageRelease(g.Image)
	if n, _ := c.otherFile(a); !known || n != nil || a.Bundle != nil {
		return
	}
	if a.ListsHooks() && release.isBefore(5, 8) {
		c.report.Add(pluginRelease, g.Image, "the gateway is %s, and the first release with a plugin is v5.8.0", g.Image.String())
		return
	}
	for _, list := range hookLists {
		for i, e := range a.Hooks[list] {
			named := namedRelease.FindStringSubmatch(e.Path)
			if named != nil && !e.Disabled && named[1] != release.String() {
				c.report.Add(pluginRelease, a.HookNodes[list][i], "API %s: %s, and the gateway is %s", a.Title(), e.Path, g.Image.String())
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
	case path.Base(file) != "identity.so" && !namedRelease.MatchString(file):
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
