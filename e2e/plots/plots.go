// Package plots draws line graphs as SVG. The same values give the same bytes.
package plots

import (
	"bytes"
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Graph is one image.
type Graph struct {
	Title, X, Y string
	Series      []Series
	Marks       []float64 // values of X with a vertical line
	LogX, LogY  bool      // logarithmic scales: all values are above 0
	ZeroY       bool      // the scale begins at 0
}

// Series is one line.
type Series struct {
	Name   string
	Points []Point // in the order of X
	Dots   bool    // mark each point
}

// Point is one value.
type Point struct{ X, Y float64 }

// Colours that people with colour blindness can tell apart (Okabe and Ito).
var colours = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x00, 0x00, 0x00, 0xff}, {0x99, 0x99, 0x99, 0xff},
}

const width, height = 18 * vg.Centimeter, 9 * vg.Centimeter

// Draw gives the SVG. It is an error if no series has a point, or if a value does not fit the scale.
func Draw(g Graph) ([]byte, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = g.Title, g.X, g.Y
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		style.Font.Variant = "Sans"
	}
	p.Add(plotter.NewGrid())
	p.Legend.Top, p.Legend.Left = true, true
	drawn := false
	for i, s := range g.Series {
		if len(s.Points) == 0 {
			continue
		}
		drawn = true
		points := make(plotter.XYs, len(s.Points))
		for j, point := range s.Points {
			if g.LogX && point.X <= 0 || g.LogY && point.Y <= 0 || math.IsNaN(point.Y) {
				return nil, fmt.Errorf("graph %q, series %q: the point %v does not fit the scale", g.Title, s.Name, point)
			}
			points[j] = plotter.XY(point)
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = colours[i%len(colours)], vg.Points(1.5)
		line.Dashes = plotDashes(i / len(colours))
		p.Add(line)
		p.Legend.Add(s.Name, line)
		if s.Dots {
			dots, err := plotter.NewScatter(points)
			if err != nil {
				return nil, err
			}
			dots.Color, dots.Shape, dots.Radius = line.Color, draw.CircleGlyph{}, vg.Points(2)
			p.Add(dots)
		}
	}
	if !drawn {
		return nil, fmt.Errorf("graph %q has no points", g.Title)
	}
	setScales(p, g)
	addMarks(p, g.Marks)
	canvas := vgsvg.New(width, height)
	p.Draw(draw.New(canvas))
	var out bytes.Buffer
	_, err := canvas.WriteTo(&out)
	return out.Bytes(), err
}

// plotDashes distinguishes series beyond the number of colours.
func plotDashes(round int) []vg.Length {
	if round == 0 {
		return nil
	}
	return []vg.Length{vg.Points(float64(2 * round)), vg.Points(2)}
}

func setScales(p *plot.Plot, g Graph) {
	if g.LogX {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	if g.LogY {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	if g.ZeroY {
		p.Y.Min = 0
	}
	if p.Y.Max == p.Y.Min {
		p.Y.Max = p.Y.Min + 1
	}
	if !g.LogY {
		p.Y.Max += (p.Y.Max - p.Y.Min) / 4 // room for the legend
	}
}

// addMarks draws vertical lines over the whole height.
func addMarks(p *plot.Plot, marks []float64) {
	for _, x := range marks {
		line, err := plotter.NewLine(plotter.XYs{{X: x, Y: p.Y.Min}, {X: x, Y: p.Y.Max}})
		if err != nil {
			continue // only for values that are no numbers
		}
		line.Color, line.Width = color.RGBA{0xbb, 0xbb, 0xbb, 0xff}, vg.Points(0.5)
		p.Add(line)
	}
}
