package fidelity_test

import (
	"bytes"
	"io"
	"net"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// serveHTTP2 answers one stream and ends the connection. The pseudo headers are
// noted as HTTP/1.1 would write them, and trailers behind the fields.
func (u *upstream) serveHTTP2(conn net.Conn, r io.Reader) {
	_, _ = io.ReadFull(r, make([]byte, len(http2.ClientPreface)))
	framer := http2.NewFramer(conn, r)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	var a arrival
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = framer.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			a.addFields(f)
		case *http2.DataFrame:
			a.body += string(f.Data())
		}
		if f, ok := frame.(interface{ StreamEnded() bool }); ok && f.StreamEnded() {
			u.add(a)
			answerHTTP2(framer, frame.Header().StreamID)
			return
		}
	}
}

func (a *arrival) addFields(f *http2.MetaHeadersFrame) {
	if a.line == "" {
		a.line = f.PseudoValue("method") + " " + f.PseudoValue("path") + " HTTP/2"
		a.fields = append(a.fields, "host: "+f.PseudoValue("authority"))
	}
	for _, field := range f.RegularFields() {
		a.fields = append(a.fields, field.Name+": "+field.Value)
	}
}

func answerHTTP2(framer *http2.Framer, stream uint32) {
	var block bytes.Buffer
	_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"}) // a buffer takes all
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	_ = framer.WriteGoAway(stream, http2.ErrCodeNo, nil)
}
