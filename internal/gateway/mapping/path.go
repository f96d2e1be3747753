package mapping

import (
	"fmt"
	"strings"
)

// FindClaim finds a claim by its name or by a path into objects, such as realm_access.roles; nil: it
// is absent. Names may contain dots themselves (URLs, kubernetes.io, the ids of clients), at every
// depth. So each way to split the path is tried, the longest name first.
func FindClaim(claim func(name string) any, path string) any {
	for end := len(path); end >= 0; end = strings.LastIndexByte(path[:end], '.') { // as LeadingNames
		name := path[:end]
		value := claim(name)
		if name == path {
			if value != nil {
				return value
			}
			continue
		}
		object, _ := value.(map[string]any)
		if object == nil {
			continue
		}
		if value := FindClaim(func(name string) any { return object[name] }, path[len(name)+1:]); value != nil {
			return value
		}
	}
	return nil
}

// LeadingNames gives the names that a path may begin with, the longest first.
func LeadingNames(path string) []string {
	names := []string{path}
	for dot := strings.LastIndexByte(path, '.'); dot >= 0; dot = strings.LastIndexByte(path[:dot], '.') {
		names = append(names, path[:dot])
	}
	return names
}

// ReadSubject reads the id of a subject by a subject rule. `|` separates alternatives, `+` separates
// claims that make one id together. Such claims are joined by an @, so they must not contain one.
//
// The text of the first alternative is the id itself. The other alternatives write their own name and
// a slash before theirs: cid/0oa8batch. So a value of one claim is never the subject that another
// claim names.
//
// The id is empty if no alternative is there.
func ReadSubject(claim func(name string) any, rule string) (id string, err error) {
	alternatives := strings.Split(rule, "|")
	for i, alternative := range alternatives {
		id, err := joinClaims(claim, strings.Split(alternative, "+"))
		if err != nil {
			return "", err
		}
		if id == "" {
			continue
		}
		if i > 0 {
			return AlternativePrefix(alternative) + id, nil
		}
		for _, later := range alternatives[1:] {
			if prefix := AlternativePrefix(later); strings.HasPrefix(id, prefix) {
				return "", fmt.Errorf("%s begins with %s, which marks a subject of the alternative %s", alternative, prefix, later)
			}
		}
		return id, nil
	}
	return "", nil
}

// AlternativePrefix begins the ids that an alternative other than the first one gives.
func AlternativePrefix(alternative string) string { return alternative + "/" }

// joinClaims is empty if one of the claims is absent. A claim that is present and cannot name a
// subject is an error: the caller must not become the subject that the next alternative names.
func joinClaims(claim func(name string) any, names []string) (string, error) {
	var values []string
	for _, name := range names {
		value := FindClaim(claim, name)
		if value == nil || value == "" {
			return "", nil
		}
		text, ok := value.(string)
		if !ok {
			return "", fmt.Errorf("%s is %s: want a text", name, KindName(value))
		}
		if len(names) > 1 && strings.Contains(text, "@") {
			return "", fmt.Errorf("%s has an @, which joins two claims", name)
		}
		values = append(values, text)
	}
	return strings.Join(values, "@"), nil
}

// SubjectClaims gives the claims that a subject rule reads.
func SubjectClaims(rule string) []string {
	return strings.FieldsFunc(rule, func(r rune) bool { return r == '|' || r == '+' })
}
