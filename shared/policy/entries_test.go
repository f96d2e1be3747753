package policy

import (
	"fmt"
	"testing"
)

// Few keys and many are found in the same way, and each has one value.
func TestEntries(t *testing.T) {
	var e entries[string, int]
	if !e.isEmpty() || e.find("a") != nil {
		t.Error("the zero value is not empty")
	}
	for n := 1; n <= 3*maxFew; n++ {
		*e.findOrAdd(fmt.Sprint(n)) = n
		sum := 0
		for i := range n {
			if *e.findOrAdd(fmt.Sprint(i + 1)) != i+1 || e.find(fmt.Sprint(i+1)) != e.findOrAdd(fmt.Sprint(i+1)) {
				t.Fatalf("of %d keys, %d has another value", n, i+1)
			}
		}
		for value := range e.all() {
			sum += *value
		}
		if sum != n*(n+1)/2 || e.find("other") != nil || e.isEmpty() {
			t.Fatalf("%d keys: the sum of the values is %d", n, sum)
		}
	}
}
