package expr

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"

	"github.com/meshpass/meshpass/internal/suggest"
)

// The names that an expression may begin with, and what follows the first two.
var (
	rootNames      = []string{"caller", "callee", "claims", "now", "path", "request"}
	requestNames   = []string{"method", "path", "host", "port", "headers"}
	functionNames  = []string{"startsWith", "endsWith", "contains", "matches", "size", "exists", "exists_one", "all", "map", "filter", "has", "type", "int", "uint", "double", "string", "bool", "bytes", "timestamp", "duration", "getHours", "getMinutes", "getDayOfWeek", "getDayOfMonth", "getMonth", "getFullYear"}
	operatorTexts  = map[string]string{"_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=", "@in": "in", "_&&_": "&&", "_||_": "||", "!_": "!", "_+_": "+", "_-_": "-"}
	wordsForSymbol = map[string]string{"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!", "is": "=="}
)

// explainIssues explains the mistakes in an expression, and what to write. After a
// mistake in the syntax the compiler has lost its place, so only the first one is kept.
func explainIssues(text string, issues *cel.Issues) error {
	var all []error
	reported := issues.Errors()
	for _, e := range reported {
		if len(reported) > 1 && strings.Contains(e.Message, "!error!") {
			continue // the type of what another message is about
		}
		syntax := strings.HasPrefix(e.Message, "Syntax error")
		if syntax && len(all) > 0 {
			continue
		}
		all = append(all, fmt.Errorf("%s (character %d)", rewordIssue(e.Message, text, e.Location.Column()), e.Location.Column()+1))
	}
	return errors.Join(all...)
}

var (
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	noOverload = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`)
	unexpected = regexp.MustCompile(`^Syntax error: (?:mismatched|extraneous) input '([^']*)'`)
	nameStart  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?`)
	lastWord   = regexp.MustCompile(`([A-Za-z]+)\s*$`)
	dashBefore = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.]*)\.([A-Za-z_][A-Za-z0-9_]*-(?:[A-Za-z0-9_]+-)*)$`)
	dashedRest = regexp.MustCompile(`^[A-Za-z0-9_-]+`)
	noMembers  = regexp.MustCompile(`^type '([^']*)' does not support field selection`)
)

// usualFunctions are names of other languages, and what is written here.
var usualFunctions = map[string]string{
	"any": `exists, as in LIST.exists(x, x == "a")`, "some": `exists, as in LIST.exists(x, x == "a")`, "every": `all, as in LIST.all(x, x != "a")`,
	"includes": `"a" in LIST`, "len": "size(LIST)", "length": "size(LIST)", "regex": `TEXT.matches("…")`, "match": `TEXT.matches("…")`,
}

func rewordIssue(message, text string, column int) string {
	rest := ""
	if runes := []rune(text); column >= 0 && column <= len(runes) {
		rest = string(runes[column:])
	}
	if m := undeclared.FindStringSubmatch(message); m != nil {
		if dash := dashBefore.FindStringSubmatch(strings.TrimSuffix(text, rest)); dash != nil {
			return fmt.Sprintf(`a name with - is written in brackets: write %s["%s%s"]`, dash[1], dash[2], dashedRest.FindString(rest))
		}
		return explainUnknownName(m[1], rest)
	}
	if m := noMembers.FindStringSubmatch(message); m != nil {
		if m[1] == "timestamp" {
			return `a timestamp has no members: write now.getHours("UTC"), or compare it, as in now < timestamp("2026-06-01T12:00:00Z")`
		}
		return fmt.Sprintf("a %s has no members", m[1])
	}
	if strings.HasSuffix(message, "reserved identifier: if") {
		return "there is no if: write CONDITION ? VALUE : OTHER"
	}
	if m := noOverload.FindStringSubmatch(message); m != nil {
		return explainWrongTypes(m[1], m[2])
	}
	if !strings.HasPrefix(message, "Syntax error") {
		return message
	}
	return explainSyntax(message, text, rest)
}

// explainUnknownName explains a name that is not declared. For members of claims and
// request the compiler names the root alone; rest is the text from there.
func explainUnknownName(name, rest string) string {
	root, member, _ := strings.Cut(nameStart.FindString(rest), ".")
	switch {
	case root == "claims" && name == "claims" && member != "":
		if nearest := suggest.Nearest(member, ClaimNames); nearest != "" {
			return fmt.Sprintf("claims.%s is not known: write claims.%s, or claims.tctx.%s for what gateways add", member, nearest, member)
		}
		return fmt.Sprintf("claims.%s is not known: write claims.tctx.%s for what gateways add; other claims are %s", member, member, strings.Join(ClaimNames, ", "))
	case name == "claims":
		return "claims is used as a whole: name the claim, as in claims.sub or claims.tctx.tenant"
	case root == "request" && name == "request" && member != "":
		return fmt.Sprintf("request.%s is not known%s: a request has %s", member, suggest.DidYouMean(member, requestNames), strings.Join(requestNames, ", "))
	case name == "request":
		return "request is used as a whole: name what it has, " + strings.Join(requestNames, ", ")
	case strings.HasPrefix(rest, "("):
		if usual := usualFunctions[name]; usual != "" {
			return fmt.Sprintf("there is no function %s(): write %s", name, usual)
		}
		return fmt.Sprintf("there is no function %s()%s", name, suggest.DidYouMean(name, functionNames))
	case slices.Contains([]string{"jwt", "token", "user", "principal", "auth", "identity", "subject", "source"}, name):
		return fmt.Sprintf("%s is not known: the token's claims are claims.sub, claims.scope and claims.tctx.NAME, the calling workload is caller", name)
	}
	return fmt.Sprintf("%s is not known%s: names are %s", name, suggest.DidYouMean(name, rootNames), strings.Join(rootNames, ", "))
}

func explainWrongTypes(function, types string) string {
	operator, isOperator := operatorTexts[function]
	left, right, two := strings.Cut(strings.Trim(types, "()"), ", ")
	switch {
	case function == "@in" && right == "string":
		return `in looks for an entry of a list: in a text write TEXT.contains("…"); list scopes under scopes`
	case isOperator && two && strings.HasPrefix(left, "map("):
		return operator + " compares a whole mapping: name the member, as in path.tenant"
	case isOperator && (left == "timestamp" && right == "string" || left == "string" && right == "timestamp"):
		return operator + ` compares a timestamp with a text: write timestamp("2026-06-01T12:00:00Z")`
	case isOperator && two:
		return fmt.Sprintf("%s cannot compare %s with %s: write both as the same type, texts in quotes", operator, left, right)
	}
	return fmt.Sprintf("%s() does not take (%s)", function, strings.Trim(types, "()"))
}

func explainSyntax(message, text, rest string) string {
	word := ""
	if m := unexpected.FindStringSubmatch(message); m != nil {
		word = m[1]
	}
	before := lastWord.FindString(strings.TrimSuffix(text, rest))
	symbol, isWord := wordsForSymbol[word]
	if !isWord {
		word = strings.TrimSpace(before)
		symbol, isWord = wordsForSymbol[word]
	}
	switch {
	case isWord:
		return fmt.Sprintf("%s is no operator: write %s", word, symbol)
	case strings.Contains(message, "token recognition error at: '='") || strings.Contains(message, "token recognition error at: '= '"):
		return "= is no operator: write == to compare"
	case strings.Contains(message, "token recognition error at: '&"):
		return "& is no operator: write &&"
	case strings.Contains(message, "token recognition error at: '|"):
		return "| is no operator: write ||"
	case strings.ContainsAny(message, "‘’“”"):
		return `a typographic quote: write " or '`
	case strings.Contains(message, "token recognition error at: '$"):
		return "$ has no meaning here: nothing is replaced in a document"
	case strings.Contains(message, "missing ')'"):
		return "a bracket is not closed: write )"
	case strings.Contains(message, "'<EOF>'"):
		return "the expression ends too early: something is missing at its end"
	case strings.Contains(message, "token recognition error at: '\"") || strings.Contains(message, "token recognition error at: ''"):
		return "a quote is not closed"
	}
	message = strings.TrimPrefix(message, "Syntax error: ")
	message, _, _ = strings.Cut(message, " expecting ")
	return "cannot be read here: " + message
}
