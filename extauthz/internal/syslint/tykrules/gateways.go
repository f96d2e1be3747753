package tykrules

import (
	"fmt"
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
		"An API names a bundle, and the gateway does not download bundles.",
		"Tyk does not load the API.",
		"Set enable_bundle_downloader and bundle_base_url.")
	failOpenRelease = registry.Define("tyk_fail_open_release", finding.Error,
		"A gateway with bundles is of a release that serves an API without its hooks if the bundle's folder is damaged: 5.8.0 to 5.8.6, 5.9, 5.10.0.",
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
		served := slices.DeleteFunc(slices.Clone(c.apis), func(a *model.API) bool { return c.GatewayOf(a) != g })
		c.checkBundles(g, served)
		c.checkCanary(g, served)
		c.checkControl(g, served)
		c.checkTrial(g)
	}
}

func (c *checker) checkBundles(g *model.TykGateway, served []*model.API) {
	uses := false
	for _, a := range served {
		if a.Bundle == nil {
			continue
		}
		uses = true
		if key, _ := g.Setting("public_key_path"); key == "" {
			c.report.Add(bundleUnsigned, a.Bundle, "API %s uses the bundle %s, and the gateway checks no signature", a.Title(), a.Bundle.String())
		}
		if url, _ := g.Setting("bundle_base_url"); !g.IsOn("enable_bundle_downloader") || url == "" {
			c.report.Add(bundleOff, a.Bundle, "API %s uses the bundle %s", a.Title(), a.Bundle.String())
		}
	}
	if release, known := imageRelease(g.Image); known && uses && release.failsOpen() {
		c.report.Add(failOpenRelease, g.Image, "the gateway is %s", g.Image.String())
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

// failsOpen reports a release with the fault of leftover folders.
func (r tykRelease) failsOpen() bool {
	switch {
	case r[0] != 5 || r[1] < 8:
		return r[0] <= 5
	default:
		return r[1] == 8 && r[2] <= 6 || r[1] == 9 || r[1] == 10 && r[2] == 0
	}
}

func (c *checker) checkCanary(g *model.TykGateway, served []*model.API) {
	hooked := slices.ContainsFunc(served, (*model.API).ListsHooks)
	if !hooked {
		return
	}
	var canary *model.API
	for _, a := range served {
		if a.IsCanary() {
			canary = a
		}
	}
	if canary == nil {
		c.report.Add(canaryMissing, g.Root, "no API has the hook Canary")
		return
	}
	probe, known := g.Probe()
	if known && !strings.HasPrefix(probe.String()+"/", strings.TrimSuffix(canary.ListenPathText(), "/")+"/") {
		c.report.Add(canaryMissing, at(canary, probe), "the readiness probe asks %s and not the canary %s", quote(probe.String()), canary.ListenPathText())
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
		c.report.Add(controlShared, orNode(n, g.Values), "gateway.control.enabled is not set in the values")
	}
}

func orNode(n, other *objects.Node) *objects.Node {
	if n != nil {
		return n
	}
	return other
}
