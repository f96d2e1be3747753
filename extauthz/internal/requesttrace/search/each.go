package search

import (
	"context"

	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/record"
)

// ForEach visits each audit record that the query asks for, and counts what was read. Every source is read once.
func ForEach(ctx context.Context, sources []Source, query Query, progress func(read int64), visit func(record.Record)) (Read, error) {
	f := finder{query: query, needles: query.findNeedles(), scanner: scanner{progress: progress}}
	for _, source := range sources {
		f.count.Sources++
		var o order
		err := f.scanSource(ctx, source, func(b block) {
			f.visitBlock(source.Name, b, &o, func(_ string, _ int, object []byte, class record.Class) {
				if class == record.Audit {
					f.parseRecord(object, class, visit)
				}
			})
		})
		if err != nil {
			return f.count, err
		}
	}
	return f.count, nil
}
