package main

import (
	"fmt"
	"slices"
	"strings"
)

// lookup finds a claim by its name or by a path into objects, such as
// realm_access.roles. Names may hold dots themselves (URLs, kubernetes.io, the ids
// of clients), at every depth, so each way to split the path is tried and the
// longest name goes first.
func lookup(claim func(name string) any, path string) any {
	for _, name := range firstNames(path) {
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
		if value := lookup(func(name string) any { return object[name] }, path[len(name)+1:]); value != nil {
			return value
		}
	}
	return nil
}

// firstNames are the names with which a path may begin, the longest first.
func firstNames(path string) []string {
	names := []string{path}
	for dot := strings.LastIndexByte(path, '.'); dot >= 0; dot = strings.LastIndexByte(path[:dot], '.') {
		names = append(names, path[:dot])
	}
	return names
}

// subjectOf reads a subject rule: alternatives are separated by `|`, and the
// claims that make one together by `+`. Claims that belong together are joined by
// an @, so none of them may hold one.
//
// The text of the first alternative is the subject. The others write their own
// name and a slash before theirs: cid/0oa8batch. So what one claim says is never
// the subject that another claim names.
//
// The subject is empty where no alternative is there.
func subjectOf(claim func(name string) any, rule string) (string, error) {
	alternatives := strings.Split(rule, "|")
	for i, alternative := range alternatives {
		id, err := joined(claim, strings.Split(alternative, "+"))
		if err != nil {
			return "", err
		}
		if id == "" {
			continue
		}
		if i > 0 {
			return marker(alternative) + id, nil
		}
		for _, later := range alternatives[1:] {
			if strings.HasPrefix(id, marker(later)) {
				return "", fmt.Errorf("%s begins with %s, which marks a subject of the alternative %s", alternative, marker(later), later)
			}
		}
		return id, nil
	}
	return "", nil
}

// marker begins the subjects of an alternative that is not the first one.
func marker(alternative string) string { return alternative + "/" }

// joined is empty where one of the claims is absent. One that is there and cannot
// name anybody is an error: the caller must not become whom the next alternative names.
func joined(claim func(name string) any, names []string) (string, error) {
	var values []string
	for _, name := range names {
		value := lookup(claim, name)
		if value == nil || value == "" {
			return "", nil
		}
		text, ok := value.(string)
		if !ok {
			return "", fmt.Errorf("%s is %s: want a text", name, kindName(value))
		}
		if len(names) > 1 && strings.Contains(text, "@") {
			return "", fmt.Errorf("%s has an @, which joins two claims", name)
		}
		values = append(values, text)
	}
	return strings.Join(values, "@"), nil
}

// namesIn are the claims that a subject rule reads.
func namesIn(rule string) []string {
	return strings.FieldsFunc(rule, func(r rune) bool { return r == '|' || r == '+' })
}

// reads are the claims of the caller's token of which anything of ours is made,
// by the names under which Tyk hands them over.
func (p *idp) reads() []string {
	names := []string{"iss", "aud", "exp", "auth_time"}
	paths := slices.Concat(namesIn(p.Subject), p.Scopes)
	for _, rule := range p.Claims {
		paths = append(paths, rule.From)
	}
	for _, path := range paths {
		names = append(names, firstNames(path)...)
	}
	return names
}
