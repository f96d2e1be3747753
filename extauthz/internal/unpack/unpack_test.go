package unpack_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/unpack"
)

func zip(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	if _, err := writer.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Text is read in both forms, and another form is an error that names it. An end in the middle is an error after what was read.
func TestNewReader(t *testing.T) {
	const text = "{\"a\":1}\n{\"a\":2}\n"
	packed := zip(t, text)
	for name, row := range map[string]struct{ content, want, err string }{
		"text":                    {text, text, ""},
		"nothing":                 {"", "", ""},
		"one byte":                {"{", "{", ""},
		"compressed":              {packed, text, ""},
		"two compressed":          {packed + packed, text + text, ""},
		"a part of the header":    {packed[:5], "", "it ends in the middle of compressed data"},
		"a part of the data":      {packed[:len(packed)-6], text, "it ends in the middle of compressed data"},
		"damaged":                 {packed[:len(packed)-8] + strings.Repeat("x", 8), text, "its compressed data is damaged: gzip: invalid checksum"},
		"no header":               {"\x1f\x8bno more than that", "", "its compressed data is damaged: gzip: invalid header"},
		"zstd":                    {"\x28\xb5\x2f\xfdxxxx", "", "it is compressed by zstd: give it as text in UTF-8, plain or compressed by gzip"},
		"xz":                      {"\xfd7zXZ\x00xxxx", "", "it is compressed by xz: give it as text in UTF-8, plain or compressed by gzip"},
		"bzip2":                   {"BZh91AY&SY", "", "it is compressed by bzip2: give it as text in UTF-8, plain or compressed by gzip"},
		"lz4":                     {"\x04\x22\x4d\x18xxxx", "", "it is compressed by lz4: give it as text in UTF-8, plain or compressed by gzip"},
		"a zip archive":           {"PK\x03\x04xxxx", "", "it is a zip archive: give it as text in UTF-8, plain or compressed by gzip"},
		"UTF-16, little endian":   {"\xff\xfe{\x00", "", "it is text in UTF-16: give it as text in UTF-8, plain or compressed by gzip"},
		"UTF-16, big endian":      {"\xfe\xff\x00{", "", "it is text in UTF-16: give it as text in UTF-8, plain or compressed by gzip"},
		"a mark of UTF-8 is text": {"\xef\xbb\xbf{}", "\xef\xbb\xbf{}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			reader, err := unpack.NewReader(strings.NewReader(row.content), 4096)
			var got []byte
			if err == nil {
				got, err = io.ReadAll(reader)
			}
			message := ""
			if err != nil {
				message = err.Error()
			}
			if string(got) != row.want || message != row.err {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
