// Package pathset compares sets of paths that regular expressions describe: is there a path in these sets and not in those? It
// answers for all paths, not for a sample, and names the shortest path as an example.
//
// A set is a regular expression of Go, as Tyk matches paths: anywhere in the text unless it has anchors. Sets become deterministic
// automata, which are explored side by side.
package pathset

import (
	"encoding/binary"
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
)

// Set is a set of texts. The zero Set is empty. It never changes.
type Set struct {
	program *syntax.Prog // nil: empty
}

// Parse makes the set of texts that an expression matches, as regexp.MatchString does. The error is that of package regexp.
func Parse(expressions ...string) (Set, error) {
	var all []*syntax.Regexp
	for _, text := range expressions {
		parsed, err := syntax.Parse(text, syntax.Perl)
		if err != nil {
			return Set{}, err
		}
		all = append(all, parsed)
	}
	if len(all) == 0 {
		return Set{}, nil
	}
	union := all[0]
	if len(all) > 1 {
		union = &syntax.Regexp{Op: syntax.OpAlternate, Sub: all}
	}
	program, err := syntax.Compile(union.Simplify())
	if err != nil {
		return Set{}, err
	}
	return Set{program: program}, nil
}

// MustParse is [Parse] for expressions of this program.
func MustParse(expressions ...string) Set {
	s, err := Parse(expressions...)
	if err != nil {
		panic(fmt.Sprintf("expression of this program: %v", err))
	}
	return s
}

// IsEmptySet reports a set without an expression.
func (s Set) IsEmptySet() bool { return s.program == nil }

// automaton makes a [Set] deterministic, state by state, as far as it is explored.
type automaton struct {
	program    *syntax.Prog
	everywhere bool // a match may begin anywhere
	needsPrev  bool // the expression looks at the letter before a place
	classes    []rune
	states     []automatonState
	ids        map[string]int
	marked     []bool
	stack      []uint32
}

// automatonState is what is known after a text: the instructions that may go on, and the kind of the last letter.
type automatonState struct {
	threads []uint32
	prev    rune
	next    []int // by class; -1: not yet explored
	ends    int8  // whether the text may end here; -1: not yet known
	waiting bool  // for a text that the set does not see
}

const (
	rejecting = 0 // no text from here on is in the set
	accepting = 1 // every text from here on is in the set
)

func newAutomaton(s Set, classes []rune) *automaton {
	a := &automaton{program: s.program, classes: classes, ids: map[string]int{}}
	a.states = []automatonState{{ends: 0}, {ends: 1}}
	if s.program == nil {
		return a
	}
	a.everywhere = s.program.StartCond()&syntax.EmptyBeginText == 0
	a.marked = make([]bool, len(s.program.Inst))
	for _, inst := range s.program.Inst {
		if inst.Op == syntax.InstEmptyWidth && syntax.EmptyOp(inst.Arg)&^(syntax.EmptyBeginText|syntax.EmptyEndText) != 0 {
			a.needsPrev = true
		}
	}
	return a
}

// start is the state before the first letter.
func (a *automaton) start() int {
	if a.program == nil {
		return rejecting
	}
	return a.addState([]uint32{uint32(a.program.Start)}, -1)
}

func (a *automaton) addState(threads []uint32, prev rune) int {
	if prev >= 0 && !a.needsPrev {
		prev = ' '
	}
	if len(threads) == 0 && !a.everywhere {
		return rejecting
	}
	key := make([]byte, 0, 4*len(threads)+4)
	key = binary.LittleEndian.AppendUint32(key, uint32(prev))
	for _, t := range threads {
		key = binary.LittleEndian.AppendUint32(key, t)
	}
	if id, known := a.ids[string(key)]; known {
		return id
	}
	next := make([]int, len(a.classes))
	for i := range next {
		next[i] = -1
	}
	id := len(a.states)
	a.states = append(a.states, automatonState{threads: threads, prev: prev, next: next, ends: -1})
	a.ids[string(key)] = id
	return id
}

// step is the state after a letter of a class.
func (a *automaton) step(state, class int) int {
	if state <= accepting {
		return state
	}
	if known := a.states[state].next[class]; known >= 0 {
		return known
	}
	next := a.stepRune(state, a.classes[class])
	a.states[state].next[class] = next
	return next
}

func (a *automaton) stepRune(state int, letter rune) int {
	if state <= accepting {
		return state
	}
	if a.states[state].waiting {
		return rejecting // step knows the letter that goes on
	}
	reached, matched := a.closure(state, letter)
	if matched {
		return accepting
	}
	var threads []uint32
	for _, pc := range reached {
		if inst := &a.program.Inst[pc]; inst.MatchRune(letter) && !slices.Contains(threads, inst.Out) {
			threads = append(threads, inst.Out)
		}
	}
	slices.Sort(threads)
	return a.addState(threads, kindOf(letter))
}

// delay gives a state that goes on to another one after a text.
func (a *automaton) delay(state int, text string) int {
	letters := []rune(text)
	for i := len(letters) - 1; i >= 0; i-- {
		next := make([]int, len(a.classes))
		for class, letter := range a.classes {
			if letter == letters[i] {
				next[class] = state
			}
		}
		a.states = append(a.states, automatonState{next: next, waiting: true})
		state = len(a.states) - 1
	}
	return state
}

// consumeWithin gives the state after any text of a set: all that one of these texts makes possible.
func (a *automaton) consumeWithin(state int, within Set) (int, error) {
	if within.IsEmptySet() {
		return state, nil
	}
	e := explorer{classes: a.classes, automata: []*automaton{a, newAutomaton(within, a.classes)}}
	var threads []uint32
	accepted := false
	err := e.walk([]startState{{states: []int{state, e.automata[1].start()}}}, []int{0, 1}, func(w *walk, at int) {
		states := w.visits[at].states
		if e.automata[1].isMember(states[1]) {
			accepted = accepted || states[0] == accepting
			threads = append(threads, a.states[states[0]].threads...)
		}
	})
	slices.Sort(threads)
	if accepted {
		return accepting, err
	}
	return a.addState(slices.Compact(threads), '/'), err
}

// isMember reports whether the text that led to a state is in the set.
func (a *automaton) isMember(state int) bool {
	s := &a.states[state]
	if s.ends < 0 {
		_, matched := a.closure(state, -1)
		a.states[state].ends = 0
		if matched {
			a.states[state].ends = 1
		}
	}
	return a.states[state].ends == 1
}

// closure follows the instructions that consume no letter, between the last letter and the next one; -1: the text ends.
func (a *automaton) closure(state int, next rune) (reached []uint32, matched bool) {
	s := &a.states[state]
	flags := syntax.EmptyOpContext(s.prev, next)
	clear(a.marked)
	a.stack = append(a.stack[:0], s.threads...)
	if a.everywhere {
		a.stack = append(a.stack, uint32(a.program.Start))
	}
	for len(a.stack) > 0 {
		pc := a.stack[len(a.stack)-1]
		a.stack = a.stack[:len(a.stack)-1]
		if a.marked[pc] {
			continue
		}
		a.marked[pc] = true
		switch inst := &a.program.Inst[pc]; inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			a.stack = append(a.stack, inst.Out, inst.Arg)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(inst.Arg)&^flags == 0 {
				a.stack = append(a.stack, inst.Out)
			}
		case syntax.InstCapture, syntax.InstNop:
			a.stack = append(a.stack, inst.Out)
		case syntax.InstMatch:
			return nil, true
		case syntax.InstFail:
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			reached = append(reached, pc)
		}
	}
	return reached, false
}

// kindOf keeps of a letter what anchors and word boundaries look at.
func kindOf(letter rune) rune {
	switch {
	case letter == '\n':
		return '\n'
	case syntax.IsWordChar(letter):
		return 'a'
	}
	return ' '
}

// examples are the letters that an example path prefers.
const examples = "xyzabcdefghijklmnopqrstuvw0123456789XYZABCDEFGHIJKLMNOPQRSTUVW-_.~:@!$&'()*+,=/ "

// classesOf gives one letter of each class of letters that no expression of the sets distinguishes. Each of the given letters is a class.
func classesOf(sets []Set, own string) []rune {
	bounds := map[rune]bool{0: true, '\n': true, '\n' + 1: true}
	for _, r := range own {
		bounds[r], bounds[r+1] = true, true
	}
	var instructions []*syntax.Inst
	seen := map[string]bool{}
	for _, s := range sets {
		if s.program == nil {
			continue
		}
		for i := range s.program.Inst {
			inst := &s.program.Inst[i]
			if inst.Op != syntax.InstRune && inst.Op != syntax.InstRune1 || seen[inst.String()] {
				continue
			}
			seen[inst.String()] = true
			instructions = append(instructions, inst)
			addBounds(bounds, inst)
		}
	}
	for _, r := range "0:A[_`a{" { // letters of words
		bounds[r] = true
	}
	all := make([]rune, 0, len(bounds))
	for r := range bounds {
		all = append(all, r)
	}
	slices.Sort(all)
	bySignature := map[string]rune{}
	for i, low := range all {
		high := unicode.MaxRune
		if i+1 < len(all) {
			high = all[i+1] - 1
		}
		if low > unicode.MaxRune {
			continue
		}
		letter := exampleIn(low, high)
		signature := make([]byte, len(instructions)+1, len(instructions)+5)
		if strings.ContainsRune(own, letter) {
			signature = binary.LittleEndian.AppendUint32(signature, uint32(letter))
		}
		signature[len(instructions)] = byte(kindOf(letter))
		for j, inst := range instructions {
			if inst.MatchRune(letter) {
				signature[j] = 1
			}
		}
		if known, found := bySignature[string(signature)]; !found || rankOf(letter) < rankOf(known) {
			bySignature[string(signature)] = letter
		}
	}
	classes := make([]rune, 0, len(bySignature))
	for _, letter := range bySignature {
		classes = append(classes, letter)
	}
	slices.SortFunc(classes, func(a, b rune) int { return rankOf(a) - rankOf(b) })
	return classes
}

func addBounds(bounds map[rune]bool, inst *syntax.Inst) {
	add := func(low, high rune) { bounds[low], bounds[high+1] = true, true }
	if len(inst.Rune) == 1 {
		add(inst.Rune[0], inst.Rune[0])
		if syntax.Flags(inst.Arg)&syntax.FoldCase != 0 {
			for other := unicode.SimpleFold(inst.Rune[0]); other != inst.Rune[0]; other = unicode.SimpleFold(other) {
				add(other, other)
			}
		}
		return
	}
	for i := 0; i+1 < len(inst.Rune); i += 2 {
		add(inst.Rune[i], inst.Rune[i+1])
	}
}

func exampleIn(low, high rune) rune {
	for _, r := range examples {
		if low <= r && r <= high {
			return r
		}
	}
	return low
}

// rankOf orders letters by how well they read in an example.
func rankOf(letter rune) int {
	for i, r := range examples {
		if r == letter {
			return i
		}
	}
	return len(examples) + int(letter)
}
