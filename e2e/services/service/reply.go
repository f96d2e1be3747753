package service

import (
	"encoding/json"
	"net/http"
)

// Reply answers with body as JSON.
func Reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away: nobody is left to tell
}

// ReplyRefused passes an upstream's refusal on, with its status, so that whoever asked can see
// where the path ended.
func ReplyRefused(w http.ResponseWriter, upstream string, answer Answer) {
	Reply(w, answer.Status, map[string]any{"refused_by": upstream, "answer": answer})
}

// ReplyUnreachable says that an upstream did not answer at all. The cause stays in our log: it may
// name addresses.
func ReplyUnreachable(w http.ResponseWriter, upstream string) {
	Reply(w, http.StatusBadGateway, map[string]any{"unreachable": upstream})
}
