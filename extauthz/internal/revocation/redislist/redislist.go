// Package redislist keeps a list of revocations in Redis, where all clusters see
// a change within a second.
//
// One key holds the whole document of package revocation, the same that a file
// holds. So there is one reader for both, a read is one state and never a part of
// two, and what Redis says is believed no more than what a file says: a document
// that is broken, too large, gone, or older than one that was seen changes nothing.
package redislist

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meshpass/meshpass/shared/revocation"
)

// DefaultKey is where the document stands unless configured.
const DefaultKey = "meshpass:revocations"

// timeout of each step: a list is polled every second.
const timeout = time.Second

var (
	// ErrNone says that there is no list. Redis that was wiped looks like one that
	// was never used, so an empty list has to be made on purpose.
	ErrNoList = errors.New("no list under this key: make one with meshpass revoke init; if there was one, Redis has lost it")
	// ErrBack says that Redis holds an older list than it did.
	ErrOlderList = errors.New("the list is older than the one before: Redis was restored, or answers from a replica that lags")
	// ErrCutOff says that the server cannot know the latest list.
	ErrCutOff = errors.New("this Redis is no primary and not connected to one, so that its list may be an old one")
	// ErrRole says that the server does not tell whether it is a primary.
	ErrNoRole = errors.New("Redis does not answer ROLE, so that a replica that is cut off from its primary would count as current")
)

// List follows the document. Until it was read once, it revokes nothing and is as
// stale as can be.
type List struct {
	client  *redis.Client
	config  Config
	now     func() time.Time
	report  func(*revocation.List, error)
	history revocation.History

	current    atomic.Pointer[state]
	failure    atomic.Pointer[error]
	activeHash [sha256.Size]byte // content of the list in force
	pollEnded  atomic.Int64      // when the last look came to its end, in nanoseconds since 1970
}

type state struct {
	list        *revocation.List
	since, read time.Time // when it was put in force, and last seen to be it; zero: never
}

// Follow begins with the list as it is, or with none. Each change is reported, and
// each new reason why there is none; report is called by one goroutine at a time.
// A server that answers, but not to ROLE, is an error: see [ErrNoRole].
func Follow(ctx context.Context, c Config, now func() time.Time, report func(*revocation.List, error)) (*List, error) {
	client, err := newClient(c)
	if err != nil {
		return nil, err
	}
	l := &List{client: client, config: c, now: now, report: report}
	l.current.Store(&state{list: new(revocation.List), since: now()})
	l.Poll(ctx)
	if err := l.Err(); errors.Is(err, ErrNoRole) {
		return nil, errors.Join(err, client.Close())
	}
	return l, nil
}

// Get gives the list in force.
func (l *List) Get() *revocation.List { return l.current.Load().list }

// History knows the lists that were active before.
func (l *List) History() *revocation.History { return &l.history }

// Since says when the list in force was put there.
func (l *List) Since() time.Time { return l.current.Load().since }

// Err is nil while the list in force is what Redis holds.
func (l *List) Err() error {
	if err := l.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Looked says when the last look came to its end, whether or not Redis answered.
func (l *List) Looked() time.Time { return time.Unix(0, l.pollEnded.Load()) }

// Age says how long ago the list was last seen to be what Redis holds.
func (l *List) Age(now time.Time) time.Duration { return now.Sub(l.current.Load().read) }

// Run polls at every interval until the context ends, and disconnects.
func (l *List) Run(ctx context.Context, interval time.Duration) {
	defer func() { _ = l.client.Close() }()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.Poll(ctx)
		}
	}
}

// Poll reads the list once. It must not run twice at the same time.
func (l *List) Poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() { l.pollEnded.Store(time.Now().UnixNano()) }()
	asked := l.now() // the answer is at least as new
	data, err := l.fetchDocument(ctx)
	if err == nil {
		err = l.activate(data, asked)
	}
	if err != nil {
		l.recordFailure(err)
		return
	}
	l.failure.Store(nil)
}

// fetchDocument gets the document together with the server's role, in one pipeline of one
// connection: a server that has been demoted since the last poll says so.
func (l *List) fetchDocument(ctx context.Context) ([]byte, error) {
	var role *redis.Cmd
	var document *redis.StringCmd
	_, err := l.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		role, document = p.Do(ctx, "ROLE"), getDocument(ctx, p, l.config.Key)
		return nil
	})
	if roleErr := role.Err(); roleErr != nil {
		return nil, l.config.explainRole(roleErr)
	}
	if err := checkRole(role.Val()); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	return requireDocument(document.Val())
}

// activate puts the document in force, unless that is in force already.
func (l *List) activate(data []byte, asked time.Time) error {
	before, sum := l.current.Load(), sha256.Sum256(data)
	if sum == l.activeHash {
		l.current.Store(&state{before.list, before.since, asked})
		return nil
	}
	list, err := revocation.Parse(data)
	if err != nil {
		return err
	}
	if err := list.CheckSerial(l.now()); err != nil {
		return err
	}
	if list.Serial() < before.list.Serial() {
		return fmt.Errorf("%w: serial %d after %d; to make a list that is later on purpose, delete the key and run meshpass revoke init --after %d",
			ErrOlderList, list.Serial(), before.list.Serial(), before.list.Serial())
	}
	l.activeHash = sum
	l.current.Store(&state{list, l.now(), asked})
	l.history.Observe(list, l.now())
	l.report(list, nil)
	return nil
}

func (l *List) recordFailure(err error) {
	before := l.Err()
	l.failure.Store(&err)
	if before == nil || before.Error() != err.Error() {
		l.report(l.Get(), err)
	}
}
