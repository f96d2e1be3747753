package fidelity_test

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
)

func readHead(r *bufio.Reader) (arrival, error) {
	var a arrival
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return a, err
		}
		line = strings.TrimSuffix(line, "\r\n")
		switch {
		case line == "":
			return a, nil
		case a.line == "":
			a.line = line
		default:
			a.fields = append(a.fields, line)
		}
	}
}

var errFraming = errors.New("a length and a transfer coding, or more than one of either")

// readBody reads as a server that takes the one framing that there is.
func readBody(r *bufio.Reader, a arrival) (string, error) {
	lengths, codings := a.values("content-length"), a.values("transfer-encoding")
	switch {
	case len(lengths)+len(codings) > 1:
		return "", errFraming
	case len(codings) == 1:
		return readChunks(r)
	case len(lengths) == 1:
		n, err := strconv.Atoi(lengths[0])
		if err != nil {
			return "", err
		}
		body := make([]byte, n)
		n, err = io.ReadFull(r, body)
		return string(body[:n]), err
	}
	return "", nil
}

func readChunks(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "0\r\n" && trailerEnds(r, &b) {
			return b.String(), err
		}
	}
}

// trailerEnds reads up to the empty line that ends a chunked body.
func trailerEnds(r *bufio.Reader, b *strings.Builder) bool {
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return true
		}
	}
}
