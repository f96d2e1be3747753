package tokentools

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

// Inspection is the content of a token. It is not verified.
type Inspection struct {
	Verified       bool            `json:"verified"` // always false, as a warning to readers of the JSON
	Header         json.RawMessage `json:"header"`   // as written, also with duplicate names
	Claims         json.RawMessage `json:"claims"`
	Times          []TimeClaim     `json:"times,omitempty"`
	Bytes          int             `json:"bytes"`
	SignatureBytes int             `json:"signatureBytes"`
}

// TimeClaim is a claim with a NumericDate.
type TimeClaim struct {
	Claim string    `json:"claim"`
	At    time.Time `json:"at"`
	In    string    `json:"in"` // relative to now, as text
}

// Inspect decodes a token, and tolerates more than a verifier, because it is used for
// tokens that are rejected.
func Inspect(raw string, now time.Time) (Inspection, error) {
	parts := strings.SplitN(raw, ".", 4)
	if len(parts) != 3 {
		return Inspection{}, fmt.Errorf("%w: a compact JWS is three parts with dots between", ErrNoToken)
	}
	i := Inspection{Bytes: len(raw)}
	for n, into := range []*json.RawMessage{&i.Header, &i.Claims} {
		data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[n], "="))
		if err != nil || !json.Valid(data) {
			return Inspection{}, fmt.Errorf("%w: part %d is not JSON in base64url", ErrNoToken, n+1)
		}
		*into = data
	}
	i.SignatureBytes = base64.RawURLEncoding.DecodedLen(len(strings.TrimRight(parts[2], "=")))
	i.readTimes(now)
	return i, nil
}

func (i *Inspection) readTimes(now time.Time) {
	var claims map[string]any
	if json.Unmarshal(i.Claims, &claims) != nil {
		return // not an object, so it has no times
	}
	for _, name := range []string{"iat", "nbf", "exp"} {
		if seconds, ok := claims[name].(float64); ok && seconds > 0 && seconds < 1<<37 {
			when := time.Unix(int64(seconds), 0).UTC()
			i.Times = append(i.Times, TimeClaim{Claim: name, At: when, In: relativeTime(when.Sub(now))})
		}
	}
}

func relativeTime(d time.Duration) string {
	if d = d.Round(time.Second); d < 0 {
		return (-d).String() + " ago"
	}
	return "in " + d.String()
}

// Print writes the content as text.
func (i Inspection) Print(to io.Writer) error {
	fmt.Fprintln(to, "NOT VERIFIED: anyone can write such a token. Verify it with meshpass token verify.")
	if err := printer.JSON(to, struct {
		Header json.RawMessage `json:"header"`
		Claims json.RawMessage `json:"claims"`
	}{i.Header, i.Claims}); err != nil {
		return err
	}
	for _, t := range i.Times {
		fmt.Fprintf(to, "%s  %s  %s\n", t.Claim, printer.FormatTime(t.At), t.In)
	}
	_, err := fmt.Fprintf(to, "%d bytes, %d of signature\n", i.Bytes, i.SignatureBytes)
	return err
}
