package decision

import (
	"encoding/json"
	"net/http"
)

// ProblemType is the media type of [ProblemBody].
const ProblemMediaType = "application/problem+json"

// ProblemBody is the body of a refusal (RFC 9457), the same at the edge and at each
// hop. The client learns the reason's code and, where a token was verified, the
// transaction, with which its support finds the audit record; what exactly is
// wrong stands in our log. txn may be empty.
func ProblemBody(status int, reason Reason, txn string) []byte {
	// A struct of texts and a number: encoding cannot fail.
	body, _ := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Reason Reason `json:"reason"`
		Txn    string `json:"txn,omitempty"`
	}{"about:blank", http.StatusText(status), status, reason, txn})
	return body
}
