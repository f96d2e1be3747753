package configcheck

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/app"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

// Kind is the program that reads a configuration.
type Kind string

// The kinds.
const (
	Authorizer Kind = "authorizer"
	Plugin     Kind = "plugin"
)

// errKind is the error of a file whose keys do not show its kind.
var errKind = errors.New("write --kind authorizer or --kind plugin")

// FindKind recognises a configuration by its keys, without those below them. It is for the program that
// alone knows one of the keys; keys that both know, as audit, and unknown keys do not count. The error
// names keys of both programs, or reports that there is no key of either. The kind is empty for what is not YAML.
func FindKind(data []byte) (Kind, error) {
	document, err := strictyaml.Parse(data)
	if err != nil {
		return "", nil // no program can read it
	}
	keys, ofAuthorizer, ofPlugin := document.Keys(), app.ConfigKeys(), settings.ConfigKeys()
	authorizer, plugin := firstOnlyIn(keys, ofAuthorizer, ofPlugin), firstOnlyIn(keys, ofPlugin, ofAuthorizer)
	switch {
	case authorizer != "" && plugin != "":
		return "", fmt.Errorf("%s is a key of the authorizer's file and %s one of the plugin's: %w", authorizer, plugin, errKind)
	case authorizer != "":
		return Authorizer, nil
	case plugin != "":
		return Plugin, nil
	}
	return "", fmt.Errorf("no key of the authorizer's file (such as listeners) and none of the plugin's (such as issuer) is at the top level: %w", errKind)
}

// firstOnlyIn returns the first key that is in one of the two lists, and not in the other one.
func firstOnlyIn(keys, of, other []string) string {
	i := slices.IndexFunc(keys, func(key string) bool { return slices.Contains(of, key) && !slices.Contains(other, key) })
	if i < 0 {
		return ""
	}
	return strings.Clone(keys[i])
}
