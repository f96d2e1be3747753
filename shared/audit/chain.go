package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/meshpass/meshpass/internal/logqueue"
)

// Chain makes a hash chain of the lines of a log: each line has the SHA-256 of the line before it, and a line of the kind
// checkpoint is signed, which covers all lines before it. A line that is changed, removed or moved later is then found.
type Chain struct {
	Key        ed25519.PrivateKey // signs checkpoints, and nothing else
	Checkpoint time.Duration      // the longest time between a line and the checkpoint that covers it
}

// DefaultCheckpoint is the usual value of [Chain.Checkpoint].
const DefaultCheckpoint = time.Minute

// Link is what a chain adds to the end of each line.
type Link struct {
	Chain string `json:"chain"` // 16 hex digits: each process that writes, and each output of it, has its own chain
	Seq   uint64 `json:"seq"`   // 1 for the first line of the chain, then one more for each line
	Prev  string `json:"prev"`  // SHA-256, in hex, of the line before in this chain, without its newline
}

// Checkpoint is a line that signs all lines of its chain before it, and itself. The first line of a chain is one. Its prev
// is then [NoLine], or the hash of the last line that the file had, which Follows names.
type Checkpoint struct {
	Time       time.Time `json:"time"`
	Kind       Kind      `json:"kind"` // checkpoint
	ID         string    `json:"id"`
	Replica    string    `json:"replica,omitempty"`     // name of the machine or pod that writes
	Key        string    `json:"key"`                   // of the signature: see [CheckpointKeyID]
	End        bool      `json:"end,omitempty"`         // the chain ends here, because the process ends or writes no chain any more
	Follows    string    `json:"follows,omitempty"`     // chain whose line was the last one in the file when this chain began
	FollowsSeq uint64    `json:"follows_seq,omitempty"` // number of that line
	Torn       int       `json:"torn,omitempty"`        // bytes after that line which are no whole line, as after a kill
	Link
	Sig string `json:"sig"` // Ed25519, in base64url: see [VerifyCheckpoint]
}

// NoLine is the prev of the first line of a chain that follows no other chain.
const NoLine = "0000000000000000000000000000000000000000000000000000000000000000"

// signedFor begins what a checkpoint signs, so that the key cannot be made to sign for another purpose.
const signedFor = "meshpass audit checkpoint 1\n"

// CheckpointKeyID is the name of a key in checkpoints: SHA-256, in base64url, of the public key's 32 bytes.
func CheckpointKeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// VerifyCheckpoint reports whether the key has signed a line, which has no newline. The signature is about all of the line
// before its field sig.
func VerifyCheckpoint(line []byte, key ed25519.PublicKey) bool {
	_, sig, isLinked := ParseLink(line)
	signature, err := base64.RawURLEncoding.Strict().DecodeString(sig)
	if !isLinked || err != nil || sig == "" {
		return false
	}
	signed := append([]byte(signedFor), line[:bytes.LastIndex(line, []byte(sigField))]...)
	return ed25519.Verify(key, signed, signature)
}

// What ends a line of a chain, in exactly this form.
const (
	chainField = `,"chain":"`
	seqField   = `","seq":`
	prevField  = `,"prev":"`
	sigField   = `,"sig":"`
	chainDigits,
	hashDigits, sigChars = 16, 2 * sha256.Size, 86
)

// ParseLink reads the link at the end of a line, which has no newline, and the signature if it is a checkpoint. A line whose
// end has any other form is no line of a chain.
func ParseLink(line []byte) (link Link, sig string, isLinked bool) {
	at := bytes.LastIndex(line, []byte(chainField))
	if at < 0 || len(line) > at+logqueue.MaxLink+len(sigField)+sigChars {
		return Link{}, "", false
	}
	rest := string(line[at+len(chainField):])
	if link.Chain, rest, isLinked = cutToken(rest, chainDigits, seqField, isHex); !isLinked {
		return Link{}, "", false
	}
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	number, err := strconv.ParseUint(rest[:digits], 10, 64)
	if err != nil || number == 0 || rest[0] == '0' || len(rest) < digits+len(prevField) || rest[digits:digits+len(prevField)] != prevField {
		return Link{}, "", false
	}
	link.Seq, rest = number, rest[digits+len(prevField):]
	if link.Prev, rest, isLinked = cutToken(rest, hashDigits, `"`, isHex); !isLinked {
		return Link{}, "", false
	}
	if rest == "}" {
		return link, "", true
	}
	if len(rest) < len(sigField) || rest[:len(sigField)] != sigField {
		return Link{}, "", false
	}
	sig, rest, isLinked = cutToken(rest[len(sigField):], sigChars, `"}`, isBase64URL)
	return link, sig, isLinked && rest == ""
}

// cutToken cuts so many characters of a kind, and the text that must follow them.
func cutToken(text string, size int, follows string, isKind func(byte) bool) (token, rest string, found bool) {
	if len(text) < size+len(follows) || text[size:size+len(follows)] != follows {
		return "", "", false
	}
	for i := range size {
		if !isKind(text[i]) {
			return "", "", false
		}
	}
	return text[:size], text[size+len(follows):], true
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

func isBase64URL(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_'
}

// HashLine returns the hash that the next line of a chain has as its prev. The line has no newline.
func HashLine(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// chainWriter makes the chain. Only the writer of the queue uses it, one call at a time.
type chainWriter struct {
	wanted  func() *Chain // nil: no chain
	now     func() time.Time
	replica string
	file    *logqueue.File // nil: the output cannot be read

	active *Chain // nil: no chain is being written
	key    string // of active
	id     string
	before fileEnd // when the chain began

	kept      position   // after the lines that are in the output
	pending   []position // after each line that was appended since the last Keep
	owed      bool       // a checkpoint is due
	uncovered uint64     // lines that were kept since the last checkpoint

	shown struct {
		sync.Mutex
		ChainStats
	}
}

// ChainStats is the state of a chain that is being written.
type ChainStats struct {
	ID             string        // empty: no chain is being written
	Key            string        // that signs now, see [CheckpointKeyID]
	Checkpoint     time.Duration // the longest time between a line and the checkpoint that covers it
	Lines          uint64        // in the output
	Uncovered      uint64        // of these, the lines after the last checkpoint
	LastCheckpoint time.Time     // when it was written; zero: not yet
	WaitsSince     time.Time     // since when a checkpoint is missing: of the first line after the last one, or of a file or key that begins; zero: no checkpoint is missing
	Failed         uint64        // checkpoints that could not be written
}

// Waits returns how long a checkpoint is missing. It is never negative, even if the clock goes back.
func (s ChainStats) Waits(now time.Time) time.Duration {
	if s.WaitsSince.IsZero() {
		return 0
	}
	return max(0, now.Sub(s.WaitsSince))
}

// Stats may be called from all goroutines.
func (c *chainWriter) Stats() ChainStats {
	c.shown.Lock()
	defer c.shown.Unlock()
	return c.shown.ChainStats
}

// position is the end of a chain.
type position struct {
	seq  uint64
	hash [sha256.Size]byte
	own  ownLine // what the last line is
}

type ownLine int

const (
	notOwn ownLine = iota
	ownCheckpoint
	ownEnd
)

// fileEnd is what a file has when a chain begins in it.
type fileEnd struct {
	link Link // of its last line
	hash string
	torn int
}

func newChainWriter(file *logqueue.File, wanted func() *Chain, now func() time.Time) *chainWriter {
	replica, _ := os.Hostname() // it is only a help for people
	return &chainWriter{file: file, wanted: wanted, now: now, replica: Clip(replica, 256)}
}

// AppendOwn is of [logqueue.Linker].
func (c *chainWriter) AppendOwn(b []byte, at logqueue.Occasion) ([]byte, bool) {
	wanted := c.wanted()
	switch {
	case c.active == nil && wanted == nil:
		return b, false
	case c.active == nil:
		c.begin()
		c.use(wanted)
	case wanted != nil && wanted.Key.Equal(c.active.Key):
		c.active = wanted // perhaps with another time between checkpoints
	case wanted != nil:
		c.use(wanted)
	}
	end := at.End || wanted == nil
	if c.owed = c.owed || at.FileBegins || at.Due && c.uncovered > 0 || end; c.owed {
		b = c.appendCheckpoint(b, end)
	}
	c.showStart()
	return b, true
}

// showStart shows the chain and its key before the first checkpoint is written: that write may hang.
func (c *chainWriter) showStart() {
	c.shown.Lock()
	defer c.shown.Unlock()
	if c.shown.ID != c.id {
		c.shown.ChainStats = ChainStats{ID: c.id, Failed: c.shown.Failed}
	}
	c.shown.Key, c.shown.Checkpoint = c.key, c.active.Checkpoint
	if c.owed && c.shown.WaitsSince.IsZero() {
		c.shown.WaitsSince = c.now()
	}
}

// begin starts a new chain. It follows the chain whose line is the last one in the file.
func (c *chainWriter) begin() {
	var id [chainDigits / 2]byte
	_, _ = rand.Read(id[:]) // it never fails
	c.id, c.kept, c.pending, c.uncovered = hex.EncodeToString(id[:]), position{}, c.pending[:0], 0
	c.before = c.readFileEnd()
}

// use makes a key sign from the next checkpoint on, which is due.
func (c *chainWriter) use(wanted *Chain) {
	c.active, c.owed = wanted, true
	c.key = CheckpointKeyID(wanted.Key.Public().(ed25519.PublicKey))
}

// maxFileEnd is how much of a file is read to find its last line: more than the longest line, twice.
const maxFileEnd = 1 << 20

// readFileEnd finds the last whole line of the file. A file that cannot be read, or whose last line is of no chain, gives no
// link: verification then reports that the chain begins without a link.
func (c *chainWriter) readFileEnd() (end fileEnd) {
	if c.file == nil {
		return fileEnd{}
	}
	text, err := c.file.ReadEnd(maxFileEnd)
	if err != nil {
		return fileEnd{}
	}
	if whole := bytes.LastIndexByte(text, '\n') + 1; whole < len(text) {
		if _, _, isLinked := ParseLink(text[whole:]); !isLinked { // else only its newline is missing
			end.torn = len(text) - whole
			text = text[:whole]
		}
	}
	text = bytes.TrimRight(text, "\n")
	line := text[bytes.LastIndexByte(text, '\n')+1:]
	if link, _, isLinked := ParseLink(line); isLinked {
		end.link, end.hash = link, HashLine(line)
	}
	return end
}

// appendCheckpoint appends the line of a checkpoint.
func (c *chainWriter) appendCheckpoint(b []byte, end bool) []byte {
	last := c.last()
	line := Checkpoint{Time: c.now().UTC(), Kind: KindCheckpoint, ID: newID(), Replica: c.replica, Key: c.key, End: end}
	if last.seq == 0 {
		line.Torn = c.before.torn
		if c.before.hash != "" {
			line.Follows, line.FollowsSeq = c.before.link.Chain, c.before.link.Seq
			_, _ = hex.Decode(last.hash[:], []byte(c.before.hash)) // it is one of ours
		}
	}
	start := len(b)
	b = appendCheckpointFields(b, line)
	b = c.appendLink(b, last)
	signature := ed25519.Sign(c.active.Key, append([]byte(signedFor), b[start:]...))
	b = append(b, sigField...)
	b = append(base64.RawURLEncoding.AppendEncode(b, signature), `"}`...)
	kind := ownCheckpoint
	if end {
		kind = ownEnd
	}
	c.pending = append(c.pending, position{seq: last.seq + 1, hash: sha256.Sum256(b[start:]), own: kind})
	return append(b, '\n')
}

func appendCheckpointFields(b []byte, line Checkpoint) []byte {
	b, err := appendTime(append(b, `{"time":`...), line.Time)
	if err != nil {
		panic(err) // a clock has years of four digits
	}
	b = appendText(append(b, `,"kind":`...), string(line.Kind))
	b = appendText(append(b, `,"id":`...), line.ID)
	b = appendIfAny(b, `,"replica":`, line.Replica)
	b = appendText(append(b, `,"key":`...), line.Key)
	if line.End {
		b = append(b, `,"end":true`...)
	}
	if line.Follows != "" {
		b = appendText(append(b, `,"follows":`...), line.Follows)
		b = strconv.AppendUint(append(b, `,"follows_seq":`...), line.FollowsSeq, 10)
	}
	if line.Torn > 0 {
		b = strconv.AppendInt(append(b, `,"torn":`...), int64(line.Torn), 10)
	}
	return b
}

// AppendLinked is of [logqueue.Linker].
func (c *chainWriter) AppendLinked(b, line []byte) []byte {
	last, start := c.last(), len(b)
	if last.own == ownEnd { // the chain was switched off
		c.pending = append(c.pending, last)
		return append(b, line...)
	}
	b = append(b, line[:len(line)-len("}\n")]...)
	b = append(c.appendLink(b, last), '}')
	c.pending = append(c.pending, position{seq: last.seq + 1, hash: sha256.Sum256(b[start:])})
	return append(b, '\n')
}

// appendLink appends the fields of the line after last.
func (c *chainWriter) appendLink(b []byte, last position) []byte {
	b = append(append(b, chainField...), c.id...)
	b = strconv.AppendUint(append(b, seqField...), last.seq+1, 10)
	b = hex.AppendEncode(append(b, prevField...), last.hash[:])
	return append(b, '"')
}

// last is the position after all lines that were appended.
func (c *chainWriter) last() position {
	if len(c.pending) > 0 {
		return c.pending[len(c.pending)-1]
	}
	return c.kept
}

// maxRetry is how long a checkpoint that could not be written waits for the next try, at most.
const maxRetry = 5 * time.Second

// Keep is of [logqueue.Linker].
func (c *chainWriter) Keep(lines int) time.Duration {
	c.shown.Lock()
	defer c.shown.Unlock()
	for _, p := range c.pending[:lines] {
		c.kept = p
		if p.own != notOwn {
			c.owed, c.uncovered = false, 0
			c.shown.LastCheckpoint, c.shown.WaitsSince = c.now(), time.Time{}
		} else if c.uncovered++; c.shown.WaitsSince.IsZero() {
			c.shown.WaitsSince = c.now()
		}
	}
	interval := time.Duration(0)
	switch {
	case c.owed: // it is not among the lines that are in the sink
		c.shown.Failed++
		interval = min(c.active.Checkpoint, maxRetry)
	case c.uncovered > 0:
		interval = c.active.Checkpoint
	}
	c.pending = c.pending[:0]
	c.shown.Lines, c.shown.Uncovered = c.kept.seq, c.uncovered
	if c.kept.own == ownEnd {
		c.active = nil
		c.shown.ID = ""
	}
	return interval
}
