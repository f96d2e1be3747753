package model

import (
	"maps"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// Variables are the environment variables of a container, as far as the input shows them.
type Variables struct {
	values   map[string]*objects.Node // written in the container, or in a ConfigMap of the input
	named    map[string]bool          // with values that are not in the input, such as those of Secrets
	complete bool                     // there are no others
}

// Lacks reports a variable that the container certainly does not have.
func (v Variables) Lacks(name string) bool {
	return v.complete && v.values[name] == nil && !v.named[name]
}

// Value is the value of a variable, if the input has it.
func (v Variables) Value(name string) *objects.Node { return v.values[name] }

// Names are the names of all variables that the input shows.
func (v Variables) Names() []string {
	return slices.Sorted(maps.Keys(v.values))
}

// VariablesOf reads the environment of a container: its own entries, and the ConfigMaps that it takes over.
func (m *Model) VariablesOf(namespace string, container *objects.Node) Variables {
	v := Variables{values: map[string]*objects.Node{}, named: map[string]bool{}, complete: true}
	for _, from := range container.Find("envFrom").Entries() {
		holder := m.findHolder("ConfigMap", namespace, from.FindPath("configMapRef", "name").String())
		if holder == nil {
			v.complete = false
			continue
		}
		for _, n := range holder.Root.Find("data").Members() {
			v.values[from.Find("prefix").String()+n.Key] = n
		}
	}
	v.add(m, namespace, container.Find("env").Entries())
	return v
}

// add reads entries of env, which count before those of envFrom.
func (v *Variables) add(m *Model, namespace string, entries []*objects.Node) {
	for _, e := range entries {
		name := e.Find("name").String()
		ref := e.FindPath("valueFrom", "configMapKeyRef")
		value := e.Find("value")
		if holder := m.findHolder("ConfigMap", namespace, ref.Find("name").String()); value == nil && holder != nil {
			value = holder.Root.Find("data").Find(ref.Find("key").String())
		}
		if value != nil {
			v.values[name] = value
		} else {
			delete(v.values, name)
			v.named[name] = true
		}
	}
}
