package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
)

// writeWait is how long one event may take to leave: a client that stops
// reading must not hold cache pages for ever. A stream as a whole has no limit.
const writeWait = 30 * time.Second

// stream writes server-sent events: "data: <json>" and an empty line each. The
// headers go out with the first event. The first failed write sticks.
type stream struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	begun bool
	err   error
}

// newStream prepares a stream; nothing is sent yet, so an error can still have
// a status of its own.
func newStream(w http.ResponseWriter) *stream {
	return &stream{w: w, rc: http.NewResponseController(w)}
}

// send writes one event.
func (s *stream) send(v any) {
	var b bytes.Buffer
	b.WriteString("data: ")
	enc := json.NewEncoder(&b) // ends with one newline
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("server: an event that JSON cannot hold: " + err.Error())
	}
	b.WriteByte('\n')
	s.write(b.Bytes())
}

// done writes the end mark of the OpenAI protocol.
func (s *stream) done() { s.write([]byte("data: [DONE]\n\n")) }

// comment writes a line that clients skip.
func (s *stream) comment(text string) { s.write([]byte(": " + text + "\n\n")) }

// write sends bytes and flushes them: a token that waits in a buffer is late.
func (s *stream) write(b []byte) {
	if s.err != nil {
		return
	}
	if !s.begun {
		h := s.w.Header()
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no") // nginx would gather events
		s.w.WriteHeader(http.StatusOK)
		s.begun = true
	}
	s.rc.SetWriteDeadline(time.Now().Add(writeWait)) // not every test writer has one
	if _, s.err = s.w.Write(b); s.err == nil {
		s.err = s.rc.Flush()
	}
}
