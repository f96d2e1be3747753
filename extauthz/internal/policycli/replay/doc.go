// Package replay is `meshpass policy diff`: it makes recorded decisions again, by
// the documents that made them and by changed ones, and says which would change.
//
// It never guesses. An audit record holds what the documents read that decided:
// where changed ones read more, where something was masked or cut off, or where the
// old documents do not say what is recorded, that decision is undecidable, and the
// reason why is reported.
package replay
