package replay

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// Recall is the request of a record, as the documents may be asked about it again.
type Recall struct {
	Recorded
	Documents bool            // decided it; else what follows is empty
	Token     decision.Reason // why there are no claims
	Outage    bool            // that was an outage
	Notes     []string        // what is not certain
}

// Find gives the records with this id: their own, a request's or a transaction's.
// With an empty id it gives all.
func Find(records io.Reader, id string) ([]Recorded, error) {
	lines := bufio.NewScanner(records)
	lines.Buffer(nil, maxLine)
	var found []Recorded
	for n := 1; lines.Scan(); n++ {
		r, err := Parse(lines.Bytes())
		if err == nil && (id == "" || slices.Contains([]string{r.ID, r.RequestID, r.Txn}, id)) {
			found = append(found, r)
		}
	}
	return found, lines.Err()
}

// Recall also says how these documents, or what is known, differ from then.
func (r Recorded) Recall(set *policy.Set) Recall {
	recall := Recall{Recorded: r, Documents: r.byPolicies() && !r.pastEdge(set)}
	if !recall.Documents {
		return recall
	}
	k := knowledge{Recorded: r, exact: r.Generation == set.Generation()}
	if k.exact {
		k.read = set.Reads()
	} else {
		recall.note("the record is of generation %s, these documents are %s", r.Generation, set.Generation())
	}
	bearers := r.bearers()
	given := r.decide(set, bearers[0])
	for _, b := range bearers[1:] {
		if a := r.decide(set, b); !r.said(given.Answer, set) && r.said(a.Answer, set) {
			given = a
		}
	}
	recall.Token, recall.Outage = given.token.refusal, given.token.outage
	if given.asked && !r.knowsToken() {
		recall.note("the record does not tell of a token: taken as %s", recall.Token)
	}
	if field := r.clipped(); field != "" {
		recall.note("the record does not hold all of the %s", field)
	}
	if missing := k.lacks(set, given); len(missing) > 0 {
		recall.note("the record does not hold %s, which is taken as missing", strings.Join(missing, ", "))
	}
	if !r.said(given.Answer, set) {
		recall.note("the record says %s", r.recorded())
	}
	return recall
}

func (r *Recall) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}
