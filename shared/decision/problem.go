package decision

import (
	"encoding/json"
	"net/http"
)

// ProblemMediaType is the media type of [ProblemBody].
const ProblemMediaType = "application/problem+json"

// ProblemBody returns the body of a denial, in JSON (RFC 9457). It is the same at the edge
// and at each hop. The client learns the code of the reason and, where a token was
// verified, the transaction. With that its support finds the audit record. The cause is
// in our log only. txn may be empty.
func ProblemBody(status int, reason Reason, txn string) []byte {
	// Texts and a number: encoding cannot fail.
	body, _ := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Reason Reason `json:"reason"`
		Txn    string `json:"txn,omitempty"`
	}{Type: "about:blank", Title: http.StatusText(status), Status: status, Reason: reason, Txn: txn})
	return body
}
