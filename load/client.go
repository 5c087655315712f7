package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// The endpoints of the protocol.
const (
	Chat        = "chat"
	Completions = "completions"
)

// Client asks one server. URL and Model are required.
type Client struct {
	URL       string        // of the API, as http://127.0.0.1:8080/v1
	Model     string        // as the server calls it
	API       string        // Chat or Completions; Chat
	Key       string        // sent as a bearer token; none
	Timeout   time.Duration // of one request; none
	IgnoreEOS bool          // ask for exactly the tokens wanted, which OpenAI's own servers refuse; off
	HTTP      *http.Client  // connections; http.DefaultClient
}

// Sample is what became of one request. Times are since the step began.
type Sample struct {
	Job
	Due, Sent time.Duration   // when it should have been, and was, sent
	First     time.Duration   // the first text came
	End       time.Duration   // the stream ended
	Gaps      []time.Duration // between one piece of text and the next
	In, Out   int             // tokens, as the server counts them; where it does not, Out is the pieces
	Cached    int             // of In, found in the server's cache
	Kind      string          // of the error; "": none
	Detail    string          // the error in the server's words

	begun func() // told when the first text comes; nobody
}

// TTFT is the wait for the first text, from when the request was due.
func (s *Sample) TTFT() time.Duration { return s.First - s.Due }

// E2E is the wait for the end, from when the request was due.
func (s *Sample) E2E() time.Duration { return s.End - s.Due }

// Queue is how long it was held back on this side.
func (s *Sample) Queue() time.Duration { return s.Sent - s.Due }

// TPOT is the mean time between two tokens; 0 where there are no two.
func (s *Sample) TPOT() time.Duration {
	if s.Out < 2 {
		return 0
	}
	return (s.End - s.First) / time.Duration(s.Out-1)
}

// request is a body of either endpoint.
type request struct {
	Model       string         `json:"model"`
	Messages    []message      `json:"messages,omitempty"`
	Prompt      string         `json:"prompt,omitempty"`
	MaxTokens   int            `json:"max_tokens"`
	Temperature float64        `json:"temperature"`
	Stream      bool           `json:"stream"`
	Options     *streamOptions `json:"stream_options,omitempty"`
	IgnoreEOS   bool           `json:"ignore_eos,omitempty"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// event is what one line of a stream may hold, of either endpoint.
type event struct {
	Choices []struct {
		Text  string `json:"text"`
		Delta struct {
			Content   string            `json:"content"`
			Reasoning string            `json:"reasoning_content"`
			Calls     []json.RawMessage `json:"tool_calls"`
		} `json:"delta"`
		Finish *string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Details    *struct {
			Cached int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

// do sends a prompt and follows its stream. start is when the step began.
func (c *Client) do(ctx context.Context, start time.Time, s *Sample, prompt string) {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	resp, err := c.send(ctx, prompt, s.Output)
	if err != nil {
		s.fail(ctx, KindRefused, err)
		s.End = time.Since(start)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		s.fail(ctx, fmt.Sprintf("http %d", resp.StatusCode), errors.New(strings.TrimSpace(string(text))))
		s.End = time.Since(start)
		return
	}
	s.follow(ctx, resp.Body, func() time.Duration { return time.Since(start) })
}

// fail notes an error; that the time was up goes before what it led to.
func (s *Sample) fail(ctx context.Context, kind string, err error) {
	s.Kind, s.Detail = kind, err.Error()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		s.Kind = KindTimeout
	}
}

func (c *Client) send(ctx context.Context, prompt string, tokens int) (*http.Response, error) {
	r := request{Model: c.Model, MaxTokens: tokens, Stream: true, Options: &streamOptions{true}, IgnoreEOS: c.IgnoreEOS}
	path := "/chat/completions"
	if c.API == Completions {
		r.Prompt, path = prompt, "/completions"
	} else {
		r.Messages = []message{{"user", prompt}}
	}
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/json")
	return c.roundTrip(q)
}

func (c *Client) roundTrip(q *http.Request) (*http.Response, error) {
	if c.Key != "" {
		q.Header.Set("Authorization", "Bearer "+c.Key)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	return client.Do(q)
}

// maxEvent bounds a line of a stream, in bytes.
const maxEvent = 1 << 20

// follow reads a stream of server-sent events to its end.
func (s *Sample) follow(ctx context.Context, body io.Reader, now func() time.Duration) {
	defer func() { s.End = max(s.End, s.First) }()
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 16<<10), maxEvent)
	var last time.Duration
	pieces, done := 0, false
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue // an empty line, a comment, a field that we do not need
		}
		t := now()
		if data = strings.TrimSpace(data); data == "[DONE]" {
			done = true
			break
		}
		var e event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			s.fail(ctx, KindProtocol, fmt.Errorf("%.80q: %w", data, err))
			s.End = t
			return
		}
		if len(e.Error) > 0 && string(e.Error) != "null" {
			s.fail(ctx, KindEvent, errors.New(string(e.Error)))
			s.End = t
			return
		}
		text, finished := e.text()
		if text || finished && pieces == 0 { // tokens without text still end
			if pieces++; pieces == 1 {
				s.First = t
				if s.begun != nil {
					s.begun()
				}
			} else {
				s.Gaps = append(s.Gaps, t-last)
			}
			last, s.End = t, t
		}
		if pieces > maxLength {
			s.fail(ctx, KindProtocol, fmt.Errorf("it goes on after %d pieces of text", pieces))
			s.End = t
			return
		}
		if e.Usage != nil {
			s.In, s.Out = e.Usage.Prompt, e.Usage.Completion
			if e.Usage.Details != nil {
				s.Cached = e.Usage.Details.Cached
			}
		}
	}
	if s.Out == 0 {
		s.Out = pieces
	}
	switch err := lines.Err(); {
	case err != nil:
		s.fail(ctx, KindCut, err)
	case !done || pieces == 0:
		s.fail(ctx, KindCut, fmt.Errorf("it ended after %d pieces of text, without [DONE]", pieces))
	}
	if s.Kind != "" {
		s.End = now()
	}
}

// text says whether an event brings something of the answer, and whether it is
// the last that does.
func (e *event) text() (some, finished bool) {
	for _, c := range e.Choices {
		some = some || c.Text != "" || c.Delta.Content != "" || c.Delta.Reasoning != "" || len(c.Delta.Calls) > 0
		finished = finished || c.Finish != nil && *c.Finish != ""
	}
	return some, finished
}

// Models asks which models the server has.
func (c *Client) Models(ctx context.Context) ([]string, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+"/models", nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrServer, err)
	}
	resp, err := c.roundTrip(q)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrServer, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("%w: %s/models: %w", ErrServer, c.URL, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s/models: %s: %.200s", ErrServer, c.URL, resp.Status, text)
	}
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%w: %s/models: %w", ErrServer, c.URL, err)
	}
	var names []string
	for _, m := range list.Data {
		names = append(names, m.ID)
	}
	return names, nil
}
