package identity

// Lookup finds a claim by its path: one of the fixed names, or a member below tctx
// or rctx, each step being the name of a member. Nil claims hold nothing.
func (c *Claims) Lookup(path ...string) (value any, ok bool) {
	if c == nil || len(path) == 0 {
		return nil, false
	}
	value, ok = c.top(path[0])
	for _, name := range path[1:] {
		members, isObject := value.(map[string]any)
		if !isObject {
			return nil, false
		}
		value, ok = members[name]
	}
	return value, ok
}

func (c *Claims) top(name string) (any, bool) {
	switch name {
	case "iss":
		return c.Issuer, true
	case "aud":
		return c.Audience, true
	case "sub":
		return c.Subject, true
	case "txn":
		return c.Txn, true
	case "scope":
		return c.Scope, true
	case "req_wl":
		return c.Requester, true
	case "tctx":
		return c.Tctx, true
	case "rctx":
		return c.Rctx, true
	}
	return nil, false
}
