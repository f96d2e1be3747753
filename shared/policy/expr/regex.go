package expr

import (
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// A regular expression takes time in proportion to its own size times the length of
// the text (RE2, as CEL requires), and the text is the client's. So a match that
// could take more than maxMatchSteps, or whose text is longer than maxMatchText, is
// not tried: its condition is undecided.
const (
	maxMatchText   = 4096                      // bytes; an audit record holds as much of a text
	maxMatchSteps  = 1 << 19                   // instructions times bytes: some milliseconds at worst
	maxPatternSize = maxMatchSteps / 64        // instructions: every pattern can read 63 bytes
	stepsPerCost   = maxMatchSteps/maxCost + 1 // a match at the bound takes the cost of a whole expression
)

// boundedMatches is the function that replaces matches() in a program.
const boundedMatches = "bounded_matches"

// regexes are the patterns of one expression, and the size of each.
type regexes map[string]int

// measureRegex checks a pattern and gives its size. It does not compile the pattern: a
// counted repeat of a long one takes a hundred megabytes.
func measureRegex(pattern string) (size int, err error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, fmt.Errorf("invalid matches argument: %w", err)
	}
	if size = regexSize(parsed); size > maxPatternSize {
		return 0, fmt.Errorf("matches() with a pattern of %d instructions, at most %d: shorten its counted repeats, such as {0,250}", size, maxPatternSize)
	}
	return size, nil
}

// regexSize estimates the instructions of the compiled program from above: a repeat
// counts its operand as often as it is repeated.
func regexSize(re *syntax.Regexp) int {
	size := 0
	for _, part := range re.Sub {
		size = min(size+regexSize(part), maxPatternSize+1)
	}
	switch re.Op {
	case syntax.OpLiteral:
		size += len(re.Rune)
	case syntax.OpCapture:
		size += 2
	case syntax.OpAlternate:
		size += len(re.Sub) - 1
	case syntax.OpRepeat:
		size = size*max(re.Min, re.Max, 1) + max(re.Max-re.Min, 0) + 1
	case syntax.OpConcat:
	default: // a class, an anchor, or one instruction beside the operand
		size++
	}
	return min(size, maxPatternSize+1)
}

// longestText is what a pattern of that size reads, in bytes.
func longestText(size int) int { return min(maxMatchText, maxMatchSteps/max(size, 1)-1) }

// replaceMatches is an [interpreter.InterpretableDecorator] that replaces each call of
// matches() with one that compiled its pattern and keeps the bounds.
func (r regexes) replaceMatches(i interpreter.Interpretable) (interpreter.Interpretable, error) {
	call, isCall := i.(interpreter.InterpretableCall)
	if !isCall || call.Function() != overloads.Matches {
		return i, nil
	}
	args := call.Args()
	pattern, literal := "", false
	if constant, isConst := args[len(args)-1].(interpreter.InterpretableConst); isConst {
		pattern, literal = constant.Value().Value().(string)
	}
	size, known := r[pattern]
	if !literal || !known {
		return nil, errPatternNotLiteral
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	longest := longestText(size)
	return interpreter.NewCall(call.ID(), boundedMatches, "", args, func(values ...ref.Val) ref.Val {
		text, isText := values[0].Value().(string)
		switch {
		case !isText:
			return types.NoSuchOverloadErr()
		case len(text) > longest:
			return types.NewErr("matches(%.60q) reads at most %d bytes, the text has %d", pattern, longest, len(text))
		}
		return types.Bool(compiled.MatchString(text))
	}), nil
}

// CallCost implements [interpreter.ActualCostEstimator]: a match costs what it can
// take at worst, in the units of [maxCost].
func (r regexes) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	if function != boundedMatches {
		return nil
	}
	pattern, _ := args[1].Value().(string)
	text, _ := args[0].Value().(string)
	cost := uint64(1 + r[pattern]*min(len(text), longestText(r[pattern]))/stepsPerCost)
	return &cost
}
