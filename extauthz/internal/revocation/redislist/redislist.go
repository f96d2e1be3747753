// Package redislist keeps a list of revocations in Redis, so that all clusters see a
// change within a second.
//
// One key holds the whole document of package revocation, the same document that a file
// holds. So file and Redis have one reader, each read returns one state and never parts
// of two, and Redis is trusted no more than a file: a document that is invalid, too
// large, missing, or older than one that was read before changes nothing.
package redislist

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meshpass/meshpass/internal/logonce"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/shared/revocation"
)

// List follows the document. Until the first successful read it is empty, and its age
// is unlimited.
type List struct {
	client  *redis.Client
	config  Config
	now     func() time.Time
	report  func(*revocation.List, error)
	history revocation.History

	current    atomic.Pointer[activeList]
	failure    atomic.Pointer[error]
	activeHash [sha256.Size]byte // of the active document
	pollEnded  atomic.Int64      // when the last poll ended, in nanoseconds since 1970
}

type activeList struct {
	list      *revocation.List
	since     time.Time // when it became active
	confirmed time.Time // when Redis was last seen to hold it; zero: never
}

// Follow is [New] and [List.ReadFirst].
func Follow(ctx context.Context, c Config, now func() time.Time, report func(*revocation.List, error)) (*List, error) {
	l, err := New(c, now, report)
	if err != nil {
		return nil, err
	}
	return l, l.ReadFirst(ctx)
}

// New reads the files of the configuration and does not connect. Each change is reported, and each
// failure whose message is new. report is called by one goroutine at a time.
func New(c Config, now func() time.Time, report func(*revocation.List, error)) (*List, error) {
	client, err := newClient(c)
	if err != nil {
		return nil, err
	}
	l := &List{client: client, config: c, now: now, report: report}
	l.current.Store(&activeList{list: new(revocation.List), since: now()})
	return l, nil
}

// ReadFirst reads the list once. It is no error if Redis gives no list now, because a later poll may.
// A server that does not answer ROLE is an error, and the list is closed: see [ErrNoRole].
func (l *List) ReadFirst(ctx context.Context) error {
	l.Poll(ctx)
	if err := l.Err(); errors.Is(err, ErrNoRole) {
		return errors.Join(err, l.Close())
	}
	return nil
}

// Close ends the connections. [List.Run] also ends them.
func (l *List) Close() error { return l.client.Close() }

// Get returns the active list.
func (l *List) Get() *revocation.List { return l.current.Load().list }

// History knows the lists that were active before.
func (l *List) History() *revocation.History { return &l.history }

// Since is when the active list became active.
func (l *List) Since() time.Time { return l.current.Load().since }

// Err is nil while Redis holds the active list.
func (l *List) Err() error {
	if err := l.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Looked is when the last poll ended, with or without an answer of Redis.
func (l *List) Looked() time.Time { return time.Unix(0, l.pollEnded.Load()) }

// Age is the time since Redis was last seen to hold the active list.
func (l *List) Age(now time.Time) time.Duration { return now.Sub(l.current.Load().confirmed) }

// Run polls at every interval until ctx ends, and then disconnects.
func (l *List) Run(ctx context.Context, interval time.Duration) {
	defer func() { _ = l.client.Close() }()
	reload.PollEvery(ctx, interval, func() { l.Poll(ctx) })
}

// Poll reads the list once. It must not run twice at the same time.
func (l *List) Poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() { l.pollEnded.Store(time.Now().UnixNano()) }()
	began := l.now() // the answer is at least as new
	data, err := l.readDocument(ctx)
	if err == nil {
		err = l.activate(data, began)
	}
	if err != nil {
		l.recordFailure(err)
		return
	}
	l.failure.Store(nil)
}

// readDocument reads the document and the role of the server in one pipeline of one
// connection, so that a server that was demoted after the last poll reports it.
func (l *List) readDocument(ctx context.Context) ([]byte, error) {
	var role *redis.Cmd
	var document *redis.StringCmd
	_, err := l.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		role, document = p.Do(ctx, "ROLE"), getDocument(ctx, p, l.config.Key)
		return nil
	})
	if roleErr := role.Err(); roleErr != nil {
		return nil, explainRoleError(roleErr, l.config.Username)
	}
	if err := checkRole(role.Val()); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	return requireDocument(document.Val())
}

// activate makes the document active, or confirms it if it is active already.
func (l *List) activate(data []byte, began time.Time) error {
	before, hash := l.current.Load(), sha256.Sum256(data)
	if hash == l.activeHash {
		l.current.Store(&activeList{list: before.list, since: before.since, confirmed: began})
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
	l.activeHash = hash
	l.current.Store(&activeList{list: list, since: l.now(), confirmed: began})
	l.history.Observe(list, l.now())
	l.report(list, nil)
	return nil
}

func (l *List) recordFailure(err error) {
	before := l.Err()
	l.failure.Store(&err)
	if !logonce.SameMessage(before, err) {
		l.report(l.Get(), err)
	}
}
