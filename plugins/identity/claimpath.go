package main

import "strings"

// lookup finds a claim by its name or, where no claim has that very name, by a
// path into objects: realm_access.roles. Names may be URLs, which have dots too.
func lookup(claim func(name string) any, path string) any {
	if value := claim(path); value != nil {
		return value
	}
	name, rest, nested := strings.Cut(path, ".")
	if !nested {
		return nil
	}
	object, _ := claim(name).(map[string]any)
	return lookup(func(name string) any { return object[name] }, rest)
}

// subjectOf reads a subject rule: alternatives are separated by `|`, and the
// claims that make one together by `+`. They are joined by an @, so a claim
// with an @ of its own cannot be one of several.
func subjectOf(claim func(name string) any, rule string) string {
	for _, alternative := range strings.Split(rule, "|") {
		if id := joined(claim, strings.Split(alternative, "+")); id != "" {
			return id
		}
	}
	return ""
}

func joined(claim func(name string) any, names []string) string {
	var values []string
	for _, name := range names {
		value, _ := lookup(claim, name).(string)
		if value == "" || len(names) > 1 && strings.Contains(value, "@") {
			return ""
		}
		values = append(values, value)
	}
	return strings.Join(values, "@")
}

// namesIn are the claims that a subject rule reads.
func namesIn(rule string) []string {
	return strings.FieldsFunc(rule, func(r rune) bool { return r == '|' || r == '+' })
}

// reads are the claims of the caller's token of which anything of ours is made,
// by the names under which Tyk hands them over.
func (p *idp) reads() []string {
	names := []string{"iss", "aud", "exp", "auth_time"}
	add := func(path string) {
		first, _, _ := strings.Cut(path, ".")
		names = append(names, path, first)
	}
	for _, path := range append(namesIn(p.Subject), p.Scopes...) {
		add(path)
	}
	for _, rule := range p.Claims {
		add(rule.From)
	}
	return names
}
