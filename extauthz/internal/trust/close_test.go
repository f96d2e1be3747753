package trust

import "testing"

// A source that hangs, for example at its CA file, does not delay the end of the process.
func TestCloseDoesNotWaitForASourceThatHangs(t *testing.T) {
	r := New(Config{})
	r.loops.Add(1) // a loop that does not look at its context
	defer r.loops.Done()
	r.Close()
}
