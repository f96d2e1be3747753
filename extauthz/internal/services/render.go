package services

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const heading = "# Written by meshpass services; docs/configuration.md\n"

// Render returns the file, sorted, so that the same Services are always the same bytes.
// [Parse] accepts the result; Services that it would reject are an error.
func Render(all []Service) ([]byte, error) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Service) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	if len(all) == 0 {
		return nil, errNoServices
	}
	var b bytes.Buffer
	b.WriteString(heading + "services:\n")
	for _, s := range all {
		fmt.Fprintf(&b, "  - {namespace: %q, name: %q, addresses: [%s], ports: [%s]}\n", s.Namespace, s.Name, joinMapped(s.Addresses, strconv.Quote), joinMapped(s.Ports, strconv.Itoa))
	}
	_, err := Parse(b.Bytes())
	return b.Bytes(), err
}

func joinMapped[T any](all []T, text func(T) string) string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = text(one)
	}
	return strings.Join(texts, ", ")
}
