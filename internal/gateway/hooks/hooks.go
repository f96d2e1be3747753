// Package hooks states where an API definition must list the hooks of the plugin. The plugin applies these rules to the
// definitions that the gateway serves, and `meshpass tyk hooks` applies them to files. The package knows neither Tyk's types
// nor the form of a definition.
//
// Each fact about Tyk was measured on release 5.8.
package hooks

import (
	"fmt"
	"slices"
)

// The names under which API definitions list the hooks of the plugin. [Canary] protects nothing.
const (
	Strip  = "StripIdentity"
	Sign   = "SignIdentity"
	Guard  = "GuardUpstream"
	Canary = "Canary"
)

// Driver is the value of custom_middleware.driver for Go plugins. Tyk runs no hook of ours if the value is another one.
const Driver = "goplugin"

// List is a list of a definition that can contain hooks.
type List int

// The lists. AuthCheck is a single entry, and Endpoints are the plugins of single endpoints.
const (
	Pre List = iota
	AuthCheck
	PostAuth
	Post
	Response
	Endpoints
)

// allLists are the lists in the order of the reported faults.
var allLists = []List{Pre, AuthCheck, PostAuth, Post, Response, Endpoints}

// Names has the names of the lists in a form of definitions.
type Names map[List]string

// ClassicNames are the names in a classic definition.
var ClassicNames = Names{
	Pre: "custom_middleware.pre", AuthCheck: "custom_middleware.auth_check", PostAuth: "custom_middleware.post_key_auth",
	Post: "custom_middleware.post", Response: "custom_middleware.response", Endpoints: "extended_paths.go_plugin",
}

// OpenNames are the names below x-tyk-api-gateway.middleware in a definition in OpenAPI form.
var OpenNames = Names{
	Pre: "global.prePlugins", AuthCheck: "the authentication plugin", PostAuth: "global.postAuthenticationPlugins",
	Post: "global.postPlugins", Response: "global.responsePlugins", Endpoints: "operations.postPlugins",
}

// ListOf has the hooks that protect an API, and the only list where each of them works.
var ListOf = map[string]List{Strip: Pre, Sign: PostAuth, Guard: Post}

// Entry is an entry of a list.
type Entry struct {
	Name, Path string
	Disabled   bool
}

// Listed are the entries of a definition by list, in their order.
type Listed map[List][]Entry

// Working gives the hooks that protect an API and that Tyk runs, by list. Tyk ignores a disabled hook, and one without
// a path in its own list.
func (l Listed) Working() map[List][]string {
	working := map[List][]string{}
	for list, entries := range l {
		for _, e := range entries {
			own, ours := ListOf[e.Name]
			if ours && !e.Disabled && (e.Path != "" || own != list) {
				working[list] = append(working[list], e.Name)
			}
		}
	}
	return working
}

// FindMisplaced describes a hook of [Listed.Working] that is in a list where it cannot work, or twice in its own; "": no hook is.
func FindMisplaced(working map[List][]string, names Names) string {
	for _, list := range allLists {
		for i, hook := range working[list] {
			switch {
			case ListOf[hook] != list:
				return fmt.Sprintf("%s lists %s, which works in %s only: move it there", names[list], hook, names[ListOf[hook]])
			case slices.Contains(working[list][:i], hook):
				return fmt.Sprintf("%s lists %s twice: remove one of them", names[list], hook)
			}
		}
	}
	return ""
}

// FindWithoutPath describes a hook that is listed without the plugin's file, so that Tyk ignores it; "": every hook has a path.
func (l Listed) FindWithoutPath(names Names) string {
	for _, list := range []List{Pre, PostAuth, Post} {
		for _, e := range l[list] {
			if _, ours := ListOf[e.Name]; ours && !e.Disabled && e.Path == "" {
				return fmt.Sprintf("%s lists %s without a path, so that Tyk does not run it: name the plugin's file", names[list], e.Name)
			}
		}
	}
	return ""
}

// GuardIsLast reports whether [Guard] is the last enabled hook of its list. A plugin after it could send the token elsewhere.
func (l Listed) GuardIsLast() bool {
	last := ""
	for _, e := range l[Post] {
		if !e.Disabled {
			last = e.Name
		}
	}
	return last == Guard
}
