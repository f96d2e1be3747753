package revocation_test

import (
	"fmt"
	"testing"

	"github.com/meshpass/meshpass/shared/revocation"
)

// BenchmarkRevokes shows that the length of the list does not matter.
func BenchmarkRevokes(b *testing.B) {
	for _, length := range []int{1, revocation.MaxEntries} {
		var all []revocation.Entry
		for i := range length {
			all = append(all, lockout(fmt.Sprintf("okta:%d", i), noon))
		}
		list, _, err := new(revocation.List).WithEntries(noon, all...)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("entries=%d", length), func(b *testing.B) {
			for range b.N {
				list.Revokes(token(), noon)
			}
		})
	}
}
