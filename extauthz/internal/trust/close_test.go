package trust

import "testing"

// A source that hangs, as where its CA file is, does not hang the end of the process.
func TestCloseDoesNotWaitForASourceThatHangs(t *testing.T) {
	f := New(Config{})
	f.loops.Add(1) // a loop that does not look at its context
	defer f.loops.Done()
	f.Close()
}
