package search

import (
	"bytes"
	"errors"
	"io"
)

// Source is a log that can be opened. Size is 0 if it is not known.
type Source struct {
	Name string
	Size int64
	Once bool // it can be opened only once, such as standard input
	Open func() (io.ReadCloser, error)
}

// blockSize is how much is read at one time, and the longest line that is read, in bytes.
const blockSize = 1 << 20

// block is whole lines of a source.
type block struct {
	data  []byte // lines, each with its end, but perhaps for the last one of the source
	first int    // number of its first line, from 1
}

// lineAt is called for each line, without its end.
type lineFunc func(number int, line []byte)

func (b block) forEachLine(do lineFunc) {
	data := b.data
	for number := b.first; len(data) > 0; number++ {
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		do(number, line)
		data = rest
	}
}

// readBlocks reads a source in blocks. The block's data is valid during the call. A line that is longer than a
// block is left out and counted.
func readBlocks(from io.Reader, do func(block) error) (tooLong int, err error) {
	buffer := make([]byte, blockSize)
	next, kept, skipping := 1, 0, false
	for {
		n, readErr := from.Read(buffer[kept:])
		filled := buffer[:kept+n]
		if skipping {
			_, after, found := bytes.Cut(filled, []byte("\n"))
			if found {
				next++
				skipping = false
			}
			filled = buffer[:copy(buffer, after)]
		}
		ended := errors.Is(readErr, io.EOF)
		end := bytes.LastIndexByte(filled, '\n') + 1
		if ended {
			end = len(filled)
		}
		if readErr == nil && len(filled) < blockSize && end < blockSize/2 {
			kept = len(filled) // small reads, as from a pipe, make no small blocks
			continue
		}
		if end > 0 {
			if err := do(block{filled[:end], next}); err != nil {
				return tooLong, err
			}
			next += bytes.Count(filled[:end], []byte("\n"))
		}
		kept = copy(buffer, filled[end:])
		if kept == blockSize {
			tooLong++
			kept, skipping = 0, true
		}
		switch {
		case ended:
			return tooLong, nil
		case readErr != nil:
			return tooLong, readErr
		}
	}
}
