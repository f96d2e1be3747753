package routes_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/routes"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

// randomInstallation makes a gateway with definitions whose listen paths, aliases, versions and domains often meet.
func randomInstallation(random *rand.Rand) []string {
	pick := func(texts ...string) string { return texts[random.IntN(len(texts))] }
	chance := func(n int) bool { return random.IntN(n) == 0 }
	texts := []string{fmt.Sprintf(`{"listen_port": 8080, "secret": "x", "app_path": "apps", "control_api_port": %d, "enable_custom_domains": %t, "http_server_options": {"enable_strict_routes": %t}}`,
		8080+random.IntN(2), chance(2), chance(2))}
	ids := []string{"a", "b", "c", "d", "e"}[:1+random.IntN(5)]
	for _, id := range ids {
		listenPath := ""
		for range 1 + random.IntN(3) {
			listenPath += "/" + pick("a", "b", "c", "ab", "v1", "a", "b", "{x}", "{n:[0-9]+}")
		}
		switch random.IntN(6) {
		case 0:
			listenPath = "/"
		case 1, 2:
		default:
			listenPath += "/"
		}
		target := func() string {
			return "http://" + pick("orders", "reports") + ".shop.svc.cluster.local:8080" + pick("", "", "/", "/t", "/t/", "/t/u")
		}
		proxy := map[string]any{"listen_path": listenPath, "strip_listen_path": chance(2), "disable_strip_slash": chance(4), "target_url": target()}
		d := map[string]any{"api_id": id, "name": id, "use_keyless": chance(3), "internal": chance(6), "proxy": proxy}
		switch random.IntN(8) {
		case 0:
			proxy["target_url"] = "tyk://" + pick(ids...)
		case 1:
			proxy["enable_load_balancing"], proxy["target_list"] = true, []string{target(), target(), target()}
		}
		if chance(3) {
			d["domain"] = pick("shop.example", "shop.example", "other.example", "*.example", "Shop.example", "shop", "{x}.example")
		}
		lists := map[string]any{}
		if chance(12) {
			lists["url_rewrites"] = []any{map[string]any{"path": "/a", "method": "GET", "match_pattern": "a", "rewrite_to": "/b"}}
		}
		versions := map[string]any{"Default": map[string]any{"name": "Default", "use_extended_paths": true, "extended_paths": lists}}
		data := map[string]any{"not_versioned": true, "versions": versions}
		d["version_data"] = data
		versioning := map[string]any{"location": pick("header", "header", "url-param", "url", "cookie", ""), "key": pick("X-V", "X-V", "v", "Host", ""), "fallback_to_default": chance(2), "strip_versioning_data": chance(2)}
		switch random.IntN(6) {
		case 0:
			children := map[string]string{}
			for _, name := range []string{"v1", "v2", "a"}[random.IntN(3):] {
				children[name] = pick(append(ids, "nobody")...)
			}
			versioning["enabled"], versioning["name"], versioning["default"], versioning["versions"] = true, pick("v0", "", "a"), pick("", "self", "v1", "v9"), children
			d["definition"] = versioning
		case 1:
			data["not_versioned"], data["default_version"] = false, pick("", "v1", "v9")
			for _, name := range []string{"v1", "v2"}[random.IntN(2):] {
				versions[name] = map[string]any{"name": name, "override_target": pick("", target())}
			}
			delete(versions, "Default")
			d["definition"] = versioning
		}
		text, err := json.Marshal(d)
		if err != nil {
			panic(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

func randomRequest(random *rand.Rand) tykroute.Request {
	pick := func(texts ...string) string { return texts[random.IntN(len(texts))] }
	r := tykroute.Request{Method: http.MethodGet, Host: pick("shop.example", "other.example", "x.example", "shop", "any.invalid"), Header: http.Header{}}
	for range random.IntN(5) {
		r.Target += "/" + pick("a", "b", "c", "d", "ab", "abc", "v1", "v2", "7", "t")
	}
	if r.Target == "" || random.IntN(3) == 0 {
		r.Target += "/"
	}
	if random.IntN(3) == 0 {
		r.Header.Set("X-V", pick("v0", "v1", "v2", "v9", "self", "a"))
	}
	if random.IntN(3) == 0 {
		r.Target += "?v=" + pick("v1", "v2", "v9")
	}
	return r
}

// Random definitions become routes that do the same with random requests, or are refused: then no route takes their requests.
func TestRandomDefinitions(t *testing.T) {
	number, seed := 250, uint64(7)
	if text := os.Getenv("ROUTES_DEFINITIONS"); text != "" {
		var err error
		if number, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		seed = rand.Uint64()
		t.Logf("seed %d", seed)
	}
	random := rand.New(rand.NewPCG(seed, seed))
	counts := map[string]int{}
	for range number {
		texts := randomInstallation(random)
		for _, kind := range []routes.Kind{routes.HTTPRoute, routes.VirtualService} {
			m := readModel(t, append(texts, workloads)...)
			router := tykroute.NewRouters(m)[0]
			rendered := routes.Render(m, routes.Options{Kind: kind, GatewayNamespace: "edge", GatewayName: "public", Namespace: "edge", Partial: true}, ignoreProgress)
			var text strings.Builder
			if err := rendered.Print(&text); err != nil {
				t.Fatal(err)
			}
			refused, deniesMore := map[string]bool{}, false
			for _, a := range rendered.APIs {
				refused[a.API] = a.State == tykroute.Refused
				deniesMore = deniesMore || strings.HasPrefix(a.Reason, "its domain")
			}
			find := routes.FindRoute(readModel(t, workloads, text.String()))
			for range 40 {
				request := randomRequest(random)
				said := router.Route(request)
				got := find(request)
				want := "nowhere"
				switch {
				case said.Outcome == tykroute.Unknown:
					if want = "anywhere"; refused[said.API.Title()] {
						want = "nowhere"
					}
				case said.Outcome == tykroute.Passed && !said.Alias && !refused[said.API.Title()]:
					want = describeShares(said)
				}
				if has := describeFound(got); want != "anywhere" && has != want && !(deniesMore && got == nil) {
					t.Fatalf("%s: %s %s %v\nTyk: %+v\nwant %s\ngot  %s\n%s\n%s\n%s", kind, request.Host, request.Target, request.Header, said, want, has, strings.Join(texts, "\n"), text.String(), states(rendered))
				}
				counts[string(kind)+" "+string(said.Outcome)]++
				if got != nil {
					counts[string(kind)+" forwarded"]++
				}
			}
		}
	}
	t.Log(counts)
	if counts["httproute forwarded"] < number || counts["virtualservice forwarded"] < 2*number {
		t.Errorf("too few requests are forwarded: %v", counts)
	}
}

func states(r routes.Rendered) string {
	var b strings.Builder
	_ = r.PrintStates(&b)
	return b.String()
}

func describeShares(a tykroute.Answer) string {
	shares := map[string]int{}
	for _, u := range a.Upstreams {
		shares[u.URL.Host] += u.Weight
	}
	return fmt.Sprintf("%s %v", a.Upstreams[0].Path(), sortedShares(shares))
}

func describeFound(found *routes.Found) string {
	if found == nil {
		return "nowhere"
	}
	return fmt.Sprintf("%s %v", found.Path, sortedShares(found.Shares))
}

// sortedShares divides the shares by their common divisor. fmt prints maps in order.
func sortedShares(shares map[string]int) map[string]int {
	divisor := 0
	for n := range maps.Values(shares) {
		for a, b := divisor, n; ; a, b = b, a%b {
			if b == 0 {
				divisor = a
				break
			}
		}
	}
	for name := range shares {
		shares[name] /= max(divisor, 1)
	}
	return shares
}

// A rule for one path and one version leaves the other versions of the path to no other API.
func TestVersionsOfOnePath(t *testing.T) {
	m := readModel(t, `{"listen_port": 8080, "control_api_port": 8081, "secret": "x", "app_path": "apps", "http_server_options": {"enable_strict_routes": true}}`,
		`{"api_id": "a", "name": "a", "version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default"}}},
			"proxy": {"listen_path": "/a/", "strip_listen_path": true, "target_url": "http://orders.shop.svc.cluster.local:8080/"}}`,
		`{"api_id": "b", "name": "b", "definition": {"key": "v", "location": "url-param"}, "proxy": {"listen_path": "/a", "target_url": "http://reports.shop.svc.cluster.local:8080/"},
			"version_data": {"not_versioned": false, "default_version": "v1", "versions": {"v2": {"name": "v2", "override_target": "http://reports.shop.svc.cluster.local:8080"}}}}`, workloads)
	for _, kind := range []routes.Kind{routes.HTTPRoute, routes.VirtualService} {
		rendered := routes.Render(m, routes.Options{Kind: kind, GatewayNamespace: "edge", GatewayName: "public", Namespace: "edge"}, ignoreProgress)
		var text strings.Builder
		if err := rendered.Print(&text); err != nil {
			t.Fatal(err)
		}
		find := routes.FindRoute(readModel(t, workloads, text.String()))
		for target, want := range map[string]bool{"/a": false, "/a?v=v9": false, "/a?v=v2": true, "/a/x": true} {
			if got := describeFound(find(tykroute.Request{Method: http.MethodGet, Host: "shop.example", Target: target})); (got != "nowhere") != want {
				t.Errorf("%s %s: got %s, want that it is forwarded: %t\n%s", kind, target, got, want, states(rendered))
			}
		}
	}
}
