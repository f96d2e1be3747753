package rehearse

import "fmt"

// Sizes of plots, in units of their view box.
const (
	plotWidth, plotHeight = 720, 120
	bins                  = 60 // parts of the time of a plot
	labelWidth            = 190
	barHeight, barGap     = 22, 8
)

// Classes of answers, from the bottom of a bar to its top.
var classes = []string{"allowed", "limited", "denied", "other"}

// answerPlot shows the answers to a load over time.
type answerPlot struct {
	Title, Label  string
	Width, Height int
	Most          int     // requests in the highest bar
	Seconds       float64 // of the whole axis
	Bars          []bar
}

type bar struct {
	X, Y, Width, Height float64
	Class, Title        string
}

func classOf(p Point, limits map[int]bool) string {
	switch {
	case p.Status >= 200 && p.Status < 300:
		return "allowed"
	case limits[p.Status]:
		return "limited"
	case p.Status == 401 || p.Status == 403 || p.Status == 400:
		return "denied"
	}
	return "other"
}

// answerPlots draws all loads on one scale of time. A replay has too many loads: it has one plot.
func (r *Report) answerPlots() (plots []answerPlot) {
	if r.Replay != nil {
		var all []Point
		for _, l := range r.Loads {
			all = append(all, l.Points...)
		}
		return []answerPlot{newAnswerPlot("all requests", all, r.Seconds, map[int]bool{429: true})}
	}
	for _, l := range r.Loads {
		limits := map[int]bool{429: true}
		for _, limit := range l.Limits {
			limits[limit.Status] = true
		}
		plots = append(plots, newAnswerPlot(l.Name, l.Points, r.Seconds, limits))
	}
	return plots
}

func newAnswerPlot(title string, points []Point, seconds float64, limits map[int]bool) answerPlot {
	p := answerPlot{Title: title, Width: plotWidth, Height: plotHeight, Seconds: max(seconds, 0.001)}
	var counts [bins]map[string]int
	totals := map[string]int{}
	for _, point := range points {
		bin := min(bins-1, int(point.Seconds/p.Seconds*bins))
		if counts[bin] == nil {
			counts[bin] = map[string]int{}
		}
		class := classOf(point, limits)
		counts[bin][class]++
		totals[class]++
		sum := 0
		for _, n := range counts[bin] {
			sum += n
		}
		p.Most = max(p.Most, sum)
	}
	p.Label = title + ":"
	for _, class := range classes {
		if totals[class] > 0 {
			p.Label += fmt.Sprintf(" %d %s", totals[class], class)
		}
	}
	for bin, count := range counts {
		y := float64(plotHeight)
		for _, class := range classes {
			if count[class] == 0 {
				continue
			}
			height := float64(count[class]) / float64(p.Most) * plotHeight
			y -= height
			width := float64(plotWidth) / bins
			p.Bars = append(p.Bars, bar{
				X: float64(bin) * width, Y: y, Width: width - 1, Height: height, Class: class,
				Title: fmt.Sprintf("%.2f s: %d %s", float64(bin)*p.Seconds/bins, count[class], class),
			})
		}
	}
	return p
}

// layerPlot shows the share of each layer in the latency of callers.
type layerPlot struct {
	Width, Height, LabelWidth int
	Lines                     []layerLine
}

type layerLine struct {
	Label string
	TextY float64
	Bars  []bar
}

func newLayerPlot(rows []*Row) layerPlot {
	p := layerPlot{Width: plotWidth + labelWidth, LabelWidth: labelWidth}
	most := 0.0
	sum := func(l Latency) (total float64) {
		for _, layer := range layers {
			total += l.Layers[layer]
		}
		return total
	}
	for _, row := range rows {
		most = max(most, sum(row.Latency), sum(row.Idle))
	}
	add := func(label string, l Latency) {
		if l.Count == 0 || most == 0 {
			return
		}
		y := float64(len(p.Lines)) * (barHeight + barGap)
		line := layerLine{Label: label, TextY: y + barHeight*0.7}
		x := float64(labelWidth)
		for _, layer := range layers {
			width := l.Layers[layer] / most * plotWidth
			line.Bars = append(line.Bars, bar{X: x, Y: y, Width: width, Height: barHeight, Class: layer, Title: fmt.Sprintf("%s: %v ms", layer, l.Layers[layer])})
			x += width
		}
		p.Lines = append(p.Lines, line)
	}
	for _, row := range rows {
		add(row.Caller+", "+row.API, row.Latency)
		add("without load", row.Idle)
	}
	p.Height = len(p.Lines)*(barHeight+barGap) + 1
	return p
}

// ViewWidth is the width with the numbers at the left.
func (p answerPlot) ViewWidth() int { return p.Width + 52 }
