// Package plan reads the file of `meshpass rehearse`: the configuration to try, its callers, the load that they send, and the
// outcome that is expected.
package plan

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/internal/suggest"
)

// Bounds of a rehearsal.
const (
	MaxFileBytes = 1 << 20
	MaxRate      = 1000.0 // requests a second, of all loads together
	MaxRequests  = 100_000
	MaxTime      = 15 * time.Minute
	MaxHosts     = 100
	maxBody      = 64 << 10
)

// Plan is the file.
type Plan struct {
	Gateway    Gateway         `yaml:"gateway"`
	Authorizer Authorizer      `yaml:"authorizer"`
	Workloads  map[string]Host `yaml:"workloads"` // by the host in the definitions
	Users      map[string]User `yaml:"users"`
	Keys       map[string]Key  `yaml:"keys"`
	Load       []Load          `yaml:"load"`
	Replay     Replay          `yaml:"replay"`
	File       string          `yaml:"-"`
}

// Gateway names the files of Tyk and of the plugin.
type Gateway struct {
	Conf     string            `yaml:"conf"`     // tyk.conf; absent: the defaults of a rehearsal
	APIs     string            `yaml:"apis"`     // folder of API definitions
	Policies string            `yaml:"policies"` // policies.json; absent: no policy
	Plugin   string            `yaml:"plugin"`   // the plugin's configuration
	Env      map[string]string `yaml:"env"`      // values of env://NAME in definitions
}

// Authorizer names the files of the authorizer.
type Authorizer struct {
	Config   string            `yaml:"config"`   // of `meshpass serve`
	Policies map[string]string `yaml:"policies"` // folders of documents, by their name in the configuration; absent: its own paths
}

// Host is the substitute for the service at a host.
type Host struct {
	Account string        `yaml:"account"` // ns/NAMESPACE/sa/NAME; or "none": outside of the mesh, no authorizer is asked
	Status  int           `yaml:"status"`  // of its answers; default 200
	Delay   time.Duration `yaml:"delay"`   // of its answers
}

// NoAccount is the account of a host outside of the mesh.
const NoAccount = "none"

// User is a caller with a token of an identity provider.
type User struct {
	IDP    string         `yaml:"idp"`    // alias in the plugin's file; may be absent if there is one
	Claims map[string]any `yaml:"claims"` // of the token
}

// Key is a caller with an API key.
type Key struct {
	Policies []string       `yaml:"policies"`
	Metadata map[string]any `yaml:"metadata"`
	Session  map[string]any `yaml:"session"` // further fields of Tyk's session, such as rate, per and access_rights
}

// Load is requests of one caller.
type Load struct {
	Name    string            `yaml:"name"`
	As      string            `yaml:"as"` // user or key; absent: without a credential
	Method  string            `yaml:"method"`
	Path    string            `yaml:"path"` // at the gateway
	Host    string            `yaml:"host"` // header; default: the gateway's address
	Headers map[string]string `yaml:"headers"`
	Body    string            `yaml:"body"`
	At      time.Duration     `yaml:"at"`    // since the start
	Rate    float64           `yaml:"rate"`  // requests a second
	For     time.Duration     `yaml:"for"`   // with rate
	Burst   int               `yaml:"burst"` // requests, one after the other without a pause
	Every   time.Duration     `yaml:"every"` // between the beginnings of two bursts
	Times   int               `yaml:"times"` // bursts; default 1
	Expect  Expect            `yaml:"expect"`

	offsets []time.Duration // of recorded requests
}

// Requests is the number of requests that a load sends.
func (l Load) Requests() int {
	if l.offsets != nil {
		return len(l.offsets)
	}
	if l.Burst > 0 {
		return l.Burst * max(l.Times, 1)
	}
	return max(1, int(l.Rate*l.For.Seconds()+0.5))
}

// Due is the time of a request, from 0, since the start. Requests of a burst have the same time.
func (l Load) Due(request int) time.Duration {
	if l.offsets != nil {
		return l.offsets[request]
	}
	if l.Burst > 0 {
		return l.At + time.Duration(request/l.Burst)*l.Every
	}
	return l.At + time.Duration(float64(request)/l.Rate*float64(time.Second))
}

// Replay is what a replay of records is expected to give.
type Replay struct {
	Expect ReplayExpect `yaml:"expect"`
}

// ReplayExpect bounds the answers that differ from the recorded ones.
type ReplayExpect struct {
	Changed *Range `yaml:"changed"`
}

// Read reads and checks a file. With records, the file needs no load of its own. Names of files are relative to the file. The error
// has all problems.
func Read(name string, needsLoad bool) (*Plan, error) {
	data, err := readfile.Read(name, MaxFileBytes)
	if err != nil {
		return nil, err
	}
	p := &Plan{File: name}
	c, err := strictyaml.NewChecker(name, data, p)
	if err != nil {
		return nil, err
	}
	p.check(c, needsLoad)
	if err := c.Err(); err != nil {
		return nil, err
	}
	for _, path := range []*string{&p.Gateway.Conf, &p.Gateway.APIs, &p.Gateway.Policies, &p.Gateway.Plugin, &p.Authorizer.Config} {
		if *path != "" {
			*path = c.ResolvePath(*path)
		}
	}
	for name, dir := range p.Authorizer.Policies {
		p.Authorizer.Policies[name] = c.ResolvePath(dir)
	}
	for i := range p.Load {
		if p.Load[i].Method == "" {
			p.Load[i].Method = http.MethodGet
		}
	}
	return p, nil
}

func (p *Plan) check(c *strictyaml.Checker, needsLoad bool) {
	at := strictyaml.Path{"gateway"}
	if c.RequireText(at.With("apis"), p.Gateway.APIs) {
		c.RequireDir(at.With("apis"), c.ResolvePath(p.Gateway.APIs))
	}
	requireFile(c, at.With("plugin"), p.Gateway.Plugin, true)
	requireFile(c, at.With("conf"), p.Gateway.Conf, false)
	requireFile(c, at.With("policies"), p.Gateway.Policies, false)
	requireFile(c, strictyaml.Path{"authorizer", "config"}, p.Authorizer.Config, true)
	for _, name := range slices.Sorted(maps.Keys(p.Authorizer.Policies)) {
		c.RequireDir(strictyaml.Path{"authorizer", "policies", name}, c.ResolvePath(p.Authorizer.Policies[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Gateway.Env)) {
		if !environmentName.MatchString(name) {
			c.Reject(at.With("env", name), "want the name of a variable, such as IDP_JWKS, not %q", name)
		} else if strings.HasPrefix(name, "TYK_") || strings.HasPrefix(name, "MESHPASS_") || strings.HasSuffix(strings.ToUpper(name), "_PROXY") {
			c.Reject(at.With("env", name), "settings of the gateway are written in tyk.conf: a rehearsal reads them from gateway.conf")
		}
	}
	for _, host := range slices.Sorted(maps.Keys(p.Workloads)) {
		p.Workloads[host].check(c, strictyaml.Path{"workloads", host}, host)
	}
	p.checkCallers(c)
	if needsLoad {
		c.RequireEntries(strictyaml.Path{"load"}, len(p.Load))
	}
	names := map[string]bool{}
	for i, l := range p.Load {
		at := strictyaml.Path{"load", i}
		l.check(c, at)
		if names[l.Name] && l.Name != "" {
			c.Reject(at.With("name"), "%q is the name of a load already", l.Name)
		}
		names[l.Name] = true
		if l.As != "" && !p.hasCaller(l.As) {
			known := p.callers()
			c.Reject(at.With("as"), "no user and no key is named %q%s; known: %s", l.As, suggest.DidYouMean(l.As, known), strings.Join(known, ", "))
		}
	}
	p.checkTotals(c)
	if c.Has(strictyaml.Path{"replay"}) {
		if p.Replay.Expect.Changed == nil {
			c.Reject(strictyaml.Path{"replay"}, "it needs expect.changed, such as {expect: {changed: 0}}")
		}
	}
}

func requireFile(c *strictyaml.Checker, at strictyaml.Path, name string, required bool) {
	if required && !c.RequireText(at, name) || !required && !c.RequireTextIfPresent(at, name) || name == "" {
		return
	}
	info, err := os.Stat(c.ResolvePath(name))
	switch {
	case err != nil:
		c.Reject(at, "%s", err)
	case !info.Mode().IsRegular():
		c.Reject(at, "%s is no regular file", c.ResolvePath(name))
	}
}

var (
	environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	hostName        = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)
	account         = regexp.MustCompile(`^ns/[a-z0-9]([a-z0-9-]*[a-z0-9])?/sa/[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
)

func (h Host) check(c *strictyaml.Checker, at strictyaml.Path, host string) {
	if !hostName.MatchString(host) {
		c.Reject(at, "want a host, as API definitions name it, such as orders.shop.svc.cluster.local, not %q", host)
	}
	if c.Has(at.With("account")) && h.Account != NoAccount && !account.MatchString(h.Account) {
		c.Reject(at.With("account"), "want ns/NAMESPACE/sa/NAME, or none for a host outside of the mesh, not %q", h.Account)
	}
	if c.Has(at.With("status")) {
		strictyaml.RequireRange(c, at.With("status"), h.Status, 200, 599)
	}
	if c.Has(at.With("delay")) {
		strictyaml.RequireRange(c, at.With("delay"), h.Delay, 0, 30*time.Second)
	}
}

func (p *Plan) checkCallers(c *strictyaml.Checker) {
	for _, name := range slices.Sorted(maps.Keys(p.Users)) {
		at := strictyaml.Path{"users", name}
		if _, both := p.Keys[name]; both {
			c.Reject(at, "%q is the name of a key too", name)
		}
		c.RequireEntries(at.With("claims"), len(p.Users[name].Claims))
		for _, claim := range []string{"exp", "iat", "nbf", "iss", "jti"} {
			c.RejectIfPresent(at.With("claims", claim), "the local provider sets it: remove it")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Keys)) {
		at := strictyaml.Path{"keys", name}
		key := p.Keys[name]
		if len(key.Policies) == 0 && len(key.Session) == 0 {
			c.Reject(at, "it needs policies, or a session with access_rights: Tyk makes no key for every API")
		}
		for field, instead := range map[string]string{"apply_policies": "policies", "apply_policy_id": "policies", "meta_data": "metadata"} {
			c.RejectIfPresent(at.With("session", field), "write it as %s of the key", instead)
		}
	}
}

func (p *Plan) hasCaller(name string) bool {
	_, user := p.Users[name]
	_, key := p.Keys[name]
	return user || key
}

func (p *Plan) callers() []string {
	return slices.Sorted(maps.Keys(mergeNames(p.Users, p.Keys)))
}

func mergeNames(users map[string]User, keys map[string]Key) map[string]bool {
	all := map[string]bool{}
	for name := range users {
		all[name] = true
	}
	for name := range keys {
		all[name] = true
	}
	return all
}

var methodName = regexp.MustCompile(`^[A-Z]+$`)

func (l Load) check(c *strictyaml.Checker, at strictyaml.Path) {
	c.RequireText(at.With("name"), l.Name)
	if c.Has(at.With("method")) && !methodName.MatchString(l.Method) {
		c.Reject(at.With("method"), "want a method such as GET, not %q", l.Method)
	}
	if c.RequireText(at.With("path"), l.Path) {
		checkPath(c, at.With("path"), l.Path)
	}
	if c.Has(at.With("host")) && !hostName.MatchString(l.Host) {
		c.Reject(at.With("host"), "want the Host header of a client, such as api.example.com, not %q: requests go to the local gateway", l.Host)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Headers)) {
		switch {
		case !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(l.Headers[name]):
			c.Reject(at.With("headers", name), "no header can have this name and value")
		case strings.EqualFold(name, "X-Request-Id") || strings.EqualFold(name, "Host"):
			c.Reject(at.With("headers", name), "a rehearsal sets it: remove it")
		}
	}
	if len(l.Body) > maxBody {
		c.Reject(at.With("body"), "want at most %d bytes", maxBody)
	}
	if c.Has(at.With("at")) {
		strictyaml.RequireRange(c, at.With("at"), l.At, 0, MaxTime)
	}
	l.checkPace(c, at)
	l.Expect.check(c, at.With("expect"))
}

func (l Load) checkPace(c *strictyaml.Checker, at strictyaml.Path) {
	steady, bursts := c.Has(at.With("rate")), c.Has(at.With("burst"))
	switch {
	case steady == bursts:
		c.Reject(at, "want either rate and for, such as {rate: 20, for: 5s}, or burst, such as {burst: 10}")
	case steady:
		strictyaml.RequireRange(c, at.With("rate"), l.Rate, 0.01, MaxRate)
		if c.Has(at.With("for")) {
			strictyaml.RequireRange(c, at.With("for"), l.For, time.Millisecond, MaxTime)
		} else {
			c.Reject(at.With("for"), "missing: how long the rate is sent, such as 5s")
		}
		for _, key := range []string{"every", "times"} {
			c.RejectIfPresent(at.With(key), "it goes with burst")
		}
	default:
		strictyaml.RequireRange(c, at.With("burst"), l.Burst, 1, MaxRequests)
		c.RejectIfPresent(at.With("for"), "it goes with rate")
		if c.Has(at.With("times")) {
			strictyaml.RequireRange(c, at.With("times"), l.Times, 1, 1000)
		}
		if c.Has(at.With("every")) {
			strictyaml.RequireRange(c, at.With("every"), l.Every, time.Millisecond, MaxTime)
		} else if l.Times > 1 {
			c.Reject(at.With("every"), "missing: the time from one burst to the next, such as 10s")
		}
	}
}

// checkPath rejects what is no path: a URL would name a target, and targets are the local gateway alone.
func checkPath(c *strictyaml.Checker, at strictyaml.Path, path string) {
	switch {
	case strings.Contains(path, "://") || strings.HasPrefix(path, "//"):
		c.Reject(at, "want a path such as /orders/1, not a URL: a rehearsal sends to its own gateway on loopback, and to no other target")
	case !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " #\x00\r\n\t"):
		c.Reject(at, "want a path such as /orders/1 that begins with /, without spaces and #, not %q", path)
	default:
		if _, err := http.NewRequest(http.MethodGet, "http://127.0.0.1"+path, nil); err != nil {
			c.Reject(at, "it cannot be sent: its escapes are not valid")
		}
	}
}

// checkTotals bounds the load: a rehearsal is no load test.
func (p *Plan) checkTotals(c *strictyaml.Checker) {
	requests, rate, longest := 0, 0.0, time.Duration(0)
	for _, l := range p.Load {
		if l.Burst <= 0 && l.Rate <= 0 {
			continue // reported already
		}
		requests += l.Requests()
		rate += l.Rate
		longest = max(longest, l.Due(l.Requests()-1))
	}
	at := strictyaml.Path{"load"}
	if requests > MaxRequests {
		c.Reject(at, "%d requests in all: want at most %d", requests, MaxRequests)
	}
	if rate > MaxRate {
		c.Reject(at, "%v requests a second in all: want at most %v", rate, MaxRate)
	}
	if longest > MaxTime {
		c.Reject(at, "it takes %v: want at most %v", longest, MaxTime)
	}
}

// Name is the name of the file for people.
func (p *Plan) Name() string { return filepath.Base(p.File) }

// Range is a number, or two numbers and everything between them.
type Range struct{ Least, Most int }

// UnmarshalYAML reads 5 or 4-6.
func (r *Range) UnmarshalYAML(node *yaml.Node) error {
	least, most, isRange := strings.Cut(node.Value, "-")
	if !isRange {
		most = least
	}
	var errs [2]error
	r.Least, errs[0] = strconv.Atoi(least)
	r.Most, errs[1] = strconv.Atoi(most)
	if node.Kind != yaml.ScalarNode || errs[0] != nil || errs[1] != nil || r.Least < 0 || r.Least > r.Most {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: want a number such as 5, or a range such as 4-6, not %q", node.Line, node.Value)}}
	}
	return nil
}

// String is the text that [Range.UnmarshalYAML] reads.
func (r Range) String() string {
	if r.Least == r.Most {
		return fmt.Sprint(r.Least)
	}
	return fmt.Sprintf("%d-%d", r.Least, r.Most)
}

// Has reports whether a number is in the range.
func (r Range) Has(n int) bool { return n >= r.Least && n <= r.Most }
