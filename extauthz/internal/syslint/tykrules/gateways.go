package tykrules

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

var (
	bundleUnsigned = registry.Define("tyk_bundle_without_key", finding.Error,
		"An API takes its hooks from a bundle, and the gateway has no public_key_path.",
		"Anyone who can write to the bundle server runs code in the gateway.",
		"Set public_key_path and sign the bundle, or install the plugin as a file. The signature does not cover the list of hooks.")
	bundleOff = registry.Define("tyk_bundle_not_loaded", finding.Error,
		"An API names a bundle, and the gateway does not download bundles, or APIs in front of our hosts name two bundles.",
		"Tyk does not load the API, or answers each request with 500: Go loads a plugin from one folder.",
		"Set enable_bundle_downloader and bundle_base_url, and name one bundle in all APIs, the canary too.")
	failOpenRelease = registry.Define("tyk_fail_open_release", finding.Error,
		"A gateway with bundles is of a release that serves an API without its hooks if the bundle's folder is damaged (5.8.0 to 5.8.6, 5.9, 5.10.0), or keeps the folder on a volume that outlives the pod.",
		"A pod that is killed while it writes the folder serves the API without plugin afterwards.",
		"Use 5.8.7 or newer, 5.10.1 or newer; never keep the folder middleware on a volume.")
	canaryMissing = registry.Define("tyk_canary_missing", finding.Warning,
		"The gateway has APIs with our hooks and none with the canary, or its readiness probe does not ask it.",
		"A gateway whose plugin, keys or configuration do not work becomes ready: /hello is healthy in all these cases.",
		"Add manifests/tyk/apis/canary.json and probe /meshpass-canary/.")
	controlShared = registry.Define("tyk_control_api_shared", finding.Error,
		"Tyk's control API is on the port that clients reach.",
		"Who guesses or has its secret makes keys with any metadata, and so any subject.",
		"Set control_api_port to a port that no Service names.")
	secretDefault = registry.Define("tyk_default_secret", finding.Error,
		"The gateway has no secret, or the public one of Tyk's samples or of its chart.",
		"Anyone who reaches the control API makes keys with any metadata, and so any subject.",
		"Set TYK_GW_SECRET from a Secret.")
)

// publicSecrets are those of Tyk's sample configuration and chart.
var publicSecrets = []string{"352d20ee67be67f6340b4c0605b044b7", "CHANGEME", "changeme"}

func (c *checker) checkGateways() {
	for _, g := range c.Gateways {
		served := slices.DeleteFunc(slices.Clone(c.apis), func(a *model.API) bool { return !c.Serves(g, a) })
		c.checkBundles(g, served)
		c.checkCanary(g, served)
		c.checkControl(g, served)
		c.checkTrial(g)
	}
}

func (c *checker) checkBundles(g *model.TykGateway, served []*model.API) {
	var first *objects.Node
	for _, a := range served {
		if a.Bundle == nil {
			continue
		}
		if key, _ := g.Setting("public_key_path"); key == "" {
			c.report.Add(bundleUnsigned, a.Bundle, "API %s uses the bundle %s, and the gateway checks no signature", a.Title(), a.Bundle.String())
		}
		if first != nil && a.Bundle.String() != first.String() && (a.IsCanary() || c.leadsToUs(a)) {
			c.report.Add(bundleOff, a.Bundle, "API %s uses the bundle %s, and another API %s: Go loads the plugin of one of them", a.Title(), a.Bundle.String(), first.String())
		}
		if first == nil {
			first = a.Bundle
		}
		if url, _ := g.Setting("bundle_base_url"); !g.IsOn("enable_bundle_downloader") || url == "" {
			c.report.Add(bundleOff, a.Bundle, "API %s uses the bundle %s", a.Title(), a.Bundle.String())
		}
	}
	if first == nil {
		return
	}
	if release, known := imageRelease(g.Image); known && release.failsOpen() {
		c.report.Add(failOpenRelease, g.Image, "the gateway is %s", g.Image.String())
	}
	folder, _ := g.Setting("middleware_path")
	if container := g.Container(); container != nil && g.Workload != nil && folder != "" {
		volume, _, _ := container.FindVolume(path.Join(g.Path(folder), "bundles"))
		for _, kind := range []string{"persistentVolumeClaim", "hostPath", "nfs"} {
			if volume.Find(kind) != nil {
				c.report.Add(failOpenRelease, volume, "bundles are kept in %s, on a volume that outlives the pod", g.Path(folder))
			}
		}
	}
}

// tykRelease is a release of Tyk's gateway: major, minor, patch.
type tykRelease [3]int

var releaseTag = regexp.MustCompile(`^v?(\d+)\.(\d+)\.(\d+)`)

// imageRelease gives the release that the tag of an image, or a tag alone, names.
func imageRelease(image *objects.Node) (release tykRelease, known bool) {
	name, _, _ := strings.Cut(image.String(), "@")
	match := releaseTag.FindStringSubmatch(name[strings.LastIndexAny(name, "/:")+1:])
	if match == nil {
		return release, false
	}
	for i := range release {
		release[i], _ = strconv.Atoi(match[i+1])
	}
	return release, true
}

// String writes a release as Tyk does: v5.8.1.
func (r tykRelease) String() string { return fmt.Sprintf("v%d.%d.%d", r[0], r[1], r[2]) }

// isBefore reports a release that is older than a minor one.
func (r tykRelease) isBefore(major, minor int) bool {
	return r[0] < major || r[0] == major && r[1] < minor
}

// failsOpen reports a release with the fault of leftover folders.
func (r tykRelease) failsOpen() bool {
	switch {
	case r[0] == 5 && r[1] == 8:
		return r[2] <= 6
	case r[0] == 5 && r[1] == 10:
		return r[2] == 0
	default:
		return r.isBefore(5, 10)
	}
}

func (c *checker) checkCanary(g *model.TykGateway, served []*model.API) {
	bundled := func(a *model.API) bool { return a.Bundle != nil && len(c.Plugins) > 0 && c.leadsToUs(a) }
	if !slices.ContainsFunc(served, func(a *model.API) bool { return a.ListsHooks() || bundled(a) }) {
		return
	}
	var canary *model.API
	for _, a := range served {
		if a.IsCanary() {
			canary = a
		}
	}
	if canary == nil {
		c.report.Add(canaryMissing, g.Root, "no API is a canary: by the hook Canary, or with a bundle by config_data.meshpass.canary")
		return
	}
	probe, known := g.Probe()
	if known && !strings.HasPrefix(probe.String(), canary.ListenPathText()) {
		c.report.Add(canaryMissing, at(canary, probe), "the readiness probe asks %s and not the canary %s", quote(probe.String()), canary.ListenPathText())
		return
	}
	c.checkProbe(g, canary, probe.Parent())
}

// checkProbe checks whether the request of a probe for the canary gets to it.
func (c *checker) checkProbe(g *model.TykGateway, canary *model.API, get *objects.Node) {
	if g.Workload == nil || g.Conf == nil || get == nil {
		return
	}
	listen, _ := g.Setting("listen_port")
	if canary.Port != nil {
		listen = canary.Port.String()
	}
	port := get.Find("port").String()
	for _, p := range g.Container().Node.Find("ports").Entries() {
		if p.Find("name").String() == port {
			port = p.Find("containerPort").String()
		}
	}
	if number, err := strconv.Atoi(port); err == nil && listen != "" && port != listen {
		c.report.Add(canaryMissing, get.Find("port"), "the readiness probe asks the port %d, and the gateway answers on %s", number, listen)
	}
	host, at := g.Setting("hostname")
	named := slices.ContainsFunc(get.Find("httpHeaders").Entries(), func(n *objects.Node) bool {
		return strings.EqualFold(n.Find("name").String(), "host") && strings.EqualFold(n.Find("value").String(), host)
	})
	if host != "" && !named {
		c.report.Add(canaryMissing, at, "the gateway answers for the host %s alone, and the readiness probe does not name it", quote(host))
	}
}

func (c *checker) checkControl(g *model.TykGateway, served []*model.API) {
	if secret, n := g.Setting("secret"); slices.Contains(publicSecrets, secret) {
		c.report.Add(secretDefault, n, "the secret of the control API is public")
	}
	if !slices.ContainsFunc(served, (*model.API).ListsHooks) {
		return
	}
	if secret, _ := g.Setting("secret"); secret == "" && g.Conf != nil && g.Workload != nil && g.Variables.Lacks("TYK_GW_SECRET") {
		c.report.Add(secretDefault, g.Root, "neither tyk.conf nor TYK_GW_SECRET sets a secret: the control API admits requests without one")
	}
	if g.Conf == nil {
		c.checkChartControl(g)
		return
	}
	port, n := g.Setting("control_api_port")
	if n == nil {
		n = g.Root
	}
	number, _ := strconv.Atoi(port)
	listen, _ := g.Setting("listen_port")
	switch {
	case number == 0:
		c.report.Add(controlShared, n, "there is no control_api_port")
	case port == listen:
		c.report.Add(controlShared, n, "control_api_port is listen_port")
	case g.Workload != nil:
		for _, p := range c.PortsOf(g.Workload) {
			if p.Number == number {
				c.report.Add(controlShared, p.Node, "a Service leads to the port %d of the control API", number)
			}
		}
	}
}

// checkChartControl checks values of Tyk's chart, which has the switch control.enabled.
func (c *checker) checkChartControl(g *model.TykGateway) {
	if g.Values == nil {
		return
	}
	if port, _ := g.Setting("control_api_port"); port != "" && port != "0" {
		return
	}
	if n := g.Values.FindPath("control", "enabled"); !n.IsTrue() {
		c.report.Add(controlShared, cmp.Or(n, g.Values), "gateway.control.enabled is not set in the values")
	}
}
