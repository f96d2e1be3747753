package service

import (
	"encoding/json"
	"net/http"
)

// Reply answers with body as JSON.
func Reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away: there is no one to report it to
}

// ReplyDenied passes on the denial of an upstream, with its status, so that the client sees
// where the path ended.
func ReplyDenied(w http.ResponseWriter, upstream string, answer Answer) {
	Reply(w, answer.Status, map[string]any{"refused_by": upstream, "answer": answer})
}

// ReplyUnreachable reports that an upstream did not answer at all. The cause is not in the answer,
// because it may contain addresses.
func ReplyUnreachable(w http.ResponseWriter, upstream string) {
	Reply(w, http.StatusBadGateway, map[string]any{"unreachable": upstream})
}
