// Package promtext writes metrics as Prometheus reads them, in the text format
// 0.0.4. Prometheus' own client library is not used: whatever a plugin links must
// have the very version that the gateway has.
package promtext

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// ContentType is that of the text.
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

// Bytes is what was written.
func (t *Text) Bytes() []byte { return t.buffer.Bytes() }

// Family begins a metric; samples that follow are its. Each name begins once.
func (t *Text) Family(name string, kind Kind, help string) {
	t.name = name
	t.line("# HELP ", name, " ", helpEscapes.Replace(help))
	t.line("# TYPE ", name, " ", string(kind))
}

// Sample writes a value. Labels are pairs: name, value, name, value.
func (t *Text) Sample(value float64, labels ...string) { t.sample("", value, labels) }

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

func (t *Text) sample(suffix string, value float64, labels []string) {
	t.line(t.name, suffix, braces(labels), " ", number(value))
}

func (t *Text) line(parts ...string) {
	for _, part := range parts {
		t.buffer.WriteString(part)
	}
	t.buffer.WriteByte('\n')
}

// What would end a line or a quoted value has to be written in another way.
var (
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func braces(labels []string) string {
	if len(labels) == 0 {
		return ""
	}
	var pairs []string
	for i := 0; i+1 < len(labels); i += 2 {
		pairs = append(pairs, labels[i]+`="`+labelEscapes.Replace(labels[i+1])+`"`)
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

func number(value float64) string { return strconv.FormatFloat(value, 'g', -1, 64) }
