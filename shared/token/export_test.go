package token

// Rebuilt takes a token apart and puts it together again from what was decoded.
func Rebuilt(raw string) (string, error) {
	p, err := parse(raw, MaxBytes)
	if err != nil {
		return "", err
	}
	header := p.signingInput[:len(p.signingInput)-len(strictBase64.EncodeToString(p.payload))]
	return string(header) + strictBase64.EncodeToString(p.payload) + "." + strictBase64.EncodeToString(p.signature), nil
}

// ParseObject is the strict reader of header and claims.
func ParseObject(data []byte) (map[string]any, error) { return parseObject(data) }
