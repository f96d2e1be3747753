package envoy

import (
	"os"
	"regexp"
	"strings"
)

var entryStart = regexp.MustCompile(`(?m)^\[\d{4}-\d\d-\d\d `)

// readRejections are the log's entries about refused configuration: the statistics
// count refusals, the log gives their reasons.
func (p *Proc) readRejections() []string {
	log, err := os.ReadFile(p.log)
	if err != nil {
		return []string{err.Error()}
	}
	return findRejections(string(log))
}

// findRejections keeps the first and the last line of an entry. Between them Envoy
// prints the whole refused resource, and what is wrong with it comes last.
func findRejections(log string) []string {
	var out []string
	starts := append(entryStart.FindAllStringIndex(log, -1), []int{len(log)})
	for i := range len(starts) - 1 {
		entry := strings.TrimSpace(log[starts[i][0]:starts[i+1][0]])
		first, rest, long := strings.Cut(entry, "\n")
		if !strings.Contains(first, "rejected") {
			continue
		}
		if long {
			first += " … " + rest[strings.LastIndexByte(rest, '\n')+1:]
		}
		out = append(out, first)
	}
	return out
}
