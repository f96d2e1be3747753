package tykapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/apidef/oas"
	"github.com/TykTechnologies/tyk/ctx"

	"github.com/meshpass/meshpass/shared/identity"
)

// From release 5.13 on Tyk is a proxy for MCP servers. It takes each JSON-RPC call through the chain
// of the API two or three times, by loops to tyk://self: one for the method and one for the tool. It
// calls the plugins of the API in the first pass only. So the token is put on the request in that
// pass, and Tyk's middlewares see it in the next passes. A definition is rejected if one of them would
// change the token, or write the request to another place.

// ReentersChain reports whether Tyk will take the request through the chain of the same API again,
// without our hooks. Only Tyk itself writes this path: [ProtectedAPI.UnsafeReentry] rejects a definition that
// rewrites URLs.
func ReentersChain(r *http.Request) bool {
	target, _ := r.Context().Value(ctx.UrlRewriteTarget).(*url.URL)
	return target != nil && target.Scheme == internalScheme && target.Host == "self" && strings.HasPrefix(target.Path, "/json-rpc-method:")
}

// checkReentry reports what of a definition would read, change or write the token when Tyk takes a
// request through the chain again; nil: nothing would. extension is the OpenAPI definition's
// x-tyk-api-gateway, or nil: only that form contains tools and prompts.
func checkReentry(d *apidef.APIDefinition, extension *oas.XTykAPIGateway) error {
	found := map[string]bool{}
	for _, handlers := range d.EventHandlers.Events {
		if slices.ContainsFunc(handlers, func(h apidef.EventHandlerTriggerConfig) bool { return h.HandlerMeta["disabled"] != true }) {
			found[eventHandlers] = true
		}
	}
	for _, version := range d.VersionData.Versions {
		paths := version.ExtendedPaths
		if slices.ContainsFunc(paths.Virtual, func(m apidef.VirtualMeta) bool { return !m.Disabled }) {
			found[virtualEndpoints] = true
		}
		if slices.ContainsFunc(paths.GoPlugin, func(m apidef.GoPluginMeta) bool { return !m.Disabled }) {
			found[endpointPlugins] = true
		}
	}
	if hasRewrites(d) {
		found["URL rewriting: it could send the token elsewhere"] = true
	}
	for _, form := range []any{d, extension} {
		value, err := plainJSON(form)
		if err != nil {
			return fmt.Errorf("the definition cannot be read: %w", err)
		}
		findOwnHeaders(value, "", found)
	}
	if len(found) == 0 {
		return nil
	}
	return errors.New("in an MCP proxy, switch off " + strings.Join(slices.Sorted(maps.Keys(found)), "; "))
}

const (
	eventHandlers    = "event handlers: an event holds the request with all its headers"
	virtualEndpoints = "virtual endpoints: their code gets all headers"
	endpointPlugins  = "plugins of endpoints, tools, resources and prompts: they run after " + GuardHook
)

func plainJSON(value any) (plain any, err error) {
	data, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(data, &plain)
	}
	return plain, err
}

// findOwnHeaders looks through all members of a definition, because releases give their places
// different names. name is the name of the member itself.
func findOwnHeaders(value any, name string, found map[string]bool) {
	switch value := value.(type) {
	case string:
		if identity.IsReservedHeader(value) || readsOwnHeader(value) {
			found[fmt.Sprintf("what reads or writes our headers (%s)", name)] = true
		}
	case []any:
		for _, entry := range value {
			findOwnHeaders(entry, name, found)
		}
	case map[string]any:
		for member, below := range value {
			if identity.IsReservedHeader(member) || readsOwnHeader(member) {
				found[fmt.Sprintf("what reads or writes our headers (%s)", name)] = true
			}
			findEnabled(member, name, below, found)
			findOwnHeaders(below, member, found)
		}
	}
}

// findEnabled finds what only the OpenAPI form contains. The plugins under global are those of the API
// itself; the last one of them is ours.
func findEnabled(member, within string, value any, found map[string]bool) {
	switch {
	case member == "virtualEndpoint" && isEnabled(value):
		found[virtualEndpoints] = true
	case member == "postPlugins" && within != "global" && isEnabled(value):
		found[endpointPlugins] = true
	case member == "eventHandlers" && isEnabled(value):
		found[eventHandlers] = true
	}
}

// isEnabled reads an object with the member enabled, or a list of such objects.
func isEnabled(value any) bool {
	if list, ok := value.([]any); ok {
		return slices.ContainsFunc(list, isEnabled)
	}
	object, _ := value.(map[string]any)
	return object["enabled"] == true
}

// readsOwnHeader finds context variables that contain one of our headers, or all headers:
// $tyk_context.headers_Txn_Token.
func readsOwnHeader(text string) bool {
	for _, after := range strings.Split(text, "tyk_context.headers")[1:] {
		name, one := strings.CutPrefix(after, "_")
		if end := strings.IndexFunc(name, isOutsideHeaderName); end >= 0 {
			name = name[:end]
		}
		if !one || identity.IsReservedHeader(name) {
			return true
		}
	}
	return false
}

func isOutsideHeaderName(r rune) bool {
	return r != '_' && r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}
