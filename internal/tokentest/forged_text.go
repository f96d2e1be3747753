package tokentest

import (
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
)

func forgedText(t testing.TB, now time.Time) []Forgery {
	valid := ValidToken(t, now)
	part := strings.Split(valid, ".")
	header, claims, signature := part[0], part[1], part[2]
	text := mustJSON(t, ValidParts(t, now).Header)
	body := mustJSON(t, ValidParts(t, now).Claims)
	return []Forgery{
		{"longer than the cap", strings.Repeat("a", 1<<20), decision.TokenTooLarge},
		{"two tokens joined by a comma", valid + "," + valid, decision.TokenCharset},
		{"a scheme", "Bearer " + valid, decision.TokenCharset},
		{"not ASCII", valid + "é", decision.TokenCharset},
		{"a byte that Envoy replaced", valid + "!", decision.TokenCharset},
		{"a space before", " " + valid, decision.TokenCharset},
		{"a byte order mark", "\ufeff" + valid, decision.TokenCharset},
		{"a NUL at the end", valid + "\x00", decision.TokenCharset},
		{"the other alphabet of base64", strings.Replace(valid, ".", ".+/", 1), decision.TokenCharset},
		{"an escaped dot", strings.Replace(valid, ".", "%2e", 1), decision.TokenCharset},
		{"a line break", valid + "\n", decision.TokenCharset},
		{"padding", header + "=." + claims + "." + signature, decision.TokenCharset},
		{"JSON serialization", `{"payload":"x"}`, decision.TokenCharset},
		{"one part", header, decision.TokenFormat},
		{"two parts", header + "." + claims, decision.TokenFormat},
		{"four parts", valid + ".x", decision.TokenFormat},
		{"five parts, as JWE", valid + ".x.y", decision.TokenFormat},
		{"no signature", header + "." + claims + ".", decision.TokenFormat},
		{"no claims", header + ".." + signature, decision.TokenFormat},
		{"no header", "." + claims + "." + signature, decision.TokenFormat},
		{"an empty part, which Envoy skips", header + ".." + claims + "." + signature, decision.TokenFormat},
		{"a dot before", "." + valid, decision.TokenFormat},
		{"nothing but dots", "..", decision.TokenFormat},
		{"thousands of dots", strings.Repeat(".", 8000), decision.TokenFormat},
		{"trailing bits of the header", trailingBits(encodeBase64URL(text+" ")) + "." + claims + "." + signature, decision.TokenBase64},
		{"trailing bits", header + "." + claims + "." + trailingBits(signature), decision.TokenBase64},
		{"impossible length", header + "." + claims + ".abcde", decision.TokenBase64},
		{"claims are no JSON", SignText(t, text, "hello"), decision.TokenJSON},
		{"claims are empty", SignText(t, text, " "), decision.TokenJSON},
		{"claims are null", SignText(t, text, "null"), decision.TokenJSON},
		{"claims are a list", SignText(t, text, "[]"), decision.TokenJSON},
		{"claims end early", SignText(t, text, body[:len(body)-1]), decision.TokenJSON},
		{"something follows the claims", SignText(t, text, body+"{}"), decision.TokenJSON},
		{"a claim twice", SignText(t, text, `{"sub":"idp:eve",`+body[1:]), decision.TokenJSON},
		{"a member of tctx twice", SignText(t, text, strings.Replace(body, `"tctx":{`, `"tctx":{"tenant":"other",`, 1)), decision.TokenJSON},
		{"a header parameter twice", SignText(t, `{"alg":"ES256",`+text[1:], body), decision.TokenJSON},
		{"a claim twice, once escaped", SignText(t, text, `{"\u0073ub":"idp:eve",`+body[1:]), decision.TokenJSON},
		{"a header parameter twice, once escaped", SignText(t, `{"\u0061lg":"none",`+text[1:], body), decision.TokenJSON},
		{"a byte order mark before the claims", SignText(t, text, "\ufeff"+body), decision.TokenJSON},
		{"a NUL after the claims", SignText(t, text, body+"\x00"), decision.TokenJSON},
		{"a comment in the claims", SignText(t, text, "/**/"+body), decision.TokenJSON},
		{"names without quotes", SignText(t, text, strings.Replace(body, `"sub"`, `sub`, 1)), decision.TokenJSON},
		{"quotes of another kind", SignText(t, text, strings.Replace(body, `"sub"`, `'sub'`, 1)), decision.TokenJSON},
		{"a comma at the end", SignText(t, text, body[:len(body)-1]+",}"), decision.TokenJSON},
		{"a line break in a text", SignText(t, text, strings.Replace(body, "acme", "ac\nme", 1)), decision.TokenJSON},
		{"NaN", SignText(t, text, strings.Replace(body, `"acme"`, "NaN", 1)), decision.TokenJSON},
		{"a hexadecimal number", SignText(t, text, strings.Replace(body, `"acme"`, "0x10", 1)), decision.TokenJSON},
		{"a number with a zero in front", SignText(t, text, strings.Replace(body, `"acme"`, "010", 1)), decision.TokenJSON},
		{"half of a surrogate pair", SignText(t, text, strings.Replace(body, "alice", `ali\ud800ce`, 1)), decision.TokenJSON},
		{"half of a surrogate pair in a name", SignText(t, text, strings.Replace(body, `"tenant"`, `"ten\udc00ant"`, 1)), decision.TokenJSON},
		{"a character that was lost", SignText(t, text, strings.Replace(body, "alice", "ali\ufffdce", 1)), decision.TokenJSON},
		{"an overlong encoding", SignText(t, text, strings.Replace(body, "alice", "ali\xc0\xaece", 1)), decision.TokenJSON},
		{"UTF-16", SignText(t, text, "{\x00\"\x00a\x00\"\x00:\x001\x00}\x00"), decision.TokenJSON},
		{"not UTF-8", SignText(t, text, strings.Replace(body, "acme", "ac\xff", 1)), decision.TokenJSON},
		{"too deep", SignText(t, text, strings.Replace(body, `"acme"`, strings.Repeat("[", 100)+strings.Repeat("]", 100), 1)), decision.TokenTooDeep},
		{"a deep header", SignText(t, `{"x":`+strings.Repeat(`{"x":`, 8)+`1`+strings.Repeat("}", 9), body), decision.TokenTooDeep},
		{"as deep as the cap admits", SignText(t, text, `{"x":`+strings.Repeat("[", 2500)+strings.Repeat("]", 2500)+"}"), decision.TokenTooDeep},
		{"a number out of range", SignText(t, text, strings.Replace(body, `"acme"`, "1e999", 1)), decision.TokenJSON},
	}
}

// trailingBits changes bits that a lenient decoder ignores: the text differs,
// the decoded signature does not.
func trailingBits(signature string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(signature) - 1
	i := strings.IndexByte(alphabet, signature[last])
	return signature[:last] + string(alphabet[i^1])
}
