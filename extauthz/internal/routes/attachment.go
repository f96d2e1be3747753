package routes

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// listener is an entry of a Gateway's listeners, or a host of an entry of servers of Istio's Gateway.
type listener struct {
	host      string        // "*": every host
	namespace string        // whose routes it takes; "": of every namespace
	selector  *objects.Node // of namespaces; nil: it takes all
	name      string        // of the Gateway API
	port      int
}

// looseRoute is a route that no listener of a Gateway takes.
type looseRoute struct {
	object *objects.Object
	at     *objects.Node
	reason string
}

func (e *existingRoutes) readListeners() {
	e.listeners = map[string][]listener{}
	for _, o := range e.OfKind(objects.GatewayAPI, "Gateway") {
		key := objects.GatewayAPI + " " + o.Namespace + "/" + o.Name
		e.listeners[key] = []listener{}
		for _, n := range o.Spec().Find("listeners").Entries() {
			if protocol := n.Find("protocol").String(); protocol != "HTTP" && protocol != "HTTPS" {
				continue
			}
			l := listener{host: cmp.Or(strings.ToLower(n.Find("hostname").String()), "*"), name: n.Find("name").String(), port: n.Find("port").Int()}
			switch n.FindPath("allowedRoutes", "namespaces", "from").String() {
			case "", "Same":
				l.namespace = o.Namespace
			case "Selector":
				l.selector = n.FindPath("allowedRoutes", "namespaces", "selector")
			}
			e.listeners[key] = append(e.listeners[key], l)
		}
	}
	for _, o := range e.OfKind(objects.Networking, "Gateway") {
		key := objects.Networking + " " + o.Namespace + "/" + o.Name
		e.listeners[key] = []listener{}
		for _, server := range o.Spec().Find("servers").Entries() {
			for _, host := range server.Find("hosts").Texts() {
				l := listener{host: strings.ToLower(host)}
				if namespace, name, found := strings.Cut(l.host, "/"); found {
					l = listener{host: name, namespace: strings.TrimPrefix(namespace, "*")}
					if namespace == "." {
						l.namespace = o.Namespace
					}
				}
				e.listeners[key] = append(e.listeners[key], l)
			}
		}
	}
}

// attach gives the hosts that a route has at a Gateway: those of the listeners too. A Gateway that is not in an input without Gateways of its
// kind takes every route.
func (e *existingRoutes) attach(o *objects.Object, ref *objects.Node, gateway string, hosts []string) (taken []string) {
	all, known := e.listeners[gateway]
	group, name, _ := strings.Cut(gateway, " ")
	switch {
	case !known && len(e.OfKind(group, "Gateway")) == 0:
		return hosts
	case !known:
		e.loose = append(e.loose, looseRoute{o, ref, "the Gateway " + name + " is not in the input"})
		return nil
	}
	admitted := false
	for _, l := range all {
		section, port := ref.Find("sectionName").String(), ref.Find("port").Int()
		if section != "" && section != l.name || port != 0 && port != l.port || !e.takesNamespace(l, o.Namespace) {
			continue
		}
		admitted = true
		for _, host := range hosts {
			if common := intersectHosts(strings.ToLower(host), l.host); common != "" && !slices.Contains(taken, common) {
				taken = append(taken, common)
			}
		}
	}
	switch {
	case !admitted:
		e.loose = append(e.loose, looseRoute{o, ref, "no listener of the Gateway " + name + " takes routes of the namespace " + o.Namespace + ", or the one that it names does not exist"})
	case len(taken) == 0:
		e.loose = append(e.loose, looseRoute{o, ref, "no listener of the Gateway " + name + " has one of its hosts"})
	}
	return taken
}

// takesNamespace reports whether a listener takes routes of a namespace. Of a selector, only labels are compared.
func (e *existingRoutes) takesNamespace(l listener, namespace string) bool {
	if l.namespace != "" && l.namespace != namespace {
		return false
	}
	for label, value := range l.selector.Find("matchLabels").TextMap() {
		has := e.NamespaceLabel(namespace, label)
		if label == "kubernetes.io/metadata.name" {
			has = namespace
		}
		if has != value && (has != "" || e.Namespaces[namespace] != nil) {
			return false
		}
	}
	return true
}

// intersectHosts gives the hosts that two names with or without a wildcard have in common; "": no host.
func intersectHosts(a, b string) string {
	covers := func(wide, narrow string) bool {
		suffix, isWide := strings.CutPrefix(wide, "*")
		return wide == narrow || isWide && strings.HasSuffix(strings.TrimPrefix(narrow, "*"), suffix)
	}
	switch {
	case covers(b, a):
		return a
	case covers(a, b):
		return b
	}
	return ""
}

// addAt adds a route to the Gateways that take it.
func (e *existingRoutes) addAt(hostsAt map[string][]string, route *existingRoute) {
	for gateway, hosts := range hostsAt {
		if len(hosts) > 0 {
			at := *route
			at.hosts = hosts
			e.byGateway[gateway] = append(e.byGateway[gateway], &at)
		}
	}
}

// isGranted reports whether an HTTPRoute may name a Service of a namespace.
func (e *existingRoutes) isGranted(o *objects.Object, namespace, service string) bool {
	return namespace == o.Namespace || slices.ContainsFunc(e.grants, func(grant *objects.Object) bool {
		return grant.Namespace == namespace &&
			slices.ContainsFunc(grant.Spec().Find("from").Entries(), func(n *objects.Node) bool {
				return n.Find("group").String() == objects.GatewayAPI && n.Find("kind").String() == "HTTPRoute" && n.Find("namespace").String() == o.Namespace
			}) &&
			slices.ContainsFunc(grant.Spec().Find("to").Entries(), func(n *objects.Node) bool {
				name := n.Find("name").String()
				return n.Find("group").String() == "" && n.Find("kind").String() == "Service" && (name == "" || name == service)
			})
	})
}
