package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/path"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// rbacRequests is the number of random requests for each case. `make rbac-proof` sends 10,000.
func rbacRequests(t *testing.T) int {
	t.Helper()
	text := os.Getenv("RBAC_REQUESTS")
	if text == "" {
		return 500
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// gatewayWorkload calls the upstreams of all cases.
const gatewayWorkload = "ns/edge/sa/tyk-gateway"

// rbacCase is one API with its documents and roles.
type rbacCase struct {
	name      string
	api       string              // what differs from the shipped definition; TARGET is the upstream
	client    string              // what precedes a path at the gateway, for an upstream's path behind base
	base      string              // what precedes it at the upstream
	header    http.Header         // of each request
	documents string              // YAML
	roles     map[string][]string // scopes
	exact     bool                // nothing is wider
}

func (c rbacCase) id() string { return c.name + "-api" }

// upstreamEcho answers with the path of the request.
func upstreamEcho(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Path", r.URL.EscapedPath())
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// realRedis starts a redis-server, and gives a part of tyk.conf.
func realRedis(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("NOT RUN: generated Tyk policies with a real Redis: needs redis-server")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := listener.Addr().(*net.TCPAddr)
	must(t, listener.Close())
	log := filepath.Join(t.TempDir(), "redis.log")
	server, err := process.Start(process.Spec{
		Name: "redis-server", Path: program, Stdout: log, Stderr: log, Dir: t.TempDir(),
		Args: []string{"--bind", "127.0.0.1", "--port", strconv.Itoa(address.Port), "--save", "", "--appendonly", "no"},
	})
	must(t, err)
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	must(t, server.AwaitReady(ctx, func(context.Context) error {
		connection, err := net.Dial("tcp", address.String())
		if err == nil {
			err = connection.Close()
		}
		return err
	}))
	return fmt.Sprintf(`"storage": {"type": "redis", "host": "127.0.0.1", "port": %d}`, address.Port)
}

// handMade are documents with the shapes that are easily got wrong.
var handMade = []rbacCase{
	{name: "plain", client: "/plain", roles: map[string][]string{"reader": {"s1"}, "writer": {"s1", "s2"}}, exact: true,
		documents: document("plain", `
  public: [{methods: [GET], paths: [/health]}]
  rules:
    - {name: read, effect: allow, to: {methods: [GET, HEAD], paths: ["/a", "/a/{x}", "/a/b/**"]}, scopes: [s1]}
    - {name: write, effect: allow, from: {workloads: [ns/edge/sa/tyk-gateway]}, to: {methods: [POST, PROPFIND], paths: ["/a/**"]}, scopes: [s2]}
    - {name: others, effect: allow, from: {workloads: [ns/shop/sa/web]}, to: {paths: ["/b/**"]}}
    - {name: admin, effect: deny, to: {paths: ["/a/admin", "/a/admin/**", "/{x}/ab"]}}`)},
	{name: "base", api: `{"proxy": {"target_url": "TARGET/v1/x/"}}`, client: "/base", base: "/v1/x", roles: map[string][]string{"reader": {"s1"}}, exact: true,
		documents: document("base", `
  rules:
    - {name: read, effect: allow, to: {methods: [GET, POST], paths: ["/v1/x/a/**", "/v1/{y}/b", "/v1/x/base-api/**", "/v2/x/a"]}, scopes: [s1]}
    - {name: admin, effect: deny, to: {paths: ["/v1/x/a/admin/{z}"]}, scopes: [s1]}`)},
	{name: "whole", api: `{"proxy": {"strip_listen_path": false}}`, client: "/whole", base: "/whole", roles: map[string][]string{"reader": {"s1"}}, exact: true,
		documents: document("whole", `
  rules:
    - {name: read, effect: allow, to: {methods: [GET, POST], paths: ["/{x}/a", "/whole/b/**", "/whole-api/ab"]}, scopes: [s1]}`)},
	{name: "noslash", api: `{"proxy": {"listen_path": "/noslash"}}`, client: "/noslash", roles: map[string][]string{"reader": {"s1"}}, exact: true,
		documents: document("noslash", `
  rules:
    - {name: read, effect: allow, to: {methods: [GET, POST], paths: ["/", "/a/**", "/{x}"]}, scopes: [s1]}`)},
	{name: "tenant", api: `{"proxy": {"listen_path": "/{tenant}/tenant/"}}`, client: "/acme/tenant", roles: map[string][]string{"reader": {"s1"}}, exact: true,
		documents: document("tenant", `
  rules:
    - {name: read, effect: allow, to: {methods: [GET, POST], paths: ["/a/**", "/{x}/b"]}, scopes: [s1]}
    - {name: admin, effect: deny, to: {paths: ["/a/admin/**"]}}`)},
	{name: "versions", api: `{"definition": {"location": "header", "key": "x-version"}, "version_data": {"not_versioned": false, "default_version": "v1",
		"versions": {"Default": null, "v1": {"name": "v1"}, "v2": {"name": "v2", "override_target": "TARGET/two/"}}}}`,
		client: "/versions", base: "/two", header: http.Header{"X-Version": {"v2"}}, roles: map[string][]string{"reader": {"s1"}},
		documents: document("versions", `
  rules:
    - {name: read, effect: allow, to: {methods: [GET, POST], paths: ["/two/a/**", "/{x}/b"]}, scopes: [s1]}`)},
	{name: "conditional", client: "/conditional", roles: map[string][]string{"reader": {"s1"}, "second": {"s2"}},
		documents: document("conditional", `
  rules:
    - {name: read, effect: allow, to: {methods: [GET, POST], paths: ["/a/{x}"]}, scopes: [s1], when: claims.tctx.tenant == path.x}
    - {name: both, effect: allow, to: {methods: [GET, POST], paths: ["/b/**"]}, scopes: [s1, s2]}
    - {name: gold, effect: allow, to: {methods: [GET, POST], paths: ["/ab/**"]}, scopes: [s2], claims: {tctx.tenant: [a, b]}}
    - {name: blocked, effect: deny, to: {paths: ["/ab/admin"]}, claims: {tctx.tenant: [b]}}`)},
}

func document(name, spec string) string {
	return "apiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: " + name + "}\nspec:\n  targets: {workloads: [ns/shop/sa/" + name + "]}" + spec + "\n"
}

// randomSegments are those of patterns and of requests.
var randomSegments = []string{"a", "b", "ab", "admin", "admi", "a b", "é", ".well-known", "a:b", "$x", "a+b"}

// randomCase has random documents.
func randomCase(random *rand.Rand, number int) rbacCase {
	c := rbacCase{name: fmt.Sprintf("random%d", number), roles: map[string][]string{"reader": {"s1"}, "writer": {"s2", "s3"}}, exact: true}
	c.client = "/" + c.name
	if number%2 == 1 {
		c.api, c.base = `{"proxy": {"target_url": "TARGET/base/"}}`, "/base"
	}
	var b strings.Builder
	for d := range 1 + random.IntN(2) {
		fmt.Fprintf(&b, "---\napiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: %s-%d}\nspec:\n  targets: {workloads: [%s]}\n", c.name, d, []string{"ns/shop/sa/" + c.name, "ns/shop/sa/*", "ns/*/sa/" + c.name}[random.IntN(3)])
		if random.IntN(2) == 0 {
			fmt.Fprintf(&b, "  public: [{methods: [GET], paths: [%q]}]\n", c.randomPattern(random))
		}
		b.WriteString("  rules:\n")
		for r := range 2 + random.IntN(4) {
			effect := []string{"allow", "allow", "deny"}[random.IntN(3)]
			fmt.Fprintf(&b, "    - name: r%d\n      effect: %s\n      to: {paths: [%q, %q]", r, effect, c.randomPattern(random), c.randomPattern(random))
			if random.IntN(3) > 0 {
				fmt.Fprintf(&b, ", methods: %s", []string{"[GET]", "[GET, POST]", "[POST, DELETE]"}[random.IntN(3)])
			}
			b.WriteString("}\n")
			if random.IntN(2) == 0 && effect == "allow" {
				fmt.Fprintf(&b, "      scopes: [%s]\n", []string{"s1", "s2", "s3", "s2, s3"}[random.IntN(4)])
			}
			if random.IntN(4) == 0 {
				fmt.Fprintf(&b, "      from: {workloads: [%s]}\n", []string{gatewayWorkload, "ns/shop/sa/web", "ns/edge/sa/*"}[random.IntN(3)])
			}
		}
	}
	c.documents = b.String()
	return c
}

// randomPattern begins as upstream paths do, or with what the alias puts there.
func (c rbacCase) randomPattern(random *rand.Rand) string {
	text := []string{c.base, c.base, c.base + "/" + c.id(), c.base + "/{any}", ""}[random.IntN(5)]
	for i := range random.IntN(3) {
		if random.IntN(3) == 0 {
			text += fmt.Sprintf("/{x%d}", i)
		} else {
			text += "/" + randomSegments[random.IntN(len(randomSegments))]
		}
	}
	switch random.IntN(4) {
	case 0:
		text += "/**"
	case 1:
		text += "/"
	}
	if text == "" {
		return "/a"
	}
	return text
}

// randomRest is a path without what precedes it.
func randomRest(random *rand.Rand) string {
	text := ""
	for range random.IntN(4) {
		text += "/" + randomSegments[random.IntN(len(randomSegments))]
	}
	if text == "" || random.IntN(5) == 0 {
		text += "/"
	}
	return text
}

// randomPaths gives an upstream's path, and the client's path that leads there, both escaped. Half of them fit a pattern of the documents.
func (c rbacCase) randomPaths(random *rand.Rand, patterns []path.Pattern) (client, upstream string) {
	strips := !strings.Contains(c.api, "strip_listen_path")
	rest := randomRest(random)
	if len(patterns) > 0 && random.IntN(2) == 0 {
		rest = fittingPath(random, patterns[random.IntN(len(patterns))])
		if behind, found := strings.CutPrefix(rest, c.base+"/"); found {
			rest = "/" + behind
		}
	}
	if random.IntN(12) == 0 {
		rest = c.client + rest
	}
	escaped := (&url.URL{Path: rest}).EscapedPath()
	alias := "/" + c.id()
	switch {
	case strings.HasPrefix(escaped, alias+"/") && strips && random.IntN(2) == 0:
		return escaped, c.base + escaped
	case random.IntN(3) == 0 && strips:
		return alias + escaped, c.base + alias + escaped
	case random.IntN(3) == 0 && !strips:
		return alias + escaped, alias + escaped
	case rest == "/" && c.base != "" && strips:
		return c.client + escaped, c.base // the gateway adds no slash to the target's path
	}
	return c.client + escaped, c.base + escaped
}

func fittingPath(random *rand.Rand, p path.Pattern) string {
	text := ""
	for _, s := range p.Segments {
		if s.Capture != "" {
			text += "/" + randomSegments[random.IntN(len(randomSegments))]
		} else {
			text += "/" + s.Literal
		}
	}
	if p.Open {
		text += randomRest(random)
	}
	return text
}

// generatedRow is what this test reads of a difference.
type generatedRow struct {
	Who     string   `json:"who"`
	API     string   `json:"api"`
	Methods []string `json:"methods"`
	Pattern string   `json:"pattern"`
}

// TestRBACGenerate: with Tyk policies of `meshpass rbac generate`, a real gateway admits what the engine allows and, but for what is listed as
// wider, nothing else. Random requests, by the listen path and by the alias.
func TestRBACGenerate(t *testing.T) {
	random := rand.New(rand.NewPCG(2026, 11))
	cases := slices.Clone(handMade)
	for i := range 4 {
		cases = append(cases, randomCase(random, i))
	}
	for _, g := range []struct{ name, switches string }{
		{"switches off", `{}`},
		{"switches of the chart", `{"enable_path_prefix_matching": true, "enable_path_suffix_matching": true, "enable_strict_routes": true}`},
	} {
		t.Run(g.name, func(t *testing.T) {
			p := newRBACProof(t, g.switches, cases)
			for i, c := range cases {
				t.Run(c.name, func(t *testing.T) { p.run(t, c, rand.New(rand.NewPCG(uint64(i), 5))) })
			}
		})
	}
}

// rbacProof is a gateway with the generated policies of all cases.
type rbacProof struct {
	*rig
	switches string
	wider    map[string][]generatedRow // by case
	texts    map[string][]string       // of generated URLs, without anchors: Tyk compares the text of a URL with the path too
}

func newRBACProof(t *testing.T, switches string, cases []rbacCase) *rbacProof {
	t.Helper()
	p := &rbacProof{switches: switches, wider: map[string][]generatedRow{}, texts: map[string][]string{}}
	conf := `{"log_level": "error", "http_server_options": ` + switches + `, ` + realRedis(t) + `}`
	p.rig = start(t, setup{apis: rbacAPIs(t, cases, true), conf: conf, alone: true, bare: true, first: func(r *rig) {
		r.url, r.admin = strings.Replace(r.url, "https:", "http:", 1), strings.Replace(r.admin, "https:", "http:", 1)
		policies := readJSON(t, r.path("policies.json"))
		for _, c := range cases {
			merge(policies, p.generate(t, r, c))
		}
		r.writeJSON(t, "policies.json", policies)
	}})
	p.await(t, p.serves)
	return p
}

// rbacAPIs are the definitions of the cases, with the plugin or without it.
func rbacAPIs(t *testing.T, cases []rbacCase, alone bool) (apis []definition) {
	t.Helper()
	target := upstreamEcho(t)
	for _, c := range cases {
		text := `{"proxy": {"listen_path": "` + c.client + `/", "target_url": "TARGET", "strip_listen_path": true}}`
		whole := parse(t, strings.ReplaceAll(text, "TARGET", target))
		if c.api != "" {
			merge(whole, parse(t, strings.ReplaceAll(c.api, "TARGET", target)))
		}
		data, err := json.Marshal(whole)
		must(t, err)
		apis = append(apis, definition{id: c.id(), json: string(data), alone: alone})
	}
	return apis
}

// TestRBACEdge: with documents of `meshpass rbac generate --to edge`, the plugin in a real gateway decides as the hop does.
func TestRBACEdge(t *testing.T) {
	random := rand.New(rand.NewPCG(2026, 12))
	var cases []rbacCase
	for _, c := range handMade {
		if c.name != "versions" { // refused: its versions have different targets
			cases = append(cases, c)
		}
	}
	for i := range 4 {
		cases = append(cases, randomCase(random, i))
	}
	granted := ""
	for _, c := range cases {
		for role, scopes := range c.roles {
			granted += fmt.Sprintf("%s-%s: [%s], ", c.name, role, strings.Join(scopes, ", "))
		}
	}
	config := strings.Split(pluginConfig, "idps:")[0] +
		"apiKeys: {subject: meta.developer_id, claims: {tenant: meta.tenant}, scopes: {byPolicy: {" + granted + "}}}\nedge: {policies: [{path: edge}], enforce: true}\n"
	p := &rbacProof{}
	p.rig = start(t, setup{apis: rbacAPIs(t, cases, false), conf: `{"log_level": "error", ` + realRedis(t) + `}`, files: map[string]string{"identity.yaml": config}, first: func(r *rig) {
		must(t, os.Mkdir(r.path("edge"), 0o700))
		policies := readJSON(t, r.path("policies.json"))
		for _, c := range cases {
			r.write(t, c.name+".yaml", c.documents)
			code, output, problems := runMeshpass(t, "rbac", "generate", "--to", "edge", "-f", r.path("tyk.conf"), "-f", r.path("apis/"+c.id()+".json"), "-f", r.path(c.name+".yaml"),
				"--callee", c.id()+"=ns/shop/sa/"+c.name, "--gateway", gatewayWorkload, "--out", r.path("edge/"+c.name+".yaml"))
			if code != 0 {
				t.Fatalf("%s: exit code %d: %s%s", c.name, code, output, problems)
			}
			for role := range c.roles {
				all, err := json.Marshal(policies["all"])
				must(t, err)
				policies[c.name+"-"+role] = parse(t, strings.ReplaceAll(string(all), `"id":"all","name":"all"`, `"id":"`+c.name+"-"+role+`","name":"all"`))
			}
		}
		r.writeJSON(t, "policies.json", policies)
	}})
	p.await(t, p.serves)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) { p.run(t, c, rand.New(rand.NewPCG(uint64(i), 6))) })
	}
}

// generate runs the command for one case. Its roles have the case's name before them.
func (p *rbacProof) generate(t *testing.T, r *rig, c rbacCase) map[string]any {
	t.Helper()
	r.write(t, c.name+".yaml", c.documents)
	out := r.path(c.name + "-policies.json")
	args := []string{"rbac", "generate", "--to", "tyk", "-f", r.path("tyk.conf"), "-f", r.path("apis/" + c.id() + ".json"), "-f", r.path(c.name + ".yaml"),
		"--callee", c.id() + "=ns/shop/sa/" + c.name, "--gateway", gatewayWorkload, "--method", "PROPFIND", "--out", out, "-o", "json"}
	for role, scopes := range c.roles {
		args = append(args, "--role", c.name+"-"+role+"="+strings.Join(scopes, ","))
	}
	code, output, problems := runMeshpass(t, args...)
	if code != 0 {
		t.Fatalf("%s: exit code %d: %s%s", c.name, code, problems, output)
	}
	var report struct {
		Wider []generatedRow `json:"wider"`
	}
	must(t, json.Unmarshal([]byte(output), &report))
	p.wider[c.name] = report.Wider
	if exact := c.exact && !strings.Contains(p.switches, "prefix"); exact && len(report.Wider) > 0 {
		t.Errorf("%s: wider: %+v", c.name, report.Wider)
	}
	data, err := os.ReadFile(out)
	must(t, err)
	for _, match := range regexp.MustCompile(`"url": "\^(/.*)\$"`).FindAllStringSubmatch(string(data), -1) {
		var text string
		must(t, json.Unmarshal([]byte(`"`+match[1]+`"`), &text))
		if !slices.Contains(p.texts[c.name], text) {
			p.texts[c.name] = append(p.texts[c.name], text)
		}
	}
	return readJSON(t, out)
}

// tenants are values of the claim that the conditions of cases read.
var tenants = []string{"a", "b", "ab"}

// rbacQuestion is one random request.
type rbacQuestion struct {
	roles            []string
	method           string
	client, upstream string // escaped
	tenant           string
}

func (p *rbacProof) run(t *testing.T, c rbacCase, random *rand.Rand) {
	documents, problems := source.Loader{Domains: identity.TrustDomains{Local: "cluster.local"}}.Documents(source.Dir{Name: "case", Files: os.DirFS(p.caseDir(t, c))})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var compiled []*policy.Document
	for _, d := range documents {
		compiled = append(compiled, d.Compiled)
	}
	set := policy.NewSet(compiled, nil, "")
	keys := map[string]string{}
	var sets [][]string
	for role := range c.roles {
		sets = append(sets, []string{role})
	}
	slices.SortFunc(sets, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	if len(sets) > 1 {
		sets = append(sets, []string{sets[0][0], sets[1][0]})
	}
	for _, roles := range sets {
		for _, tenant := range tenants {
			keys[strings.Join(roles, "+")+tenant] = p.keyOf(t, c, roles, tenant)
		}
	}
	var patterns []path.Pattern
	for _, r := range set.CompiledDocuments() {
		for _, rule := range r.Rules() {
			patterns = append(patterns, rule.Spec().Paths...)
		}
	}
	var questions []rbacQuestion
	for range rbacRequests(t) {
		q := rbacQuestion{roles: sets[random.IntN(len(sets))], method: []string{"GET", "POST", "DELETE", "HEAD", "PROPFIND"}[random.IntN(5)], tenant: tenants[random.IntN(len(tenants))]}
		q.client, q.upstream = c.randomPaths(random, patterns)
		questions = append(questions, q)
	}
	for _, text := range p.texts[c.name] {
		if rest, found := strings.CutPrefix(text, c.client+"/"); found && !strings.Contains(c.api, "strip_listen_path") {
			upstream := c.base + (&url.URL{Path: "/" + rest}).EscapedPath()
			if rest == "" && c.base != "" {
				upstream = c.base
			}
			for _, roles := range sets {
				questions = append(questions, rbacQuestion{roles: roles, method: http.MethodGet, tenant: tenants[0], client: (&url.URL{Path: text}).EscapedPath(), upstream: upstream})
			}
		}
	}
	counts := map[string]int{}
	var lock sync.Mutex
	var group sync.WaitGroup
	for worker := range 4 {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := worker; i < len(questions); i += 4 {
				q := questions[i]
				outcome := p.ask(t, c, q, keys[strings.Join(q.roles, "+")+q.tenant], set)
				lock.Lock()
				counts[outcome]++
				lock.Unlock()
			}
		}()
	}
	group.Wait()
	t.Logf("%d requests: %v", len(questions), counts)
	if !strings.HasPrefix(c.name, "random") && counts["admitted, allowed"] == 0 || counts["denied, denied"] == 0 {
		t.Errorf("%v: the case shows nothing", counts)
	}
}

func (p *rbacProof) caseDir(t *testing.T, c rbacCase) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "documents.yaml"), []byte(c.documents), 0o600))
	return dir
}

func (p *rbacProof) keyOf(t *testing.T, c rbacCase, roles []string, tenant string) string {
	t.Helper()
	var ids []string
	written := readJSON(t, p.path("policies.json"))
	for _, role := range roles {
		if id := c.name + "-" + role; written[id] != nil {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	data, err := json.Marshal(map[string]any{"org_id": "demo", "apply_policies": ids, "meta_data": map[string]string{"developer_id": "partner-7", "tenant": tenant}})
	must(t, err)
	status, body, err := p.control(t.Context(), http.MethodPost, "/tyk/keys/create", string(data))
	must(t, err)
	key, _ := parse(t, string(body))["key"].(string)
	if status != http.StatusOK || key == "" {
		t.Fatalf("no key for %v: %d %s", ids, status, body)
	}
	return key
}

// ask sends one request, and compares the gateway's answer with the engine's.
func (p *rbacProof) ask(t *testing.T, c rbacCase, q rbacQuestion, key string, set *policy.Set) string {
	var scopes []string
	for _, role := range q.roles {
		scopes = append(scopes, c.roles[role]...)
	}
	answer := set.Decide(policy.Request{Caller: gatewayWorkload, Callee: identity.Workload("ns/shop/sa/" + c.name), Method: q.method, Path: q.upstream, Host: "127.0.0.1", Now: time.Now()},
		func() (*identity.Claims, decision.Reason) {
			return &identity.Claims{Issuer: "https://edge.example", Scope: strings.Join(scopes, " "), Tctx: map[string]any{"tenant": q.tenant}}, ""
		})
	request, err := http.NewRequestWithContext(t.Context(), q.method, p.url+q.client, nil)
	if err != nil {
		t.Error(err)
		return "fault"
	}
	if c.header != nil {
		request.Header = c.header.Clone()
	}
	request.Header.Set("Authorization", key)
	response, err := rbacClient.Do(request)
	if err != nil {
		t.Error(err)
		return "fault"
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	admitted := response.StatusCode == http.StatusOK
	switch {
	case !admitted && response.StatusCode != http.StatusForbidden && !(key == "" && response.StatusCode == http.StatusUnauthorized):
		t.Errorf("%s %s: status %d", q.method, q.client, response.StatusCode)
	case admitted && response.Header.Get("X-Path") != q.upstream:
		t.Errorf("%s %s: the upstream got %s, want %s", q.method, q.client, response.Header.Get("X-Path"), q.upstream)
	case answer.Allowed() && !admitted:
		t.Errorf("%v: %s %s: a hop allows %s, and Tyk denies: %d", q.roles, q.method, q.client, q.upstream, response.StatusCode)
	case admitted && !answer.Allowed() && answer.Reason != decision.AmbiguousPath && !p.isListed(c, q):
		t.Errorf("%v: %s %s: Tyk admits %s, which the hops deny (%s), and it is not listed", q.roles, q.method, q.client, q.upstream, answer.Reason)
	}
	return fmt.Sprintf("%s, %s", map[bool]string{true: "admitted", false: "denied"}[admitted], map[bool]string{true: "allowed", false: "denied"}[answer.Allowed()])
}

var rbacClient = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 8},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// isListed reports a request that a difference covers.
func (p *rbacProof) isListed(c rbacCase, q rbacQuestion) bool {
	whole, err := url.PathUnescape(q.client)
	if err != nil {
		return false
	}
	stripped := strings.TrimPrefix(whole, c.client)
	return slices.ContainsFunc(p.wider[c.name], func(row generatedRow) bool {
		pattern, err := regexp.Compile(row.Pattern)
		return err == nil && row.API == c.id() && slices.Contains(row.Methods, q.method) && slices.ContainsFunc(q.roles, func(role string) bool { return row.Who == c.name+"-"+role }) &&
			(pattern.MatchString(whole) || pattern.MatchString(stripped))
	})
}
