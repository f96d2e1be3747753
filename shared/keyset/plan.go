package keyset

import (
	"errors"
	"time"
)

// Plan is the life of a key. It is published before it signs, so that every
// verifier knows it by then, and stays published until the last token that it
// signed has expired.
type Plan struct {
	PublishAt   time.Time `yaml:"publishAt"`
	SignFrom    time.Time `yaml:"signFrom"`
	SignUntil   time.Time `yaml:"signUntil"`
	RemoveAfter time.Time `yaml:"removeAfter"`
}

// State is what a key does at a time, in the order of a key's life.
type State string

// A key that is signed with no more, because its time is over or a newer one
// signs, is retiring until the last of its tokens is gone.
const (
	StatePlanned   State = "planned"
	StatePublished State = "published"
	StateSigning   State = "signing"
	StateRetiring  State = "retiring"
	StateRemoved   State = "removed"
)

// ErrPlan says that a key's times are missing or out of order.
var ErrInvalidPlan = errors.New("want publishAt <= signFrom < signUntil <= removeAfter, all four given")

func (p Plan) check() error {
	complete := !p.PublishAt.IsZero() && !p.SignFrom.IsZero() && !p.SignUntil.IsZero() && !p.RemoveAfter.IsZero()
	if !complete || p.SignFrom.Before(p.PublishAt) || !p.SignFrom.Before(p.SignUntil) || p.RemoveAfter.Before(p.SignUntil) {
		return ErrInvalidPlan
	}
	return nil
}

// MaySignAt reports whether the key may sign at that time, unless a newer one does.
func (p Plan) MaySignAt(now time.Time) bool {
	return !now.Before(p.SignFrom) && now.Before(p.SignUntil)
}

// IsPublishedAt reports whether verifiers are to know the key at that time.
func (p Plan) IsPublishedAt(now time.Time) bool {
	return !now.Before(p.PublishAt) && now.Before(p.RemoveAfter)
}
