package bytesize_test

import (
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

func TestSizesAreReadAndWritten(t *testing.T) {
	for _, row := range []struct {
		text    string
		bytes   int64
		written string
	}{
		{"0", 0, "0"}, {"1", 1, "1"}, {"8192", 8192, "8KiB"}, {"1000", 1000, "1000"}, {"1KiB", 1024, "1KiB"},
		{"64MiB", 64 << 20, "64MiB"}, {"1024MiB", 1 << 30, "1GiB"}, {"9223372036854775807", 1<<63 - 1, "9223372036854775807"},
	} {
		size, err := bytesize.Parse(row.text)
		if err != nil || int64(size) != row.bytes || size.String() != row.written {
			t.Errorf("%s: got %d, %s, %v", row.text, int64(size), size, err)
		}
	}
}

func TestTextsThatAreNoSize(t *testing.T) {
	for _, text := range []string{"", "MiB", "64MB", "64M", "64mib", "64 MiB", "-1", "+1", "+1MiB", "1.5GiB", "0x10", "1_000", "9223372036854775808", "9007199254740992KiB"} {
		if size, err := bytesize.Parse(text); err == nil || !strings.Contains(err.Error(), "as in 64MiB") {
			t.Errorf("%q: got %d, %v", text, size, err)
		}
	}
}

// A configuration file gets the size, or one problem on the line.
func TestSizesInAFile(t *testing.T) {
	for _, row := range []struct {
		text string
		size bytesize.Size
		want string
	}{
		{"queue: 8MiB\n", 8 * bytesize.MiB, ""},
		{"queue: 8192\n", 8 * bytesize.KiB, ""},
		{"# sizes\nqueue: 8MB\n", 0, `2:8: queue: "8MB" is not a size: write a whole number with KiB, MiB or GiB, as in 64MiB`},
		{"queue: [8MiB]\n", 0, "1:8: queue: write a size such as 64MiB here"},
	} {
		doc, err := strictyaml.Parse([]byte(row.text))
		if err != nil {
			t.Fatal(err)
		}
		var into struct {
			Queue bytesize.Size `yaml:"queue"`
		}
		got := ""
		if err := doc.Decode(&into).Err(); err != nil {
			got = err.Error()
		}
		if into.Queue != row.size || got != row.want {
			t.Errorf("%q: got %d, %q", row.text, into.Queue, got)
		}
	}
}
