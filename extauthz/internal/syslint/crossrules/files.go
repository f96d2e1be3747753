package crossrules

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/policy/source"
)

var (
	variableMissing = registry.Define("variable_unset", finding.Error,
		"A configuration of ours takes a value from the environment (${NAME}) that the container does not have.",
		"The configuration is rejected: the authorizer does not start, or the plugin denies every request.",
		"Set the variable in the container, or correct its name.")
	documentNotRead = registry.Define("document_not_read", finding.Error,
		"A ConfigMap beside the authorizer has a document that no folder of policies.dirs has: the ConfigMap is not mounted there, or items of the volume leave the key out.",
		"The document guards nothing. What it should guard has no document.",
		"Mount the ConfigMap at a folder of policies.dirs, end the name of the file with .yaml or .yml, and list each document in items of the volume, or remove items.")
)

func (c *checker) checkFiles() {
	for _, g := range c.Gateways {
		for _, p := range c.Plugins {
			if g.Workload != nil && p.Content.Namespace == g.Namespace {
				c.checkVariables(g.Variables, p.Root)
			}
		}
	}
	for _, a := range c.Authorizers {
		for _, w := range c.AuthorizerWorkloads(a) {
			for _, n := range w.Containers() {
				if model.IsAuthorizer(n) {
					c.checkVariables(c.VariablesOf(w.Namespace, n), a.Root)
					c.checkDocumentFiles(a, w, w.ContainerOf(n))
				}
			}
		}
	}
}

var variableForm = regexp.MustCompile(`(^|[^$])\$\{([A-Z][A-Z0-9_]*)\}`)

func (c *checker) checkVariables(variables model.Variables, root *objects.Node) {
	root.Walk(func(n *objects.Node) bool {
		for _, match := range variableForm.FindAllStringSubmatch(n.Value, -1) {
			if variables.Lacks(match[2]) {
				c.report.Add(variableMissing, n, "the container has no variable %s%s", match[2], suggest.DidYouMean(match[2], variables.Names()))
			}
		}
		return true
	})
}

// documentFolders gives the folders of policies.dirs in the container; nil: variables name some of them.
func documentFolders(a *model.AuthorizerConfig, container *model.Container) (folders []string) {
	for _, dir := range a.Root.FindPath("policies", "dirs").Entries() {
		folder := dir.Find("path").String()
		if strings.Contains(folder, "${") {
			return nil
		}
		file, _ := model.Argument(container.Node, "config")
		folders = append(folders, model.ResolvePath(path.Dir(file), folder))
	}
	return folders
}

// documentHolders gives the names of the ConfigMaps that policies.dirs lead to; nil: documents come from elsewhere.
func documentHolders(a *model.AuthorizerConfig, container *model.Container) (holders []string) {
	for _, folder := range documentFolders(a, container) {
		holders = append(holders, container.ConfigMapsAt(folder)...)
	}
	return holders
}

// documentNames gives the names that a document has in the folders of an authorizer.
func documentNames(a *model.AuthorizerConfig, container *model.Container, d *model.Document) (names []string) {
	for _, folder := range documentFolders(a, container) {
		names = append(names, container.NamesAt(folder, d.Content.Holder, d.Content.Name)...)
	}
	return names
}

// isReadBeside reports a document that an authorizer of its namespace reads: several can share one ConfigMap by items of their volumes.
func (c *checker) isReadBeside(d *model.Document) bool {
	return slices.ContainsFunc(c.Authorizers, func(a *model.AuthorizerConfig) bool {
		return slices.ContainsFunc(c.AuthorizerWorkloads(a), func(w *model.Workload) bool {
			return w.Namespace == d.Content.Namespace && slices.ContainsFunc(w.Containers(), func(n *objects.Node) bool {
				return model.IsAuthorizer(n) && slices.ContainsFunc(documentNames(a, w.ContainerOf(n), d), source.IsRead)
			})
		})
	})
}

// hasEmptyFolders reports an authorizer whose ConfigMaps of documents are in the input, though they have no document.
func (c *checker) hasEmptyFolders() bool {
	for _, a := range c.Authorizers {
		for _, w := range c.AuthorizerWorkloads(a) {
			for _, n := range w.Containers() {
				holders := documentHolders(a, w.ContainerOf(n))
				if slices.ContainsFunc(c.OfKind(objects.Core, "ConfigMap"), func(o *objects.Object) bool { return o.Namespace == w.Namespace && slices.Contains(holders, o.Name) }) {
					return true
				}
			}
		}
	}
	return false
}

// checkDocumentFiles looks for documents that no folder of the authorizer has.
func (c *checker) checkDocumentFiles(a *model.AuthorizerConfig, w *model.Workload, container *model.Container) {
	holders := documentHolders(a, container)
	if len(holders) == 0 {
		return
	}
	for _, d := range c.Documents {
		if d.Content.Holder == "" || d.Content.Namespace != w.Namespace {
			continue
		}
		names := documentNames(a, container, d)
		switch {
		case slices.ContainsFunc(names, source.IsRead) || c.isReadBeside(d):
		case !slices.Contains(holders, d.Content.Holder):
			c.report.Add(documentNotRead, d.Root, "document %s: ConfigMap %s/%s is in no folder of policies.dirs", d.Name, d.Content.Namespace, d.Content.Holder)
		case len(names) == 0:
			c.report.Add(documentNotRead, d.Root, "document %s: items of the volume of %s leave out the key %s of ConfigMap %s/%s", d.Name, w.Title(), d.Content.Name, d.Content.Namespace, d.Content.Holder)
		default:
			c.report.Add(documentNotRead, d.Root, "document %s: the authorizer does not read the file %s, because of its name", d.Name, names[0])
		}
	}
}
