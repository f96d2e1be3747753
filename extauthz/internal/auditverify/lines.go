package auditverify

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// Input is a file of records.
type Input struct {
	Name string
	Open func() (io.ReadCloser, error)
}

// maxLine is far more than the length of any record, in bytes. A longer line is no record.
const maxLine = 1 << 20

// EachLine calls visit with each line that is not empty, without its newline. It reads what gzip has compressed too. A line
// that is too long is cut to maxLine+1 bytes. isOpen is set for a last line without a newline.
func EachLine(in Input, progress func(bytes int64), visit func(number int, line []byte, isOpen bool)) error {
	file, err := in.Open()
	if err != nil {
		return err
	}
	defer file.Close()
	raw := bufio.NewReaderSize(&countingReader{file, progress}, 256<<10)
	text := raw
	if start, _ := raw.Peek(2); bytes.Equal(start, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", in.Name, err)
		}
		text = bufio.NewReaderSize(unzipped, 256<<10)
	}
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
				return fmt.Errorf("%s:%d: %w", in.Name, number, err)
			}
			if !isOpen {
				line = bytes.TrimSuffix(line, []byte{'\n'})
			}
			if len(line) > 0 {
				visit(number, line, isOpen)
			}
			if isOpen {
				return nil
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
