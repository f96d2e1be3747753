package localcopy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/rehearse/plan"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/suggest"
)

// Caller sends requests with a credential.
type Caller struct {
	Name  string
	user  *plan.User
	value string // of the credential's header
	key   string // API key
}

// AddCaller makes the credential of a user or of a key of the plan. It needs a running copy.
func (c *Copy) AddCaller(ctx context.Context, p *plan.Plan, name string) (*Caller, error) {
	if name == "" {
		return &Caller{Name: "(no credential)"}, nil
	}
	if key, ok := p.Keys[name]; ok {
		value, err := c.createKey(ctx, key)
		return &Caller{Name: name, value: value, key: value}, err
	}
	user := p.Users[name]
	idp, err := c.findProvider(user.IDP)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	raw, err := c.provider.mintToken(idp, user.Claims)
	return &Caller{Name: name, user: &user, value: "Bearer " + raw}, err
}

// CheckCallers finds users of the plan whose provider is not in the plugin's file, and keys with unknown policies, before anything starts.
func (c *Copy) CheckCallers(p *plan.Plan) error {
	for _, name := range slices.Sorted(keysOf(p.Keys)) {
		for i, policy := range p.Keys[name].Policies {
			known := slices.Sorted(keysOf(c.Policies))
			if !slices.Contains(known, policy) {
				return fmt.Errorf("%s: keys.%s.policies[%d]: %s has no policy %q%s", p.File, name, i, cmp.Or(p.Gateway.Policies, "gateway.policies is absent: it"), policy, suggest.DidYouMean(policy, known))
			}
		}
	}
	for _, name := range slices.Sorted(keysOf(p.Users)) {
		if _, err := c.findProvider(p.Users[name].IDP); err != nil {
			return fmt.Errorf("%s: users.%s: %w", p.File, name, err)
		}
	}
	return nil
}

func (c *Copy) findProvider(alias string) (identityProvider, error) {
	var known []string
	for _, p := range c.providers {
		if p.alias == alias || alias == "" && len(c.providers) == 1 {
			return p, nil
		}
		known = append(known, p.alias)
	}
	if len(known) == 0 {
		return identityProvider{}, fmt.Errorf("the plugin's file has no idps")
	}
	return identityProvider{}, fmt.Errorf("idp: want one of %s, as in the plugin's file, not %q", strings.Join(known, ", "), alias)
}

// createKey creates an API key through Tyk's control API, as a portal does.
func (c *Copy) createKey(ctx context.Context, key plan.Key) (string, error) {
	session := object{"org_id": c.APIs[0].org}
	maps.Copy(session, key.Session)
	if len(key.Policies) > 0 {
		session["apply_policies"] = key.Policies
	}
	if key.Metadata != nil {
		session["meta_data"] = key.Metadata
	}
	body, err := json.Marshal(session)
	if err != nil {
		return "", err
	}
	answer, err := c.callControl(ctx, http.MethodPost, "/tyk/keys/create", body)
	if err != nil {
		return "", err
	}
	var created struct{ Key string }
	if err := json.Unmarshal(answer, &created); err != nil || created.Key == "" {
		return "", fmt.Errorf("the gateway made no key: %s", answer)
	}
	return created.Key, nil
}

// SetCredential adds the caller's credential to a request for an API.
func (c *Copy) SetCredential(header http.Header, caller *Caller, a *API) {
	if caller.value == "" {
		return
	}
	name := "Authorization"
	if a != nil {
		name = a.header
	}
	header.Set(name, caller.value)
}

// FindAPI finds the API that a request is for: the one of its host, the longest listen path, or /API_ID/; nil: no API has the path.
func (c *Copy) FindAPI(host, path string) *API {
	path, _, _ = strings.Cut(path, "?")
	var best *API
	better := func(a *API) bool {
		ofHost, bestOfHost := a.domain != "" && a.domain == host, best != nil && best.domain != "" && best.domain == host
		return best == nil || ofHost && !bestOfHost || ofHost == bestOfHost && len(a.ListenPath) > len(best.ListenPath)
	}
	for _, a := range c.APIs {
		if strings.HasPrefix(path, a.ListenPath) && better(a) {
			best = a
		}
	}
	if best == nil {
		for _, a := range c.APIs {
			if strings.HasPrefix(path+"/", "/"+a.ID+"/") {
				return a
			}
		}
	}
	return best
}

// ReadSessions reads what the gateway holds of its callers, with the policies applied.
func (c *Copy) ReadSessions(ctx context.Context, callers []*Caller) (map[*Caller][]Session, error) {
	found := map[*Caller][]Session{}
	var stored []Session
	data, err := c.callControl(ctx, http.MethodGet, "/tyk/keys", nil)
	if err != nil {
		return nil, err
	}
	var keys struct{ Keys []string }
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, err
	}
	for _, key := range keys.Keys {
		session, err := c.readSession(ctx, key, c.hashesKeys)
		if err != nil {
			return nil, err
		}
		stored = append(stored, session)
	}
	for _, caller := range callers {
		switch {
		case caller.key != "":
			session, err := c.readSession(ctx, caller.key, false)
			if err != nil {
				return nil, err
			}
			found[caller] = []Session{session}
		case caller.user != nil:
			for _, s := range stored {
				if c.ownsAlias(caller, s.Alias) {
					found[caller] = append(found[caller], s)
				}
			}
		}
	}
	return found, nil
}

// ownsAlias reports whether a session belongs to a user: its alias is the claim that names the user, or CLIENT:SUB with OpenID Connect.
func (c *Copy) ownsAlias(caller *Caller, alias string) bool {
	for _, a := range c.APIs {
		claim, _ := caller.user.Claims[a.identity].(string)
		if claim != "" && (alias == claim || a.identity == "sub" && strings.HasSuffix(alias, ":"+claim)) {
			return true
		}
	}
	return false
}

func (c *Copy) readSession(ctx context.Context, key string, hashed bool) (Session, error) {
	path := "/tyk/keys/" + url.PathEscape(key)
	if hashed {
		path += "?hashed=true"
	}
	data, err := c.callControl(ctx, http.MethodGet, path, nil)
	if err != nil {
		return Session{}, err
	}
	var o object
	err = json.Unmarshal(data, &o)
	return newSession(o), err
}

// Recreate finds a caller that gets a given subject, scope and claims of the transaction, by the rules of the plugin's file. Exactly one of
// user and key is set. assumed is what the record does not say.
func (c *Copy) Recreate(subject, scope string, claims map[string]any, apiID string) (user *plan.User, key *plan.Key, assumed string, err error) {
	alias, id, found := strings.Cut(subject, ":")
	if !found {
		return nil, nil, "", fmt.Errorf("subject %q has no alias", subject)
	}
	if alias == "key" && c.plugin.APIKeys != nil {
		return c.recreateKey(id, scope, claims, apiID)
	}
	for _, p := range c.providers {
		if p.alias == alias {
			user, err := p.recreateUser(id, scope, claims)
			return user, nil, "", err
		}
	}
	return nil, nil, "", fmt.Errorf("callers of the kind %q cannot be made here", alias)
}

func (p identityProvider) recreateUser(id, scope string, claims map[string]any) (*plan.User, error) {
	subject, _, _ := strings.Cut(p.subject, "|")
	if strings.Contains(subject, "+") {
		return nil, fmt.Errorf("idp %s: a subject of several claims cannot be taken apart", p.alias)
	}
	all := object{}
	setClaim(all, subject, id)
	if scope != "" {
		if len(p.scopes) == 0 {
			return nil, fmt.Errorf("idp %s: no claim holds scopes", p.alias)
		}
		setClaim(all, p.scopes[0], scope)
	}
	for _, member := range sortedKeys(claims) {
		from, mapped := p.claims[member]
		if !mapped {
			return nil, fmt.Errorf("idp %s: no claim becomes tctx.%s", p.alias, member)
		}
		setClaim(all, from, claims[member])
	}
	return &plan.User{IDP: p.alias, Claims: all}, nil
}

// setClaim sets a claim by its name, or by its path in objects.
func setClaim(claims object, path string, value any) {
	first, rest, nested := strings.Cut(path, ".")
	if !nested {
		claims[path] = value
		return
	}
	inner := toObject(claims[first])
	if inner == nil {
		inner = object{}
		claims[first] = inner
	}
	setClaim(inner, rest, value)
}

func (c *Copy) recreateKey(id, scope string, claims map[string]any, apiID string) (*plan.User, *plan.Key, string, error) {
	rules := c.plugin.APIKeys
	field, isMeta := strings.CutPrefix(rules.Subject, settings.MetaPrefix)
	if !isMeta {
		return nil, nil, "", fmt.Errorf("apiKeys.subject %s: a key cannot be made from it", rules.Subject)
	}
	key := &plan.Key{Metadata: object{field: id}}
	for _, member := range sortedKeys(claims) {
		rule, mapped := rules.Claims[member]
		name, isMeta := strings.CutPrefix(rule.From, settings.MetaPrefix)
		if !mapped || !isMeta {
			return nil, nil, "", fmt.Errorf("apiKeys: no metadata becomes tctx.%s", member)
		}
		key.Metadata[name] = claims[member]
	}
	held := strings.Fields(scope)
	for _, policy := range slices.Sorted(keysOf(c.Policies)) {
		granted := rules.Scopes.ByPolicy[policy]
		_, may := c.Policies[policy].Rates[apiID]
		if may && !slices.ContainsFunc(granted, func(s string) bool { return !slices.Contains(held, s) }) {
			key.Policies = append(key.Policies, policy)
			held = slices.DeleteFunc(held, func(s string) bool { return slices.Contains(granted, s) })
			break
		}
	}
	if len(key.Policies) == 0 || len(held) > 0 {
		return nil, nil, "", fmt.Errorf("no policy of Tyk gives a key the scopes %q and the API %s", scope, apiID)
	}
	return nil, key, "policy " + key.Policies[0] + ", by its scopes and its APIs", nil
}
