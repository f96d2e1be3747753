package search

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/record"
)

// scanner reads sources, and counts lines.
type scanner struct {
	count    Read
	progress func(read int64) // bytes of all sources; may be nil
	done     int64
}

// visitFunc is called for each record of a source that is read.
type visitFunc func(source string, line int, object []byte, class record.Class)

// scanSource reads a source to its end, block by block. A source that ends with an error is counted as failed.
func (s *scanner) scanSource(ctx context.Context, source Source, do func(block)) error {
	reader, err := source.Open()
	if err != nil {
		s.countFailed(source, err)
		return ctx.Err()
	}
	defer reader.Close()
	tooLong, err := readBlocks(reader, func(b block) error {
		do(b)
		s.done += int64(len(b.data))
		if s.progress != nil {
			s.progress(s.done)
		}
		return ctx.Err()
	})
	s.count.TooLong += tooLong
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		s.countFailed(source, err)
	}
	return nil
}

// countFailed names a source that could not be read to its end, once.
func (s *scanner) countFailed(source Source, err error) {
	var atPath *fs.PathError
	if errors.As(err, &atPath) {
		err = atPath.Err // the source has the name
	}
	failed := fmt.Sprintf("%s: %s", source.Name, err)
	if !slices.Contains(s.count.Failed, failed) {
		s.count.Failed = append(s.count.Failed, failed)
	}
}

// order remembers the newest time of one source's audit records.
type order struct{ newest []byte }

// audit records begin with their time, which sorts as text up to the second.
const (
	beginsWithTime = `{"time":"`
	lengthOfTime   = len("2006-01-02T15:04:05")
)

func (o *order) isLate(object []byte) bool {
	if !bytes.HasPrefix(object, []byte(beginsWithTime)) || len(object) < len(beginsWithTime)+lengthOfTime {
		return false
	}
	second := object[len(beginsWithTime):][:lengthOfTime]
	if bytes.Compare(second, o.newest) < 0 {
		return true
	}
	o.newest = append(o.newest[:0], second...)
	return false
}

// visitBlock classifies and counts the lines of a block, and visits the records.
func (s *scanner) visitBlock(source string, b block, o *order, visit visitFunc) {
	s.count.Bytes += int64(len(b.data))
	b.forEachLine(func(number int, line []byte) {
		for len(line) > 0 {
			first, rest := record.SplitTorn(line)
			object, class := record.Classify(first)
			s.count.countLine(object, class)
			if class == record.Audit && o.isLate(object) {
				s.count.OutOfOrder++
			}
			if isRecord(class) {
				visit(source, number, object, class)
			}
			line = rest
		}
	})
}

// revisitBlock visits the records of a block without counting its lines.
func revisitBlock(source string, b block, keep func([]byte) bool, visit visitFunc) {
	b.forEachLine(func(number int, line []byte) {
		for len(line) > 0 {
			first, rest := record.SplitTorn(line)
			if keep(first) {
				if object, class := record.Classify(first); isRecord(class) {
					visit(source, number, object, class)
				}
			}
			line = rest
		}
	})
}

func isRecord(class record.Class) bool {
	return class == record.Audit || class == record.EnvoyLog || class == record.TykLog
}
