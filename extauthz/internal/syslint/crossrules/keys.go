package crossrules

import (
	"path"
	"slices"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/shared/keyset"
)

var (
	keySetInvalid = registry.Define("key_set_invalid", finding.Error,
		"A key set that an authorizer or a plugin names is invalid: empty, with a private key, with a kid that is not the key's thumbprint, or that of two home issuers.",
		"The authorizer does not start, or keeps its last set: a new key does not arrive. A private key that was published is no secret any more.",
		"Write the set with `meshpass keys publish`. Replace a key that was published: `meshpass keys new`.")
	keysUnusable = registry.Define("signing_keys_unusable", finding.Error,
		"The signing keys that a plugin names are test keys, or no key of them may sign now.",
		"The plugin denies every request: no_signing_key.",
		"Make keys with `meshpass keys new`, without --test, and the next one in time with `meshpass keys rotate`.")
	testTokens = registry.Define("test_tokens_admitted", finding.Warning,
		"An authorizer admits tokens that test keys signed.",
		"Everyone who has the test keys is any user of every issuer with such a key.",
		"Remove insecure.allowTestTokens outside of tests.")
)

// checkKeyFiles checks the key sets and the signing keys that configurations name.
func (c *checker) checkKeyFiles() {
	for _, a := range c.Authorizers {
		files := map[string]string{}
		for _, t := range a.Trust {
			file := path.Clean(t.KeyFile.String())
			if t.KeyFile != nil && !t.Node.Find("home").IsFalse() {
				if other := files[file]; other != "" {
					c.report.Add(keySetInvalid, t.KeyFile, "the entries of %s and %s have one file, and a key may sign for one issuer only", other, t.Issuer.String())
				}
				files[file] = t.Issuer.String()
			}
			for _, set := range c.Set.ContentsOf(objects.KeySet) {
				if !isFileOf(a.Content, t.KeyFile.String(), set) || len(set.Text) == 0 {
					continue
				}
				if fault := c.faultOf(set); fault != "" {
					c.report.Add(keySetInvalid, set.Root, "%s: %s", set.Name, fault)
				}
			}
		}
		if n := a.Root.FindPath("insecure", "allowTestTokens"); n.IsTrue() {
			c.report.Add(testTokens, n, "tokens of test keys are admitted")
		}
	}
	for _, p := range c.Plugins {
		for _, list := range c.Set.ContentsOf(objects.KeyList) {
			if c.namesKeys(p, list) {
				c.checkKeyList(list)
			}
		}
	}
}

// secretMembers are the members of private and symmetric keys.
var secretMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// faultOf describes what is wrong with a key set; "": nothing. A set with kids that are no thumbprints at all is an example.
func (c *checker) faultOf(set *objects.Content) string {
	keys := set.Root.Find("keys").Entries()
	if len(keys) == 0 {
		return "the key set has no keys"
	}
	for i, key := range keys {
		if slices.ContainsFunc(secretMembers, func(name string) bool { return key.Find(name) != nil }) {
			return "the key " + strconv.Itoa(i+1) + " is private or symmetric"
		}
		if kid := key.Find("kid"); kid != nil && len(kid.String()) != thumbprintLength {
			return ""
		}
	}
	if _, err := keyset.ParseJWKS(set.Text); err != nil {
		return err.Error()
	}
	return ""
}

// thumbprintLength is the length of SHA-256 in base64url.
const thumbprintLength = 43

// isFileOf reports a file that a configuration names: beside it, or of its namespace. Volumes decide where a file is, so that its base name is compared.
func isFileOf(config *objects.Content, file string, content *objects.Content) bool {
	return file != "" && path.Base(file) == path.Base(content.Name) && content.Namespace == config.Namespace
}

// namesKeys reports a list of signing keys in the folder that a plugin names.
func (c *checker) namesKeys(p *model.Plugin, list *objects.Content) bool {
	folder := p.Root.FindPath("keys", "dir").String()
	if list.Holder == "" {
		folder = model.ResolvePath(path.Dir(p.Root.Place().Source), folder)
		return p.Content.Holder == "" && path.Clean(path.Dir(list.Root.Place().Source)) == path.Clean(folder)
	}
	for _, g := range c.Gateways {
		if container := g.Container(); g.Workload != nil && container != nil && list.Namespace == g.Namespace {
			at := model.ResolvePath(path.Dir(g.Variables.Value("MESHPASS_CONFIG").String()), folder)
			if _, content := c.FindFile(container, path.Join(at, keyset.PlanFileName), false); content == list {
				return true
			}
		}
	}
	return false
}

func (c *checker) checkKeyList(list *objects.Content) {
	if n := list.Root.Find("test"); n.IsTrue() {
		c.report.Add(keysUnusable, n, "these are test keys")
		return
	}
	var latest *objects.Node
	for _, key := range list.Root.Find("keys").Members() {
		plan, err := planOf(key)
		if err != nil || plan.MaySignAt(c.now) {
			return
		}
		latest = key
	}
	if latest != nil {
		c.report.Add(keysUnusable, latest, "no key may sign now: see signFrom and signUntil")
	}
}

// planOf reads the times of a key.
func planOf(key *objects.Node) (plan keyset.Plan, err error) {
	for _, field := range []struct {
		name string
		to   *time.Time
	}{{"publishAt", &plan.PublishAt}, {"signFrom", &plan.SignFrom}, {"signUntil", &plan.SignUntil}, {"removeAfter", &plan.RemoveAfter}} {
		if err := yaml.Unmarshal([]byte(key.Find(field.name).String()), field.to); err != nil {
			return plan, err
		}
	}
	return plan, nil
}

// isPublished reports a key that belongs into the key set now; one with times that cannot be read does.
func (c *checker) isPublished(key *objects.Node) bool {
	plan, err := planOf(key)
	complete := !slices.ContainsFunc([]time.Time{plan.PublishAt, plan.RemoveAfter}, time.Time.IsZero)
	return err != nil || !complete || plan.IsPublishedAt(c.now)
}
