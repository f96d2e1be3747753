// Package mapping makes the claims of our token from the claims of a caller's credential: rules for
// single claims, paths into objects, subjects of several claims, and numbers that lose no digit.
//
// It knows neither Tyk nor the configuration file. Its errors describe the fault of a value; the callers
// add the origin of the value.
package mapping

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/shared/token"
)

// Rule names the source of a claim of the token: `tenant: org_id`, or
// `groups: {from: groups, keep: ["orders-*"], max: 20}`. `client: false` removes a claim of the
// preset.
type Rule struct {
	From string   `yaml:"from"` // name of a claim, or meta.NAME for sessions that Tyk keeps
	Keep []string `yaml:"keep"` // of a list only these values; `*` matches any characters, once in a pattern
	Max  int      `yaml:"max"`  // most values that may remain; 0: no limit of its own
	As   string   `yaml:"as"`   // text: an integer is written as a text; absent: each value keeps its kind

	Removed bool `yaml:"-"` // the rule is `false`
}

// AsText is the one value of [Rule.As].
const AsText = "text"

// UnmarshalYAML reads all forms. It checks the keys itself, because the strict reader does not look
// into types that read themselves.
func (rule *Rule) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!bool" {
		var keep bool
		err := node.Decode(&keep)
		rule.Removed = !keep
		return err
	}
	if node.Kind == yaml.ScalarNode {
		return node.Decode(&rule.From)
	}
	var wrong yaml.TypeError // holds several messages, each with its line
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case !slices.Contains(ruleKeys, key.Value):
			wrong.Errors = append(wrong.Errors, fmt.Sprintf("line %d: unknown key %q; known here: %s", key.Line, key.Value, strings.Join(ruleKeys, ", ")))
		case value.ShortTag() == "!!null":
			wrong.Errors = append(wrong.Errors, fmt.Sprintf("line %d: %s has no value: remove it or give it one", value.Line, key.Value))
		}
	}
	if len(wrong.Errors) > 0 {
		return &wrong
	}
	type plain Rule // without this method
	return node.Decode((*plain)(rule))
}

var ruleKeys = []string{"from", "keep", "max", "as"}

// MapClaims applies the rules to a caller's credential. find gives the value that a rule is made from;
// nil: it is absent. report gets, for each rule, whether the credential has its claim.
//
// An absent value leaves no claim. A value that does not fit is an error, because a policy may deny by
// the very value that would be missing.
func MapClaims(rules map[string]Rule, find func(from string) any, report func(name string, found bool)) (map[string]any, error) {
	claims := map[string]any{}
	for name, rule := range rules {
		source := find(rule.From)
		report(name, source != nil)
		value, err := rule.convertValue(source)
		if err != nil {
			return nil, fmt.Errorf("claim %s: %w", rule.From, err)
		}
		if value != nil {
			claims[name] = value
		}
	}
	return claims, nil
}

// convertValue gives the value of the claim; nil: the token gets no such claim.
func (rule Rule) convertValue(value any) (any, error) {
	if value == nil {
		return nil, nil
	}
	if rule.As == AsText {
		text, err := integerText(value)
		if err != nil {
			return nil, err
		}
		value = text
	}
	switch value := value.(type) {
	case bool:
		return value, nil
	case string:
		if !rule.keepsValue(value) {
			return nil, nil
		}
		return value, token.CheckText(value)
	case []string:
		return rule.filterList(value)
	case []any:
		list, err := TextList(value)
		if err != nil {
			return nil, err
		}
		return rule.filterList(list)
	}
	number, ok, err := exactNumber(value)
	if !ok {
		return nil, fmt.Errorf("%s: want a text, a number, true or false, or a list of texts", KindName(value))
	}
	return number, err
}

func (rule Rule) filterList(list []string) (any, error) {
	kept := []string{}
	for _, value := range list {
		if !rule.keepsValue(value) {
			continue
		}
		if err := token.CheckText(value); err != nil {
			return nil, err
		}
		kept = append(kept, value)
	}
	if rule.Max > 0 && len(kept) > rule.Max {
		return nil, fmt.Errorf("%d values, at most %d are configured", len(kept), rule.Max)
	}
	return kept, nil
}

// keepsValue reports whether a value matches a pattern of keep. Without patterns every value does.
func (rule Rule) keepsValue(value string) bool {
	for _, pattern := range rule.Keep {
		before, after, star := strings.Cut(pattern, "*")
		if value == pattern || star && len(value) >= len(before)+len(after) &&
			strings.HasPrefix(value, before) && strings.HasSuffix(value, after) {
			return true
		}
	}
	return len(rule.Keep) == 0
}

// TextList reads a JSON list of texts.
func TextList(list []any) ([]string, error) {
	out := make([]string, len(list))
	for i, value := range list {
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("entry %d of the list is %s: want a text", i+1, KindName(value))
		}
		out[i] = text
	}
	return out, nil
}

// ReadScopes reads a scope claim, which providers write as one text with spaces (RFC 8693 section
// 4.2) or as a list. A value that is no scope (RFC 6749 section 3.3) is an error: a rule may ask for
// the very scope that would be missing.
func ReadScopes(value any) (scopes []string, err error) {
	switch value := value.(type) {
	case nil:
	case string:
		// Only the ASCII spaces separate scopes, not every space of Unicode.
		scopes = strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' })
	case []any:
		scopes, err = TextList(value)
	default:
		err = fmt.Errorf("%s: want a text or a list of texts", KindName(value))
	}
	for i := 0; err == nil && i < len(scopes); i++ {
		err = token.CheckScope(scopes[i])
	}
	return scopes, err
}
