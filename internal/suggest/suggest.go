// Package suggest finds the known name that a mistyped one most likely means.
package suggest

import "strings"

// Nearest returns the entry of known with the smallest edit distance to name, or
// the empty text if all are too far away. Letters are compared without case. An edit
// is one more, missing or different letter, or two swapped neighbours. A third of the
// letters of name may be wrong, at least one and at most two. Of two equally
// close entries the first one is returned.
func Nearest(name string, known []string) string {
	best, least := "", min(max(len(name)/3, 1), 2)+1
	for _, candidate := range known {
		if candidate == name {
			continue
		}
		if d := editDistance(strings.ToLower(name), strings.ToLower(candidate), least); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// DidYouMean returns ` (did you mean "NAME"?)`, or the empty text when no entry of
// known is close to name.
func DidYouMean(name string, known []string) string {
	if nearest := Nearest(name, known); nearest != "" {
		return ` (did you mean "` + nearest + `"?)`
	}
	return ""
}

// editDistance is the optimal string alignment distance of a and b in bytes, or limit
// when it is not smaller.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}
