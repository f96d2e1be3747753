package rbac

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// endpoint is a pattern of paths that Tyk treats in its own way. Its kind only divides: the router decides the effect.
type endpoint struct {
	kind         string // the list of a classic definition, or the setting of an operation
	pattern      string
	isExpression bool   // it is no pattern of a list, but a regular expression of URL rewriting
	method       string // "": every method
	ignoresCase  bool
}

// rewrites reports an endpoint whose requests get another path or method.
func (e endpoint) rewrites() bool {
	return slices.Contains([]string{"url_rewrites", "method_transforms", "persist_graphql", "urlRewrite", "transformRequestMethod"}, e.kind)
}

// endpointsOf gives the endpoints of a definition. The files of an API in OpenAPI form are a pair, whose mock responses count too.
func endpointsOf(a *model.API) []endpoint {
	all := classicEndpoints(a)
	for _, open := range []*model.API{a, a.Pair} {
		if open != nil && open.Form == model.OpenAPI {
			all = append(all, openEndpoints(open)...)
		}
	}
	return all
}

func classicEndpoints(a *model.API) (all []endpoint) {
	for _, v := range a.Root.FindFold("version_data", "versions").Members() {
		for _, lists := range []*objects.Node{v.FindFold("paths"), v.FindFold("extended_paths")} {
			for _, list := range lists.Members() {
				for _, n := range list.Entries() {
					all = append(all, classicEntries(strings.ToLower(list.Key), n)...)
				}
			}
		}
	}
	return all
}

// classicEntries gives an entry once for each method that it has actions for.
func classicEntries(kind string, n *objects.Node) (all []endpoint) {
	if n.Kind == objects.Text {
		return []endpoint{{kind: kind, pattern: n.Value}}
	}
	if n.FindFold("disabled").IsTrue() {
		return nil
	}
	e := endpoint{kind: kind, pattern: n.FindFold("path").String(), method: n.FindFold("method").String(), ignoresCase: n.FindFold("ignore_case").IsTrue()}
	if actions := n.FindFold("method_actions").Members(); len(actions) > 0 {
		for _, action := range actions {
			e.method = action.Key
			all = append(all, e)
		}
		return all
	}
	all = append(all, e)
	if pattern := n.FindFold("match_pattern").String(); pattern != "" {
		all = append(all, endpoint{kind: kind + " pattern", pattern: pattern, isExpression: true, method: e.method})
	}
	return all
}

func openEndpoints(a *model.API) (all []endpoint) {
	operations := a.Root.FindFold("middleware", "operations")
	for _, path := range a.Document.Find("paths").Members() {
		for _, method := range path.Members() {
			operation := operations.Find(method.Find("operationId").String())
			for _, setting := range operation.Members() {
				if !setting.FindFold("enabled").IsTrue() {
					continue
				}
				e := endpoint{kind: setting.Key, pattern: path.Key, method: strings.ToUpper(method.Key), ignoresCase: setting.FindFold("ignoreCase").IsTrue()}
				all = append(all, e)
				if pattern := setting.FindFold("pattern").String(); pattern != "" {
					all = append(all, endpoint{kind: setting.Key + " pattern", pattern: pattern, isExpression: true, method: e.method})
				}
			}
		}
	}
	return all
}
