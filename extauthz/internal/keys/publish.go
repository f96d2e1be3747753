package keys

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/internal/atomicfile"
	"github.com/meshpass/meshpass/shared/keyset"
)

// PublicSet returns the key set (RFC 7517) that verifiers are to have now.
func PublicSet(dir string, now time.Time) ([]byte, error) {
	keys, err := keyset.LoadSigningKeys(dir)
	if err != nil {
		return nil, err
	}
	return marshalPublicSet(dir, keys, now)
}

func marshalPublicSet(dir string, keys *keyset.SigningKeys, now time.Time) ([]byte, error) {
	published := slices.ContainsFunc(keys.Keys(), func(k *keyset.SigningKey) bool { return k.Plan().IsPublishedAt(now) })
	if !published {
		return nil, fmt.Errorf("%w: no key of %s must be published now, and verifiers reject an empty set; run meshpass keys new", ErrNotDone, dir)
	}
	data, err := keys.JWKS(now)
	if err != nil {
		return nil, err
	}
	return append(data, '\n'), nil
}

// Publish writes the key set to a file, unless the file is up to date. A file that is not
// a key set is not overwritten.
func Publish(dir, out string, now time.Time) (Report, error) {
	keys, err := keyset.LoadSigningKeys(dir)
	if err != nil {
		return Report{}, err
	}
	r := newReport(dir, "", keys, now)
	before, err := readSet(out)
	if err != nil {
		return Report{}, err
	}
	data, changed, err := r.PlanPublication(keys, out, before, now)
	if err != nil || !changed {
		return r, err
	}
	r.Changed = true
	return r, atomicfile.Write(out, data, 0o644)
}

// PlanPublication returns the key set to publish in the place of before, and whether it
// differs. It adds the changes to the report. Content that is not a key set is an error.
func (r *Report) PlanPublication(keys *keyset.SigningKeys, out string, before []byte, now time.Time) (data []byte, changed bool, err error) {
	if data, err = marshalPublicSet(r.Place, keys, now); err != nil {
		return nil, false, err
	}
	r.Out = out
	if r.Added, r.Removed, err = compareSets(before, data); err != nil {
		return nil, false, fmt.Errorf("%s is not a key set, and is not overwritten: %w", out, err)
	}
	r.noteNextPublication(keys.Keys(), now)
	return data, !bytes.Equal(before, data), nil
}

func compareSets(before, after []byte) (added, removed []string, err error) {
	old, err := parseKeyIDs(before)
	if err != nil {
		return nil, nil, err
	}
	present, err := parseKeyIDs(after)
	if err != nil {
		return nil, nil, err
	}
	return subtract(present, old), subtract(old, present), nil
}

// parseKeyIDs returns the kids of a key set, sorted. An empty file is an empty set.
func parseKeyIDs(data []byte) ([]string, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	keys, err := keyset.ParseJWKS(data)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(slices.Values(keys.KeyIDs())), nil
}

func subtract(from, gone []string) []string {
	return slices.DeleteFunc(slices.Clone(from), func(id string) bool { return slices.Contains(gone, id) })
}

// noteNextPublication notes when the set must be published again.
func (r *Report) noteNextPublication(keys []*keyset.SigningKey, now time.Time) {
	var next time.Time
	for _, key := range keys {
		for _, when := range []time.Time{key.Plan().PublishAt, key.Plan().RemoveAfter} {
			if when.After(now) && (next.IsZero() || when.Before(next)) {
				next = when
			}
		}
	}
	r.addNote("publish again after every new key, and after %s, when the set changes by itself", printer.FormatTime(next))
}
