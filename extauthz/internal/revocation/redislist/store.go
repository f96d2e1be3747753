package redislist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meshpass/meshpass/shared/revocation"
)

// maxTries is how often a change is tried while other clients change the list too.
const maxTries = 20

// Store changes the list.
type Store struct {
	client *redis.Client
	config Config
}

// OpenStore does not connect yet.
func OpenStore(c Config) (*Store, error) {
	client, err := newClient(c)
	return &Store{client: client, config: c}, err
}

// Close disconnects.
func (s *Store) Close() error { return s.client.Close() }

// String names the list in messages.
func (s *Store) String() string { return "redis " + s.config.Address + " " + s.config.Key }

// Change calls change with the list, which is nil if there is no list, and writes the
// list that change returns; nil: nothing is written. If another client has written
// meanwhile, its change is not overwritten: change is called again with the new list.
func (s *Store) Change(change func(*revocation.List) (*revocation.List, error)) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*timeout)
	defer cancel()
	for range maxTries {
		err := s.client.Watch(ctx, func(tx *redis.Tx) error { return s.changeInTransaction(ctx, tx, change) }, s.config.Key)
		if !errors.Is(err, redis.TxFailedErr) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%s: other clients change the list all the time: try again", s)
}

func (s *Store) changeInTransaction(ctx context.Context, tx *redis.Tx, change func(*revocation.List) (*revocation.List, error)) error {
	var before *revocation.List
	text, err := getDocument(ctx, tx, s.config.Key).Result()
	var data []byte
	if err == nil {
		data, err = requireDocument(text)
	}
	if err == nil {
		before, err = revocation.Parse(data)
	}
	if err != nil && !errors.Is(err, ErrNoList) {
		return fmt.Errorf("%s: %w", s, err)
	}
	after, err := change(before)
	if err != nil || after == nil {
		return err
	}
	_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, s.config.Key, after.Document(), 0)
		return nil
	})
	return err
}
