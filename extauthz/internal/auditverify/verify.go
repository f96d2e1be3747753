// Package auditverify is `meshpass audit verify`: it finds lines of the audit trail that were changed, removed, repeated or
// moved after they were written.
//
// Each line of a chain has the SHA-256 of the line before it, and signed checkpoints cover all lines before them
// ([audit.Chain]). The files are read once, in any order. Lines that follow each other by their hashes become one
// [fragment], so that memory is bounded by the number of breaks and not by the number of lines. When all files are read, the
// fragments of each chain are joined, and each join that does not fit is a finding.
//
// The files cannot show everything, and the rest is never called fine: the report counts the lines that no checkpoint covers, and
// shows whether the end of a chain is known.
package auditverify

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/meshpass/meshpass/shared/audit"
)

// Options say what is expected.
type Options struct {
	Keys           []ed25519.PublicKey // of checkpoints
	Unsigned       bool                // check no signature: a chain that was computed again as a whole is not found
	Heads          []Head              // checkpoints that are known from elsewhere
	Complete       bool                // the files have all lines since the first one of each chain
	AllowUnchained bool                // records without a chain are no finding
	Progress       func(bytes int64)   // called with the bytes that were read since the last call; nil: not called
}

// Head is a checkpoint that is known from elsewhere.
type Head struct {
	Line  []byte
	Place string // where it comes from, for messages
}

// ErrNoChain is the error of files without a line of a chain.
var ErrNoChain = errors.New("no line of a chain: set audit.chain in the configuration of the program that writes the records")

// Verify reads all files and checks their chains. An error means that a file could not be read, or that there is nothing to
// verify; findings are in the report.
func Verify(inputs []Input, o Options) (Report, error) {
	v := newVerifier(inputs, o)
	if err := v.addHeads(); err != nil {
		return Report{}, err
	}
	for i, in := range inputs {
		v.file = i
		v.lastLinked = nil
		err := EachLine(in, o.Progress, v.visitLine)
		if err != nil {
			return Report{}, err
		}
		if v.tooManyBreaks {
			break
		}
	}
	if len(v.chains) == 0 && len(v.report.Findings) == 0 {
		return Report{}, ErrNoChain
	}
	return v.finish(), nil
}

type hash [sha256.Size]byte

// mark is a line of a chain.
type mark struct {
	file, line int // of the inputs; from 1
	seq        uint64
	hash       hash
	isSigned   bool // a checkpoint whose signature is valid, or is not checked
}

// fragment is a series of lines of a chain that follow each other by their hashes.
type fragment struct {
	chain       *chain
	first, last mark
	prev        hash // of first
	covered     mark // the last signed checkpoint; seq 0: not seen
	end         mark // the first checkpoint with end: true; seq 0: not seen
	before      *chain
}

// chain is what was read of a chain.
type chain struct {
	id         string
	fragments  []*fragment
	start      *audit.Checkpoint // the signed first line; nil: not seen
	startMark  mark
	latest     *audit.Checkpoint // the signed checkpoint with the highest number
	latestLine []byte
	replica    string
	lines      uint64
	lastIn     map[int]mark // file to its last line of the chain
	behind     []mark       // lines that come after a line of the chain with a higher number, in one file
	coveredBy  uint64       // up to this number, by the start of another chain or by a head
	follows    *follower    // the line that start names; nil: it names no line
}

// lineKey is the chain and the number of a line.
type lineKey struct {
	chain string
	seq   uint64
}

type knownHead struct {
	hash  hash
	place string
	seen  bool
}

type verifier struct {
	inputs []Input
	o      Options
	keys   map[string]ed25519.PublicKey
	report Report
	heads  map[lineKey]*knownHead

	file          int
	chains        map[string]*chain
	order         []*chain
	ends          map[hash]*fragment // by the hash of its last line
	fragments     int
	tooManyBreaks bool
	lastLinked    *chain // of the line before in this file
	recent        recentLines
	followers     map[lineKey][]*follower
	odd           []oddLine
	named         map[[2]int]bool // places that have a finding about a change
	unknownKeys   map[string]bool
}

// oddLine is a line that is no line of a chain and may have been one.
type oddLine struct{ file, line int }

// maxFragments and maxOdd bound the memory: files with more breaks are no trail any more.
const (
	maxFragments = 100_000
	maxOdd       = 10_000
)

func newVerifier(inputs []Input, o Options) *verifier {
	v := &verifier{
		inputs: inputs, o: o, keys: map[string]ed25519.PublicKey{}, heads: map[lineKey]*knownHead{}, chains: map[string]*chain{},
		ends: map[hash]*fragment{}, followers: map[lineKey][]*follower{}, named: map[[2]int]bool{}, unknownKeys: map[string]bool{},
	}
	for _, key := range o.Keys {
		v.keys[audit.CheckpointKeyID(key)] = key
	}
	v.report = Report{Files: len(inputs), Signed: !o.Unsigned, Records: map[string]uint64{}, Gaps: map[string]uint64{}, Chains: []Chain{}, Findings: []Finding{}, Notes: []Note{}}
	return v
}

// addHeads rejects a head that is no signed checkpoint.
func (v *verifier) addHeads() error {
	for _, head := range v.o.Heads {
		link, sig, isLinked := audit.ParseLink(head.Line)
		if !isLinked || sig == "" {
			return fmt.Errorf("%s: no checkpoint: want the lines that --write-head has written", head.Place)
		}
		if state := v.checkSignature(head.Line); state != signatureValid {
			return fmt.Errorf("%s: the signature of the checkpoint is not valid for the given keys", head.Place)
		}
		v.heads[lineKey{link.Chain, link.Seq}] = &knownHead{hash: sha256.Sum256(head.Line), place: head.Place}
	}
	return nil
}

type signatureState int

const (
	signatureInvalid signatureState = iota
	signatureUnknownKey
	signatureValid
)

func (v *verifier) checkSignature(line []byte) signatureState {
	if v.o.Unsigned {
		return signatureValid
	}
	var c audit.Checkpoint
	if json.Unmarshal(line, &c) != nil {
		return signatureInvalid
	}
	key, known := v.keys[c.Key]
	switch {
	case !known:
		return signatureUnknownKey
	case audit.VerifyCheckpoint(line, key):
		return signatureValid
	}
	return signatureInvalid
}

func (v *verifier) visitLine(number int, line []byte, isOpen bool) {
	if v.tooManyBreaks {
		return
	}
	link, sig, isLinked := audit.ParseLink(line)
	if !isLinked || len(line) > maxLine {
		v.visitOtherLine(number, line, isOpen)
		return
	}
	v.report.Lines++
	at := mark{file: v.file, line: number, seq: link.Seq, hash: sha256.Sum256(line)}
	var checkpoint *audit.Checkpoint
	if sig != "" {
		checkpoint = v.visitCheckpoint(&at, line)
	}
	v.countKind(line)
	v.compareWithHead(link, at)
	v.compareWithFollowers(link, at)
	f := v.place(at, link)
	if v.tooManyBreaks {
		return
	}
	if checkpoint != nil && f.last.isSigned {
		f.noteCheckpoint(f.last, checkpoint, line)
		if f.chain.startMark == f.last {
			v.noteFollower(f.chain)
		}
	}
	f.chain.lines++
	if f.chain.lastIn[v.file].seq > at.seq && len(f.chain.behind) < maxFindings {
		f.chain.behind = append(f.chain.behind, at)
	}
	f.chain.lastIn[v.file] = at
	v.lastLinked = f.chain
}

// visitCheckpoint checks a signature. It returns nil if the line counts as no checkpoint.
func (v *verifier) visitCheckpoint(at *mark, line []byte) *audit.Checkpoint {
	var c audit.Checkpoint
	switch state := v.checkSignature(line); {
	case state == signatureInvalid || json.Unmarshal(line, &c) != nil:
		v.addEdit(*at, "the signature of this checkpoint is not valid: the line was changed, or not signed with the key")
		return nil
	case state == signatureUnknownKey:
		_ = json.Unmarshal(line, &c)
		if !v.unknownKeys[c.Key] {
			v.unknownKeys[c.Key] = true
			v.addFinding(Finding{Kind: "unknown_key", Chain: c.Chain, Seq: c.Seq, Message: fmt.Sprintf("checkpoints are signed with the key %s, which is not given: add it with --key, or somebody else has signed", c.Key)}, *at)
		}
		return nil
	}
	at.isSigned = true
	return &c
}

// noteCheckpoint notes a valid checkpoint, the last line of the fragment now.
func (f *fragment) noteCheckpoint(at mark, c *audit.Checkpoint, line []byte) {
	f.covered = at
	if c.End && f.end.seq == 0 {
		f.end = at
	}
	if c.Replica != "" {
		f.chain.replica = c.Replica
	}
	if at.seq == 1 && f.chain.start == nil {
		f.chain.start, f.chain.startMark = c, at
	}
	if f.chain.latest == nil || c.Seq >= f.chain.latest.Seq {
		f.chain.latest, f.chain.latestLine = c, bytes.Clone(line)
	}
}

func (v *verifier) compareWithHead(link audit.Link, at mark) {
	head, known := v.heads[lineKey{link.Chain, link.Seq}]
	if !known {
		return
	}
	if head.hash == at.hash {
		head.seen = true
	}
}

// place adds a line to the fragment that it continues, or begins one.
func (v *verifier) place(at mark, link audit.Link) *fragment {
	var prev hash
	_, _ = hex.Decode(prev[:], []byte(link.Prev)) // ParseLink has checked the digits
	before := v.ends[prev]
	switch {
	case before == nil || link.Seq == 1:
	case before.chain.id == link.Chain && before.last.seq+1 == link.Seq:
		v.extend(before, at)
		return before
	default: // it follows that line, but has another number or chain
		v.addEdit(at, fmt.Sprintf("it follows seq %d of chain %s by its hash, and says that it is seq %d of chain %s", before.last.seq, before.chain.id, link.Seq, link.Chain))
		at.seq, at.isSigned = before.last.seq+1, false
		v.extend(before, at)
		return before
	}
	if v.fragments++; v.fragments > maxFragments {
		v.tooManyBreaks = true
		v.addFinding(Finding{Kind: "too_many_breaks", Chain: link.Chain, Seq: link.Seq, Message: fmt.Sprintf("more than %d lines do not follow the line before: nothing after this line was checked", maxFragments)}, at)
		return nil
	}
	c := v.chains[link.Chain]
	if c == nil {
		c = &chain{id: link.Chain, lastIn: map[int]mark{}}
		v.chains[link.Chain] = c
		v.order = append(v.order, c)
	}
	f := &fragment{chain: c, first: at, last: at, prev: prev, before: v.lastLinked}
	c.fragments = append(c.fragments, f)
	if _, taken := v.ends[at.hash]; !taken {
		v.ends[at.hash] = f
	}
	return f
}

func (v *verifier) extend(f *fragment, at mark) {
	delete(v.ends, f.last.hash)
	f.last = at
	if _, taken := v.ends[at.hash]; !taken {
		v.ends[at.hash] = f
	}
}

// countKind counts a line of a chain by its kind, and the records that a gap counts.
func (v *verifier) countKind(line []byte) {
	kind := readKind(line)
	v.report.Records[kind]++
	if kind != string(audit.KindGap) {
		return
	}
	var gap audit.Gap
	if json.Unmarshal(line, &gap) == nil {
		v.report.Gaps[string(gap.Cause)] += gap.Count
	}
}

// readKind reads the second field of a line, as our encoder writes it.
func readKind(line []byte) string {
	const field = `,"kind":"`
	at := bytes.Index(line, []byte(field))
	if at < 0 {
		return "unknown"
	}
	rest := line[at+len(field):]
	end := bytes.IndexByte(rest, '"')
	if end < 0 || !slices.Contains(kinds, string(rest[:end])) {
		return "unknown"
	}
	return string(rest[:end])
}

var kinds = []string{string(audit.KindIssue), string(audit.KindEdge), string(audit.KindCheck), string(audit.KindGap), string(audit.KindCheckpoint)}

// visitOtherLine counts a line that is in no chain. A record is a finding: it was added, or its link was removed.
func (v *verifier) visitOtherLine(number int, line []byte, isOpen bool) {
	at := mark{file: v.file, line: number}
	isObject := line[0] == '{'
	switch isJSON := isObject && json.Valid(line); {
	case holdsRecord(line):
		v.report.Unchained++
		if v.report.Unchained == 1 && !v.o.AllowUnchained {
			v.addFinding(Finding{Kind: "unchained", Message: "a record that is in no chain: it was added, or changed (also by a collector of logs), or it was written without audit.chain (--allow-unchained accepts such records)"}, at)
		}
		v.addOdd(at)
	case !isJSON && isOpen && isObject:
		v.addNote(at, "the last line has no end yet: a process is writing it, or was killed")
		v.addOdd(at)
	case !isJSON && bytes.HasPrefix(line, []byte(`{"time":`)):
		v.report.Torn++
		v.addOdd(at)
	default:
		v.report.OtherLines++
		v.addOdd(at)
	}
}

func (v *verifier) addOdd(at mark) {
	if len(v.odd) < maxOdd {
		v.odd = append(v.odd, oddLine{at.file, at.line})
	}
}
