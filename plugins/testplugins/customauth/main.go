// Package main is an authentication plugin for tests: it accepts the name that a request gives.
package main

import (
	"net/http"

	"github.com/TykTechnologies/tyk/ctx"
	"github.com/TykTechnologies/tyk/user"
)

func main() {}

// Authenticate opens a session with the user that the request names in its metadata. Without a name, the
// session does not identify the caller.
func Authenticate(rw http.ResponseWriter, r *http.Request) {
	session := &user.SessionState{OrgID: "demo", KeyID: "custom-session", Alias: "root", MetaData: map[string]any{}, ApplyPolicies: []string{"all"}}
	if name := r.Header.Get("X-Custom-User"); name != "" {
		session.MetaData["user"] = name
	}
	ctx.SetSession(r, session, false, false, false)
}
