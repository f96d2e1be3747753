package auditverify

import (
	"cmp"
	"fmt"
	"slices"
)

// finish joins the fragments of all chains.
func (v *verifier) finish() Report {
	for _, c := range v.order {
		v.joinFragments(c)
	}
	for _, c := range v.order {
		v.checkStart(c)
	}
	v.checkHeads()
	for _, c := range v.order {
		v.describeEnd(c)
	}
	v.describeTorn()
	slices.SortStableFunc(v.report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.at.file, b.at.file), cmp.Compare(a.at.line, b.at.line))
	})
	v.report.Verified = len(v.report.Findings) == 0
	return v.report
}

// joinFragments checks that each fragment of a chain follows the one before it.
func (v *verifier) joinFragments(c *chain) {
	slices.SortStableFunc(c.fragments, func(a, b *fragment) int { return cmp.Compare(a.first.seq, b.first.seq) })
	joined := c.fragments[0]
	for i := 1; i < len(c.fragments); i++ {
		next := c.fragments[i]
		var after *fragment
		if i+1 < len(c.fragments) {
			after = c.fragments[i+1]
		}
		switch want := joined.last.seq + 1; {
		case next.first.seq > want:
			v.addRemoved(joined.last, next.first, c)
		case next.first.seq < want:
			if !v.addRepeated(joined, next) {
				continue // joined goes on
			}
		case next.prev != joined.last.hash:
			v.addMismatch(joined, next, after)
		case next.first.file == joined.last.file && next.first.line < joined.last.line:
			v.addFinding(Finding{Kind: "reordered", Chain: c.id, Seq: next.first.seq,
				Message: fmt.Sprintf("seq %d is before seq %d, which is at line %d", next.first.seq, joined.last.seq, joined.last.line)}, next.first)
		}
		joined = mergeFragments(joined, next)
	}
	c.fragments = []*fragment{joined}
	v.checkOrder(c)
}

// checkOrder finds a line that was moved to another file, behind lines with higher numbers. Other moves and repeated lines have a finding
// already.
func (v *verifier) checkOrder(c *chain) {
	hasFinding := slices.ContainsFunc(v.report.Findings, func(f Finding) bool {
		return f.Chain == c.id && (f.Kind == "reordered" || f.Kind == "repeated")
	})
	for _, at := range c.behind {
		if !hasFinding {
			v.addFinding(Finding{Kind: "reordered", Chain: c.id, Seq: at.seq, Message: fmt.Sprintf("seq %d is after a line of the chain with a higher number", at.seq)}, at)
		}
	}
}

// mergeFragments is a fragment that ends where next ends.
func mergeFragments(joined, next *fragment) *fragment {
	merged := *joined
	merged.last = next.last
	if next.covered.seq > 0 {
		merged.covered = next.covered
	}
	if merged.end.seq == 0 {
		merged.end = next.end
	}
	return &merged
}

func (v *verifier) addRemoved(before, after mark, c *chain) {
	first, count := before.seq+1, after.seq-before.seq-1
	message := fmt.Sprintf("seq %d is missing, after %s", first, v.placeOf(before))
	if count > 1 {
		message = fmt.Sprintf("seq %d to %d, %d lines, are missing, after %s", first, after.seq-1, count, v.placeOf(before))
	}
	at := after
	if odd, found := v.findOdd(before, after); found {
		at = mark{file: odd.file, line: odd.line}
		message += fmt.Sprintf(": %s is no line of the chain, and may be the changed one", v.placeOf(at))
	}
	v.addFinding(Finding{Kind: "removed", Chain: c.id, Seq: first, Count: count, Message: message}, at)
}

// findOdd finds the first line between two lines of one file that may have been a line of a chain.
func (v *verifier) findOdd(before, after mark) (oddLine, bool) {
	for _, odd := range v.odd {
		if before.file == after.file && odd.file == before.file && odd.line > before.line && odd.line < after.line {
			return odd, true
		}
	}
	return oddLine{}, false
}

// addRepeated reports lines that are there twice. It reports whether next goes on after what was joined.
func (v *verifier) addRepeated(joined, next *fragment) (goesOn bool) {
	last := min(joined.last.seq, next.last.seq)
	f := Finding{Kind: "repeated", Chain: next.chain.id, Seq: next.first.seq, Count: last - next.first.seq + 1,
		Message: fmt.Sprintf("seq %d to %d are in the files twice", next.first.seq, last)}
	if f.Count == 1 {
		f.Message = fmt.Sprintf("seq %d is in the files twice", next.first.seq)
	}
	at := next.first
	if same := next.first.seq == joined.last.seq && next.first.hash != joined.last.hash; same && next.last.seq > next.first.seq {
		at = joined.last // next has the line that others follow
		f.Message += ", with different contents: this is the changed one"
	}
	v.addFinding(f, at)
	return next.last.seq > joined.last.seq
}

// addMismatch finds which of two lines with successive numbers was changed. The hash in a line names the line before it, and
// the line after it has the hash of the line itself.
func (v *verifier) addMismatch(joined, next, after *fragment) {
	a, b := joined.last, next.first
	bStandsAlone := next.first.seq == next.last.seq
	aFollowed := fmt.Sprintf("the next line, %s, has another hash of it", v.placeOf(b))
	switch {
	case v.isNamed(a) || v.isNamed(b):
	case b.isSigned:
		v.addEdit(a, aFollowed+" and is signed")
	case a.isSigned || bStandsAlone && after != nil && after.first.seq == b.seq+1:
		v.addEdit(b, fmt.Sprintf("its hash is not the one of the line before, %s", v.placeOf(a)), a)
	case bStandsAlone:
		v.addEdit(a, aFollowed+": either this line was changed or that one", b)
	default:
		v.addEdit(a, aFollowed)
	}
}

// checkStart checks how a chain begins: with its first line, or with a checkpoint, as each file begins.
func (v *verifier) checkStart(c *chain) {
	f := c.fragments[0]
	first := f.first
	switch {
	case v.isNamed(first) || len(v.unknownKeys) > 0 && !first.isSigned:
	case !first.isSigned && first.seq == 1:
		v.addEdit(first, "the first line of a chain is a signed checkpoint, and this one is not")
	case !first.isSigned:
		v.addFinding(Finding{Kind: "removed", Chain: c.id, Seq: first.seq - 1, Message: fmt.Sprintf("what is left of chain %s begins in the middle: lines before seq %d were removed", c.id, first.seq)}, first)
	case first.seq > 1 && f.before != nil && f.before != c && f.before.lastIn[first.file].line < first.line:
		v.addFinding(Finding{Kind: "removed", Chain: c.id, Seq: 1, Count: first.seq - 1, Message: fmt.Sprintf("lines of chain %s before seq %d were removed: in this file, another chain is before it", c.id, first.seq)}, first)
	case first.seq > 1:
		v.noteOrFind(first, c, fmt.Sprintf("chain %s begins at seq %d: the %d lines before are not in these files", c.id, first.seq, first.seq-1))
	case c.start != nil && c.start.Follows != "":
		v.checkFollows(c, f)
	}
}

// checkFollows checks that the line is there which was the last one in the file when a chain began.
func (v *verifier) checkFollows(c *chain, f *fragment) {
	before, n := v.chains[c.start.Follows], c.start.FollowsSeq
	at := c.startMark
	if before == nil {
		message := fmt.Sprintf("chain %s follows seq %d of chain %s, which is not in these files", c.id, n, c.start.Follows)
		if f.before == nil {
			v.noteOrFind(at, c, message)
		} else {
			v.addFinding(Finding{Kind: "removed", Chain: c.start.Follows, Seq: n, Message: message + ": its lines were before this one"}, at)
		}
		return
	}
	switch last := before.fragments[0].last; {
	case last.seq < n:
		v.addFinding(Finding{Kind: "removed", Chain: before.id, Seq: last.seq + 1, Count: n - last.seq,
			Message: fmt.Sprintf("seq %d to %d of chain %s are missing, after %s: chain %s, which follows, was begun after seq %d", last.seq+1, n, before.id, v.placeOf(last), c.id, n)}, at)
	case last.seq == n && last.hash != f.prev:
		if !v.isNamed(last) {
			v.addEdit(last, fmt.Sprintf("chain %s, which follows at %s, has another hash of it and is signed", c.id, v.placeOf(at)))
		}
	case last.seq == n && last.file == at.file && last.line > at.line:
		v.addFinding(Finding{Kind: "reordered", Chain: c.id, Seq: 1, Message: fmt.Sprintf("chain %s follows seq %d of chain %s, which is at line %d", c.id, n, before.id, last.line)}, at)
	case last.seq > n && n >= before.fragments[0].first.seq && n > before.fragments[0].covered.seq && !c.follows.isFound:
		v.addFinding(Finding{Kind: "edited", Chain: before.id, Seq: n,
			Message: fmt.Sprintf("chain %s, which begins here, has another hash of seq %d of chain %s and is signed: that line or one before it was changed, after seq %d, which is the last one with a signature of its own chain",
				c.id, n, before.id, before.fragments[0].covered.seq)}, at)
	default:
		before.coveredBy = max(before.coveredBy, n)
	}
	if c.start.Torn > 0 {
		v.addNote(at, fmt.Sprintf("before this line, %d bytes of a line were cut off: its writer was killed or the disk was full", c.start.Torn))
	}
}

func (v *verifier) noteOrFind(at mark, c *chain, message string) {
	if v.o.Complete {
		v.addFinding(Finding{Kind: "removed", Chain: c.id, Seq: at.seq, Message: message}, at)
	} else {
		v.addNote(at, message)
	}
}

func (v *verifier) checkHeads() {
	for key, head := range v.heads {
		c := v.chains[key.chain]
		switch {
		case head.seen:
			c.coveredBy = max(c.coveredBy, key.seq)
		case c == nil:
			v.addFinding(Finding{Kind: "removed", Chain: key.chain, Seq: key.seq, Message: fmt.Sprintf("%s knows chain %s up to seq %d, and no line of it is in these files: if they were removed because their time is over, remove that line too", head.place, key.chain, key.seq)}, mark{file: -1})
		case c.fragments[0].last.seq < key.seq:
			last := c.fragments[0].last
			v.addFinding(Finding{Kind: "removed", Chain: key.chain, Seq: last.seq + 1, Count: key.seq - last.seq,
				Message: fmt.Sprintf("the end is missing: the chain ends here with seq %d, and %s knows it up to seq %d", last.seq, head.place, key.seq)}, last)
		case c.fragments[0].first.seq > key.seq:
			v.addNote(c.fragments[0].first, fmt.Sprintf("%s has seq %d of chain %s, which is before the first line that these files have", head.place, key.seq, key.chain))
		default:
			v.addFinding(Finding{Kind: "edited", Chain: key.chain, Seq: key.seq, Message: fmt.Sprintf("seq %d is not the line that %s has", key.seq, head.place)}, c.fragments[0].first)
		}
	}
}

// describeEnd reports what no checkpoint covers.
func (v *verifier) describeEnd(c *chain) {
	f := c.fragments[0]
	covered := max(f.covered.seq, c.coveredBy)
	if f.covered.seq == 0 && !v.isNamed(f.first) && len(v.unknownKeys) == 0 {
		v.addFinding(Finding{Kind: "unsigned", Chain: c.id, Seq: f.first.seq, Message: fmt.Sprintf("chain %s has no valid checkpoint: anyone could have written it", c.id)}, f.first)
	}
	if f.end.seq > 0 && f.last.seq > f.end.seq {
		v.addFinding(Finding{Kind: "added", Chain: c.id, Seq: f.end.seq + 1, Count: f.last.seq - f.end.seq, Message: fmt.Sprintf("the chain ended with seq %d at %s, and lines were added after it", f.end.seq, v.placeOf(f.end))}, f.last)
	}
	entry := Chain{ID: c.id, Replica: c.replica, First: f.first.seq, Last: f.last.seq, Lines: c.lines, Covered: covered, Uncovered: f.last.seq - min(max(covered, f.first.seq-1), f.last.seq),
		Ended: f.end.seq > 0, LastPlace: v.placeOf(f.last)}
	if c.start != nil {
		entry.From = &c.start.Time
		entry.Follows = c.start.Follows
	}
	if c.latest != nil {
		entry.Checkpoint, entry.Head = &c.latest.Time, string(c.latestLine)
		if entry.Covered == c.latest.Seq {
			entry.CheckpointPlace = v.placeOf(f.covered)
		}
	}
	v.report.Chains = append(v.report.Chains, entry)
}

func (v *verifier) describeTorn() {
	if v.report.Torn > 0 {
		v.report.Notes = append(v.report.Notes, Note{Message: fmt.Sprintf("%d lines were cut off while they were written: by a kill, or a full disk. They are no records; those that were lost are counted in a gap", v.report.Torn)})
	}
}

// placeOf is FILE:LINE.
func (v *verifier) placeOf(at mark) string {
	return fmt.Sprintf("%s:%d", v.inputs[at.file].Name, at.line)
}

func (v *verifier) isNamed(at mark) bool { return v.named[[2]int{at.file, at.line}] }

// addEdit reports a line that was changed, once; another one may be it instead.
func (v *verifier) addEdit(at mark, message string, perhaps ...mark) {
	if v.isNamed(at) {
		return
	}
	v.named[[2]int{at.file, at.line}] = true
	f := Finding{Kind: "edited", Seq: at.seq, Message: message}
	for _, other := range perhaps {
		f.Perhaps = v.placeOf(other)
	}
	v.addFinding(f, at)
}

// maxFindings bounds the report. The count goes on.
const maxFindings = 1000

func (v *verifier) addFinding(f Finding, at mark) {
	v.report.Count++
	if len(v.report.Findings) == maxFindings {
		return
	}
	f.at = at
	if at.file >= 0 {
		f.File, f.Line = v.inputs[at.file].Name, at.line
	}
	v.report.Findings = append(v.report.Findings, f)
}

func (v *verifier) addNote(at mark, message string) {
	if len(v.report.Notes) < maxFindings {
		v.report.Notes = append(v.report.Notes, Note{File: v.inputs[at.file].Name, Line: at.line, Message: message})
	}
}
