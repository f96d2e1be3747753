// Package promtext writes metrics in the text format 0.0.4 of Prometheus.
//
// Prometheus' own client library is not used, because each module that a plugin links must have the same
// version as in the gateway.
package promtext

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// ContentType is the media type of the text.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Kind is a metric's type.
type Kind string

// The kinds of metrics.
const (
	Counter Kind = "counter"
	Gauge   Kind = "gauge"

	histogram Kind = "histogram"
)

// Text is a scrape's answer. The zero value is empty and ready.
type Text struct {
	buffer bytes.Buffer
	name   string // of the family that samples belong to
}

// Bytes gives the text.
func (t *Text) Bytes() []byte { return t.buffer.Bytes() }

// Family begins a metric; the next samples belong to it. Each name begins once.
func (t *Text) Family(name string, kind Kind, help string) {
	t.name = name
	t.writeLine("# HELP ", name, " ", helpEscapes.Replace(help))
	t.writeLine("# TYPE ", name, " ", string(kind))
}

// Sample writes a value. Labels are pairs: name, value, name, value.
func (t *Text) Sample(value float64, labels ...string) { t.writeSample("", value, labels) }

// Flag writes 1 for true and 0 for false.
func (t *Text) Flag(on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	t.Sample(value, labels...)
}

// Time writes a time, in seconds since 1970.
func (t *Text) Time(at time.Time, labels ...string) {
	t.Sample(float64(at.UnixMilli())/1000, labels...)
}

func (t *Text) writeSample(suffix string, value float64, labels []string) {
	t.writeLine(t.name, suffix, formatLabels(labels), " ", formatNumber(value))
}

func (t *Text) writeLine(parts ...string) {
	for _, part := range parts {
		t.buffer.WriteString(part)
	}
	t.buffer.WriteByte('\n')
}

// Characters that would end a line or a quoted value are escaped.
var (
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func formatLabels(labels []string) string {
	if len(labels) == 0 {
		return ""
	}
	var pairs []string
	for i := 0; i+1 < len(labels); i += 2 {
		pairs = append(pairs, labels[i]+`="`+labelEscapes.Replace(labels[i+1])+`"`)
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

func formatNumber(value float64) string { return strconv.FormatFloat(value, 'g', -1, 64) }
