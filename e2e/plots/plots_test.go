package plots_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/plots"
)

func newGraph() plots.Graph {
	return plots.Graph{Title: "t <&>", X: "x", Y: "y", LogX: true, ZeroY: true, Marks: []float64{10}, Series: []plots.Series{
		{Name: "first", Points: []plots.Point{{1, 2}, {10, 4}, {100, 3}}, Dots: true},
		{Name: "empty"},
	}}
}

// The graph is XML, has the names of what it shows, and is the same each time.
func TestDraw(t *testing.T) {
	one, err := plots.Draw(newGraph())
	if err != nil {
		t.Fatal(err)
	}
	two, err := plots.Draw(newGraph())
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("the second time is different: %v", err)
	}
	for decoder := xml.NewDecoder(bytes.NewReader(one)); ; {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"<svg", "t &lt;&amp;&gt;", "first", "</svg>"} {
		if !strings.Contains(string(one), want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestDrawErrors(t *testing.T) {
	empty := newGraph()
	empty.Series = empty.Series[1:]
	zero := newGraph()
	zero.Series[0].Points[0].X = 0
	for want, g := range map[string]plots.Graph{"has no points": empty, "does not fit the scale": zero} {
		if _, err := plots.Draw(g); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
