package auditverify

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/meshpass/meshpass/extauthz/internal/unpack"
)

// Input is a file of records.
type Input struct {
	Name string
	Open func() (io.ReadCloser, error)
}

// maxLine is far more than the length of any record, in bytes. A longer line is no record.
const maxLine = 1 << 20

// readSize is how much is read at one time, in bytes.
const readSize = 256 << 10

// EachLine calls visit with each line of a file: see [ReadLines]. Errors have the name of the file.
func EachLine(in Input, progress func(bytes int64), visit func(number int, line []byte, isOpen bool)) error {
	file, err := in.Open()
	if err != nil {
		return err
	}
	defer file.Close()
	number, err := readLines(&countingReader{file, progress}, visit)
	switch {
	case err == nil:
		return nil
	case number == 0:
		return fmt.Errorf("%s: %w", in.Name, err)
	default:
		return fmt.Errorf("%s:%d: %w", in.Name, number, err)
	}
}

// ReadLines calls visit with each line that is not empty, without its newline. It reads compressed text (gzip) too. A line that is
// too long is cut to maxLine+1 bytes, so that it is no record. isOpen is set for a last line without a newline.
func ReadLines(from io.Reader, visit func(number int, line []byte, isOpen bool)) error {
	number, err := readLines(from, visit)
	if err != nil {
		return fmt.Errorf("line %d: %w", max(number, 1), err)
	}
	return nil
}

// readLines also returns the number of the line with an error; 0: the text cannot be unpacked.
func readLines(from io.Reader, visit func(number int, line []byte, isOpen bool)) (number int, err error) {
	unpacked, err := unpack.NewReader(from, readSize)
	if err != nil {
		return 0, err
	}
	text := bufio.NewReaderSize(unpacked, readSize)
	var line []byte
	for number := 1; ; number++ {
		line = line[:0]
		for {
			part, err := text.ReadSlice('\n')
			if room := maxLine + 1 - len(line); room > 0 {
				line = append(line, part[:min(len(part), room)]...)
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			isOpen := errors.Is(err, io.EOF)
			if err != nil && !isOpen {
				return number, err
			}
			if !isOpen {
				line = bytes.TrimSuffix(line, []byte{'\n'})
			}
			if len(line) > 0 {
				visit(number, line, isOpen)
			}
			if isOpen {
				return number, nil
			}
			break
		}
	}
}

type countingReader struct {
	io.Reader
	progress func(bytes int64)
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if c.progress != nil {
		c.progress(int64(n))
	}
	return n, err
}
