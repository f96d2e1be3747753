package keyset

import (
	"errors"
	"time"
)

// Plan are the times of a key. A key is published before it signs, so that every verifier
// knows it by then. It stays published until the last token that it signed has expired.
type Plan struct {
	PublishAt   time.Time `yaml:"publishAt"`
	SignFrom    time.Time `yaml:"signFrom"`
	SignUntil   time.Time `yaml:"signUntil"`
	RemoveAfter time.Time `yaml:"removeAfter"`
}

// State is the state of a key at a time.
type State string

// The states, in the order of the life of a key. A key that no longer signs, because its
// time is over or because a newer key signs, is retiring until its last token has expired.
const (
	StatePlanned   State = "planned"
	StatePublished State = "published"
	StateSigning   State = "signing"
	StateRetiring  State = "retiring"
	StateRemoved   State = "removed"
)

// ErrInvalidPlan is the error for times that are missing or not in order.
var ErrInvalidPlan = errors.New("want publishAt <= signFrom < signUntil <= removeAfter, all four given")

func (p Plan) check() error {
	complete := !p.PublishAt.IsZero() && !p.SignFrom.IsZero() && !p.SignUntil.IsZero() && !p.RemoveAfter.IsZero()
	if !complete || p.SignFrom.Before(p.PublishAt) || !p.SignFrom.Before(p.SignUntil) || p.RemoveAfter.Before(p.SignUntil) {
		return ErrInvalidPlan
	}
	return nil
}

// MaySignAt reports whether the key may sign at that time. Of several, the newest signs.
func (p Plan) MaySignAt(now time.Time) bool {
	return !now.Before(p.SignFrom) && now.Before(p.SignUntil)
}

// IsPublishedAt reports whether the key is in the key set at that time.
func (p Plan) IsPublishedAt(now time.Time) bool {
	return !now.Before(p.PublishAt) && now.Before(p.RemoveAfter)
}
