package settings

import (
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/gateway/mapping"
)

// IDP maps the claims of one identity provider. Its alias is the namespace of its users' subjects, so
// that the user "123" of one provider is not the user "123" of another.
type IDP struct {
	Alias     string                  `yaml:"alias"`
	Preset    string                  `yaml:"preset"` // fills in subject and scopes, and adds claims
	Issuer    string                  `yaml:"issuer"`
	Audiences []string                `yaml:"audiences"`  // the caller's token must be for one of them
	Sources   []string                `yaml:"jwtSources"` // jwt_source of APIs with this provider's keys; may be absent if it is the only one
	Subject   string                  `yaml:"subject"`    // claim; `a+b`: two that name the user together; `a|b`: the first that is there
	Scopes    []string                `yaml:"scopes"`     // claims that hold scopes
	Claims    map[string]mapping.Rule `yaml:"claims"`     // they replace those of the preset, one by one
	Types     []string                `yaml:"types"`      // typ of the header, or [Untyped]. Default: all of JWT, at+jwt and [Untyped]

	AccessTokensOnly bool `yaml:"accessTokensOnly"` // deny tokens that are marked as ID tokens
}

// Untyped in [IDP.Types] admits a token whose header has no typ.
const Untyped = "none"

// defaultTypes are what providers write into the headers of access and ID tokens (RFC 7519 section
// 5.1, RFC 9068 section 2.1).
var defaultTypes = []string{"jwt", "at+jwt", Untyped}

// NormalizeType writes a type in the form that comparisons use: in lower case and without application/,
// which may be left out (RFC 7515 section 4.1.9).
func NormalizeType(typ string) string {
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}

// DecodeJWTSource reads a jwt_source as Tyk does: it may be a URL that is written in base64.
func DecodeJWTSource(source string) string {
	if text, err := base64.StdEncoding.DecodeString(source); err == nil && isWebURL(string(text)) {
		return string(text)
	}
	return source
}

func isWebURL(value string) bool {
	u, err := url.Parse(value)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

// preset describes how a provider's access tokens name the caller. Subject and scopes of the idp
// replace those of the preset; a claim of the idp replaces the claim of the same name.
type preset struct {
	subject string
	scopes  []string
	claims  map[string]mapping.Rule
}

var presets = map[string]preset{
	// sub is the login, which can be given to another person; uid stays the same. A service has a client
	// and no user.
	"okta": {subject: "uid|cid", scopes: []string{"scp"}, claims: rulesOf(map[string]string{"client": "cid", "groups": "groups"})},
	// permissions are all that the user's roles grant; scope is the part of them that this client was given.
	"auth0": {subject: "sub", scopes: []string{"scope"}, claims: rulesOf(map[string]string{"client": "azp", "permissions": "permissions"})},
	// Roles of the realm are in an object.
	"keycloak": {subject: "sub", scopes: []string{"scope"}, claims: rulesOf(map[string]string{"client": "azp", "roles": "realm_access.roles"})},
	// sub differs from application to application; oid names the user or service in the tenant tid.
	"entra": {subject: "oid+tid", scopes: []string{"scp"}, claims: rulesOf(map[string]string{"client": "azp", "roles": "roles", "tenant": "tid"})},
}

// rulesOf makes claim rules of our names and the provider's.
func rulesOf(names map[string]string) map[string]mapping.Rule {
	rules := map[string]mapping.Rule{}
	for ours, theirs := range names {
		rules[ours] = mapping.Rule{From: theirs}
	}
	return rules
}

// completeIDPs fills in what the file leaves to presets and defaults.
func completeIDPs(idps []IDP) {
	for i := range idps {
		p := &idps[i]
		known := presets[p.Preset] // an unknown preset is empty, and the check rejects it
		if p.Subject == "" {
			p.Subject = known.subject
		}
		if p.Scopes == nil {
			p.Scopes = known.scopes
		}
		if p.Types == nil {
			p.Types = slices.Clone(defaultTypes)
		}
		p.Claims = mergeRules(known.claims, p.Claims)
	}
}

// mergeRules lays the idp's own rules over those of the preset. A removal of a claim that the preset
// does not have stays: it is a mistake, and the check reports it.
func mergeRules(preset, own map[string]mapping.Rule) map[string]mapping.Rule {
	merged := map[string]mapping.Rule{}
	maps.Copy(merged, preset)
	for name, rule := range own {
		if _, known := preset[name]; known && rule.Removed {
			delete(merged, name)
			continue
		}
		merged[name] = rule
	}
	return merged
}

// SessionKind is a kind of session without verified claims: the fields of the session that Tyk keeps
// describe the caller.
type SessionKind struct {
	Block      string // of the configuration
	Namespace  string // of its subjects
	OwnSubject string // the value of subject that reads a property of the kind itself, and no metadata
}

// The kinds of sessions.
var (
	APIKeySessions = SessionKind{Block: "apiKeys", Namespace: "key", OwnSubject: "hmac"}
	OAuthSessions  = SessionKind{Block: "oauth", Namespace: "oauth", OwnSubject: "client"}
	BasicSessions  = SessionKind{Block: "basic", Namespace: "basic", OwnSubject: "username"}
	HMACSessions   = SessionKind{Block: "hmac", Namespace: "hmac", OwnSubject: "keyId"}
	MTLSSessions   = SessionKind{Block: "mtls", Namespace: "mtls", OwnSubject: "fingerprint"}
	CustomSessions = SessionKind{Block: "custom", Namespace: "custom", OwnSubject: "hmac"}
)

// SessionKinds are all of them.
var SessionKinds = []SessionKind{APIKeySessions, OAuthSessions, BasicSessions, HMACSessions, MTLSSessions, CustomSessions}

// SessionMapping maps the metadata of one kind of session.
type SessionMapping struct {
	Subject string                  `yaml:"subject"` // meta.NAME, or [SessionKind.OwnSubject]
	Claims  map[string]mapping.Rule `yaml:"claims"`
	Scopes  PolicyScopes            `yaml:"scopes"`
}

// PolicyScopes grants scopes by the Tyk policies that a session holds.
type PolicyScopes struct {
	ByPolicy map[string][]string `yaml:"byPolicy"`
}

// MetaPrefix begins the name of a field of a session's metadata.
const MetaPrefix = "meta."

// isMetadata reports whether a name is [MetaPrefix] and a field.
func isMetadata(name string) bool {
	field, ok := strings.CutPrefix(name, MetaPrefix)
	return ok && field != ""
}
