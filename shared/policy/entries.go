package policy

import "iter"

// entries is a map that takes little memory while it has few keys, as nearly all maps of an index do:
// the smallest map of Go has room for eight.
type entries[K comparable, V any] struct {
	few  []entry[K, V]
	many map[K]*V // all, once there are more than maxFew
}

type entry[K comparable, V any] struct {
	key   K
	value *V
}

// maxFew keys are found as fast in a slice as in a map.
const maxFew = 8

func (e *entries[K, V]) isEmpty() bool { return e.few == nil && e.many == nil }

// find gives the value of a key; nil: the key is absent.
func (e *entries[K, V]) find(key K) *V {
	if e.many != nil {
		return e.many[key]
	}
	for i := range e.few {
		if e.few[i].key == key {
			return e.few[i].value
		}
	}
	return nil
}

// findOrAdd makes a missing value.
func (e *entries[K, V]) findOrAdd(key K) *V {
	if value := e.find(key); value != nil {
		return value
	}
	value := new(V)
	switch {
	case e.many != nil:
		e.many[key] = value
	case len(e.few) < maxFew:
		e.few = append(e.few, entry[K, V]{key, value})
	default:
		e.many = make(map[K]*V, 2*maxFew)
		for _, old := range e.few {
			e.many[old.key] = old.value
		}
		e.many[key], e.few = value, nil
	}
	return value
}

// all gives every value, in no certain order.
func (e *entries[K, V]) all() iter.Seq[*V] {
	return func(yield func(*V) bool) {
		for _, one := range e.few {
			if !yield(one.value) {
				return
			}
		}
		for _, value := range e.many {
			if !yield(value) {
				return
			}
		}
	}
}
