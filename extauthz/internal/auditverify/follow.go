package auditverify

import (
	"encoding/hex"

	"github.com/meshpass/meshpass/shared/audit"
)

// follower is the line of another chain that the signed first line of a chain names.
type follower struct {
	hash    hash
	isFound bool // the files have that line, with that hash
}

// recentLines are the last lines that were read, of all chains.
type recentLines struct {
	lines [4096]recentLine
	next  int
}

type recentLine struct {
	lineKey
	hash hash
}

func (r *recentLines) add(line recentLine) {
	r.lines[r.next] = line
	r.next = (r.next + 1) % len(r.lines)
}

func (r *recentLines) contains(line recentLine) bool {
	for i := range r.lines {
		if r.lines[i] == line {
			return true
		}
	}
	return false
}

// noteFollower notes the line that the first line of a chain names. A process names the last line of its file, so that line
// was read just before, or its file is read later.
func (v *verifier) noteFollower(c *chain) {
	if c.start.Follows == "" {
		return
	}
	named := recentLine{lineKey: lineKey{c.start.Follows, c.start.FollowsSeq}}
	_, _ = hex.Decode(named.hash[:], []byte(c.start.Prev)) // ParseLink has checked the digits
	c.follows = &follower{named.hash, v.recent.contains(named)}
	v.followers[named.lineKey] = append(v.followers[named.lineKey], c.follows)
}

func (v *verifier) compareWithFollowers(link audit.Link, at mark) {
	line := recentLine{lineKey{link.Chain, link.Seq}, at.hash}
	for _, f := range v.followers[line.lineKey] {
		f.isFound = f.isFound || f.hash == line.hash
	}
	v.recent.add(line)
}
