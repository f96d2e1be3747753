package pathset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// MaxStates is the largest number of states that [Explore] visits.
const MaxStates = 200_000

// ErrTooComplex means that expressions are too large to be compared.
var ErrTooComplex = errors.New("the patterns are too complex to be compared")

// Operand is a set with the texts that precede the varying text in it. So one varying text, such as the part of a path behind the listen
// path, is compared behind different beginnings.
type Operand struct {
	Set       Set
	Prefix    string
	Beginning bool // the beginning of the space comes between Prefix and the varying text

	// After begins the varying text, and the set does not see it. Within precedes the rest in its place, after
	// Prefix: the set has the rest if some text of Within makes it a member.
	After  string
	Within Set
}

// Space is the texts that are compared: a beginning that differs from text to text, such as a listen path with parameters, and the varying
// text.
type Space struct {
	Beginning Set // empty: there is no beginning
	Operands  []Operand
}

// Region is what is known of all texts that are in the same operands.
type Region struct {
	Members   []bool // by operand
	Beginning string // of the example
	Example   string // the shortest varying text
}

// Explore finds all regions of the varying text: each combination of operands that some text is in, once. The error is [ErrTooComplex].
func Explore(space Space) ([]Region, error) {
	sets := []Set{space.Beginning}
	letters := ""
	for _, o := range space.Operands {
		sets = append(sets, o.Set, o.Within)
		letters += o.After
	}
	e := explorer{classes: classesOf(sets, letters)}
	first := make([]int, len(space.Operands))
	for i, o := range space.Operands {
		a := newAutomaton(o.Set, e.classes)
		e.automata = append(e.automata, a)
		first[i] = a.start()
		for _, letter := range o.Prefix {
			first[i] = a.stepRune(first[i], letter)
		}
		var err error
		if first[i], err = a.consumeWithin(first[i], o.Within); err != nil {
			return nil, err
		}
		first[i] = a.delay(first[i], o.After)
	}
	starts, err := e.findStarts(space, first)
	if err != nil {
		return nil, err
	}
	all := make([]int, len(first))
	for i := range all {
		all[i] = i
	}
	regions := map[string]bool{}
	var found []Region
	err = e.walk(starts, all, func(w *walk, at int) {
		members := make([]bool, len(e.automata))
		key := make([]byte, len(e.automata))
		for i, a := range e.automata {
			if members[i] = a.isMember(w.visits[at].states[i]); members[i] {
				key[i] = 1
			}
		}
		if !regions[string(key)] {
			regions[string(key)] = true
			text, from := w.textOf(at)
			found = append(found, Region{Members: members, Beginning: starts[from].text, Example: text})
		}
	})
	return found, err
}

// explorer has the automata of a space.
type explorer struct {
	classes  []rune
	automata []*automaton
}

// startState is a state of all automata before the varying text, with the beginning that leads there.
type startState struct {
	states []int
	text   string
}

// findStarts finds the states that beginnings lead to, with the shortest beginning of each.
func (e *explorer) findStarts(space Space, first []int) ([]startState, error) {
	if space.Beginning.IsEmptySet() {
		return []startState{{states: first}}, nil
	}
	var varying []int
	for i, o := range space.Operands {
		if o.Beginning {
			varying = append(varying, i)
		}
	}
	beginning := newAutomaton(space.Beginning, e.classes)
	e.automata = append(e.automata, beginning)
	defer func() { e.automata = e.automata[:len(e.automata)-1] }()
	states := append(slices.Clone(first), beginning.start())
	var starts []startState
	seen := map[string]bool{}
	err := e.walk([]startState{{states: states}}, append(varying, len(first)), func(w *walk, at int) {
		states := w.visits[at].states
		if key := keyOf(states[:len(first)]); beginning.isMember(states[len(first)]) && !seen[key] {
			seen[key] = true
			text, _ := w.textOf(at)
			starts = append(starts, startState{states: states[:len(first)], text: text})
		}
	})
	return starts, err
}

// walk visits the states of all automata, in the order of the length of texts.
type walk struct {
	classes []rune
	visits  []visit
}

type visit struct {
	states []int
	before int // the index of the visit before; below 0: of a start, counted from -1 down
	class  int
}

// walk lets only some automata move, and calls each once for each state.
func (e *explorer) walk(starts []startState, moving []int, each func(w *walk, at int)) error {
	w := &walk{classes: e.classes}
	seen := map[string]bool{}
	add := func(v visit) {
		if key := keyOf(v.states); !seen[key] {
			seen[key] = true
			w.visits = append(w.visits, v)
		}
	}
	for i, s := range starts {
		add(visit{states: s.states, before: -1 - i})
	}
	for at := 0; at < len(w.visits); at++ {
		if len(w.visits) > MaxStates {
			return fmt.Errorf("%w: more than %d states", ErrTooComplex, MaxStates)
		}
		each(w, at)
		for class := range e.classes {
			next := slices.Clone(w.visits[at].states)
			for _, i := range moving {
				next[i] = e.automata[i].step(next[i], class)
			}
			add(visit{states: next, before: at, class: class})
		}
	}
	return nil
}

// textOf gives the text that leads to a visit, and the index of its start.
func (w *walk) textOf(at int) (text string, start int) {
	var letters []rune
	for ; w.visits[at].before >= 0; at = w.visits[at].before {
		letters = append(letters, w.classes[w.visits[at].class])
	}
	slices.Reverse(letters)
	return string(letters), -1 - w.visits[at].before
}

func keyOf(states []int) string {
	key := make([]byte, 0, 4*len(states))
	for _, s := range states {
		key = binary.LittleEndian.AppendUint32(key, uint32(s))
	}
	return string(key)
}
