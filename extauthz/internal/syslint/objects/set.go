package objects

import (
	"cmp"
	"slices"
	"strings"
)

// Object is a Kubernetes object.
type Object struct {
	Root                 *Node
	Group, Version, Kind string
	Namespace, Name      string // Namespace is empty for kinds without one
	Labels, Annotations  map[string]string
	annotations          *Node
}

// Title names the object, such as Deployment edge/tyk-gateway.
func (o *Object) Title() string { return titleOf(o.Kind, o.Namespace, o.Name) }

func titleOf(kind, namespace, name string) string {
	if namespace == "" {
		return kind + " " + name
	}
	return kind + " " + namespace + "/" + name
}

// Annotation is the value of an annotation, as a node; nil: it is absent.
func (o *Object) Annotation(name string) *Node { return o.annotations.Find(name) }

// Spec is the member spec.
func (o *Object) Spec() *Node { return o.Root.Find("spec") }

// Content is a file that is no Kubernetes object, or that a ConfigMap or Secret holds.
type Content struct {
	Kind      ContentKind
	Root      *Node
	Text      []byte
	Line      int    // lines before it in its file or key
	Name      string // the base name of the file, or the key of the ConfigMap
	Holder    string // the name of the ConfigMap or Secret; empty: a file
	Namespace string // of the ConfigMap or Secret
}

// Unchecked is a part of the input that could not be checked.
type Unchecked struct {
	Place
	Reason string `json:"reason"`
}

// Set is everything that was read.
type Set struct {
	Objects   []*Object
	Contents  []*Content
	Unchecked []Unchecked
	Notes     []string       // parts that no check reads, and parts that are not in the input
	Ignored   map[string]int // other kinds, which no check reads, with their number
	// IsWholeCluster is set if all ConfigMaps of a cluster were read.
	IsWholeCluster bool
	known          map[string]int // index of an object by its title and group
}

// NewSet is an empty set.
func NewSet() *Set { return &Set{Ignored: map[string]int{}, known: map[string]int{}} }

// ContentsOf gives the files of a kind.
func (s *Set) ContentsOf(kind ContentKind) []*Content {
	var found []*Content
	for _, c := range s.Contents {
		if c.Kind == kind {
			found = append(found, c)
		}
	}
	return found
}

// addUnchecked records what could not be checked.
func (s *Set) addUnchecked(p Place, reason string) {
	s.Unchecked = append(s.Unchecked, Unchecked{Place: p, Reason: reason})
}

// SortedUnchecked gives what could not be checked, in the order of places.
func (s *Set) SortedUnchecked() []Unchecked {
	all := append([]Unchecked{}, s.Unchecked...)
	slices.SortStableFunc(all, func(a, b Unchecked) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), cmp.Compare(a.Line, b.Line), strings.Compare(a.Object, b.Object), cmp.Compare(a.KeyLine, b.KeyLine), cmp.Compare(a.Column, b.Column), cmp.Compare(a.KeyColumn, b.KeyColumn))
	})
	return all
}

// AddMissing records a part without which nothing can be compared.
func (s *Set) AddMissing(part string) {
	s.addUnchecked(Place{Source: "the input"}, "it has no "+part)
}

// AddNote records, once, what is not in the input.
func (s *Set) AddNote(text string) {
	if !slices.Contains(s.Notes, text) {
		s.Notes = append(s.Notes, text)
	}
}
