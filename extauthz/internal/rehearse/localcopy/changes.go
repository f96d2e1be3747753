// Package localcopy runs a copy of a deployment on loopback: the real gateway with the plugin, Envoy and the authorizer, with the
// user's own API definitions, policies and configuration. Every address in them is replaced by a substitute on loopback. The package
// lists what it replaced, and what it could not run.
package localcopy

import (
	"cmp"
	"slices"
)

// Change is a difference between the user's files and the copy that runs.
type Change struct {
	File string `json:"file"`
	Part string `json:"part"`           // member of the file
	Was  string `json:"was,omitempty"`  // address or setting
	Now  string `json:"now,omitempty"`  // the substitute; empty: nothing takes its place
	Note string `json:"note,omitempty"` // why, or the effect
}

// String is the change for people.
func (c Change) String() string {
	text := c.File + ": " + c.Part
	if c.Was != "" {
		text += ": " + c.Was
	}
	if c.Now != "" {
		text += " -> " + c.Now
	}
	if c.Note != "" {
		text += ": " + c.Note
	}
	return text
}

// Changes are all differences.
type Changes struct {
	Replaced []Change `json:"replaced"` // addresses, each with its substitute
	NotRun   []Change `json:"notRun"`   // parts of the configuration without effect in the copy
	Left     []Change `json:"left"`     // addresses that nothing in the copy connects to
}

func (c *Changes) addReplaced(file, part, was, now, note string) {
	c.Replaced = append(c.Replaced, Change{File: file, Part: part, Was: was, Now: now, Note: note})
}

func (c *Changes) addSkipped(file, part, note string) {
	c.NotRun = append(c.NotRun, Change{File: file, Part: part, Note: note})
}

// sortAll orders the changes, and removes repeated ones.
func (c *Changes) sortAll() {
	for _, list := range []*[]Change{&c.Replaced, &c.NotRun, &c.Left} {
		slices.SortStableFunc(*list, func(a, b Change) int {
			return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Part, b.Part), cmp.Compare(a.Was, b.Was))
		})
		*list = slices.Compact(*list)
		if *list == nil {
			*list = []Change{}
		}
	}
}
