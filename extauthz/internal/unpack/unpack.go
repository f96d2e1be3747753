// Package unpack reads logs that can be compressed by gzip, and refuses other forms of text by their name: they would be read as lines
// of other programs, and nothing in them would be found.
package unpack

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
)

// others are the first bytes of what is not read.
var others = []struct{ begin, form string }{
	{"\x28\xb5\x2f\xfd", "compressed by zstd"},
	{"\xfd7zXZ\x00", "compressed by xz"},
	{"BZh", "compressed by bzip2"},
	{"\x04\x22\x4d\x18", "compressed by lz4"},
	{"PK\x03\x04", "a zip archive"},
	{"\xff\xfe", "text in UTF-16"},
	{"\xfe\xff", "text in UTF-16"},
}

// longestBegin is the length of the longest of them.
const longestBegin = 6

var errCut = errors.New("it ends in the middle of compressed data")

// NewReader returns the text of a log, unpacked if it is compressed by gzip. size is how much is read at one time, in bytes.
func NewReader(from io.Reader, size int) (io.Reader, error) {
	buffered := bufio.NewReaderSize(from, size)
	start, _ := buffered.Peek(longestBegin) // the reader that is returned has the error
	begin := string(start)
	if strings.HasPrefix(begin, "\x1f\x8b") {
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, describeError(err)
		}
		return compressed{unpacked}, nil
	}
	for _, other := range others {
		if strings.HasPrefix(begin, other.begin) {
			return nil, fmt.Errorf("it is %s: give it as text in UTF-8, plain or compressed by gzip", other.form)
		}
	}
	return buffered, nil
}

// compressed is the content of compressed data.
type compressed struct{ *gzip.Reader }

func (c compressed) Read(into []byte) (int, error) {
	n, err := c.Reader.Read(into)
	if errors.Is(err, io.EOF) {
		return n, io.EOF
	}
	return n, describeError(err)
}

func describeError(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errCut
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return fmt.Errorf("its compressed data is damaged: %w", err)
	}
	return err
}
