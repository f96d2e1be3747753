package bench

// Groups are all groups of the authorizer, in the order of their measurement.
func Groups() []Group { return []Group{newCheckGroup()} }
