// Package main is an authentication plugin: it takes everybody for whom they say they are.
package main

import (
	"net/http"

	"github.com/TykTechnologies/tyk/ctx"
	"github.com/TykTechnologies/tyk/user"
)

func main() {}

// Authenticate opens a session for the user that the request names, in the session's metadata; without
// one it opens a session that says nothing of who the caller is.
func Authenticate(rw http.ResponseWriter, r *http.Request) {
	session := &user.SessionState{OrgID: "demo", KeyID: "custom-session", Alias: "root", MetaData: map[string]any{}, ApplyPolicies: []string{"all"}}
	if name := r.Header.Get("X-Custom-User"); name != "" {
		session.MetaData["user"] = name
	}
	ctx.SetSession(r, session, false, false, false)
}
