package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/suggest"
)

// Masked is the text that replaces a value which [Settings.Mask] names.
const Masked = "masked"

// maskable is a field of a record that may be masked.
type maskable struct {
	name string
	text func(*Record) *string // nil: inputs
	// inputs are the names of inputs that have the same value: they are masked with it.
	inputs []string
}

var maskables = []maskable{
	{name: "caller", text: func(r *Record) *string { return &r.Caller }},
	{name: "detail", text: func(r *Record) *string { return &r.Detail }},
	{name: "host", text: func(r *Record) *string { return &r.Host }},
	{name: "inputs"},
	{name: "path", text: func(r *Record) *string { return &r.Path }},
	{name: "request_id", text: func(r *Record) *string { return &r.RequestID }, inputs: []string{"request.headers.x-request-id"}},
	{name: "sub", text: func(r *Record) *string { return &r.Sub }, inputs: []string{"claims.sub"}},
	{name: "trace_id", text: func(r *Record) *string { return &r.TraceID }, inputs: []string{"request.headers.traceparent"}},
}

// MaskableFields returns the names that [Settings.Mask] may have, sorted. Every other field
// is needed to find a record, or to see what was decided and why.
func MaskableFields() (names []string) {
	for _, field := range maskables {
		names = append(names, field.name)
	}
	return names
}

// CheckMask returns an error for a name that is not one of [MaskableFields].
func CheckMask(name string) error {
	known := MaskableFields()
	if slices.Contains(known, name) {
		return nil
	}
	return fmt.Errorf("%q cannot be masked%s: want %s", name, suggest.DidYouMean(name, known), strings.Join(known, ", "))
}

// mask replaces the values of the named fields, and notes the names of those that have one.
// A detail may quote any of the other fields, so it is masked with each of them.
func (r *Record) mask(names []string) {
	if len(names) == 0 {
		return
	}
	for _, field := range maskables {
		if !slices.Contains(names, field.name) && field.name != "detail" {
			continue
		}
		switch {
		case field.text == nil && len(r.Inputs) > 0:
			r.Masked = append(r.Masked, field.name)
		case field.text != nil && *field.text(r) != "":
			*field.text(r) = Masked
			r.Masked = append(r.Masked, field.name)
		}
	}
	r.Inputs = maps.Clone(r.Inputs) // the map is the caller's
	for name := range r.Inputs {
		if r.MasksInput(name) {
			r.Inputs[name] = Masked
		}
	}
}

// MasksInput reports whether the value of an input was replaced, with all inputs or with the
// field that has the same value.
func (r *Record) MasksInput(name string) bool {
	return slices.ContainsFunc(maskables, func(field maskable) bool {
		isPart := field.text == nil || slices.Contains(field.inputs, name)
		return isPart && slices.Contains(r.Masked, field.name)
	})
}
