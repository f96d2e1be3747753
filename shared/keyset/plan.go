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

// ErrPlan says that a key's times are missing or out of order.
var ErrPlan = errors.New("want publishAt <= signFrom < signUntil <= removeAfter, all four given")

func (p Plan) check() error {
	complete := !p.PublishAt.IsZero() && !p.SignFrom.IsZero() && !p.SignUntil.IsZero() && !p.RemoveAfter.IsZero()
	if !complete || p.SignFrom.Before(p.PublishAt) || !p.SignFrom.Before(p.SignUntil) || p.RemoveAfter.Before(p.SignUntil) {
		return ErrPlan
	}
	return nil
}

// Signs reports whether the key may sign at that time, unless a newer one does.
func (p Plan) Signs(now time.Time) bool {
	return !now.Before(p.SignFrom) && now.Before(p.SignUntil)
}

// Published reports whether verifiers are to know the key at that time.
func (p Plan) Published(now time.Time) bool {
	return !now.Before(p.PublishAt) && now.Before(p.RemoveAfter)
}
