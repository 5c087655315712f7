package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"weft/chat"
	"weft/text/corpus/world"
)

// The stops that speak to a server over HTTP.

// serving asks what the server has, then streams one answer.
func (t *tour) serving() error {
	return t.up(func(base string) error {
		if _, err := t.request("GET", base+"/models", ""); err != nil {
			return err
		}
		_, err := t.request("POST", base+"/chat/completions",
			`{"messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 40, "temperature": 0, "stream": true}`)
		return err
	})
}

// tools plays both sides of a call: the client that offers the tools of the
// world and runs them, and the model that wants one called.
func (t *tour) tools() error {
	w := world.New(tinySeed)
	var ask struct {
		Messages    []chat.Message `json:"messages"`
		Tools       []chat.Tool    `json:"tools"`
		MaxTokens   int            `json:"max_tokens"`
		Temperature float64        `json:"temperature"`
	}
	for item := range w.Items(world.UseTool, world.Held, 1) {
		ask.Messages, ask.Tools, ask.MaxTokens = item.Messages[:len(item.Messages)-1], item.Tools, 60
	}
	return t.up(func(base string) error {
		// Once for the call, once for the answer to its result. A call again in the second
		// is shown and not run.
		for range 2 {
			body, err := json.Marshal(ask)
			if err != nil {
				return err
			}
			answer, err := t.request("POST", base+"/chat/completions", string(body))
			if err != nil {
				return err
			}
			var reply struct {
				Choices []struct{ Message chat.Message }
			}
			if err := json.Unmarshal([]byte(answer), &reply); err != nil {
				return fmt.Errorf("the answer is no chat completion: %w", err)
			}
			if len(reply.Choices) == 0 || len(reply.Choices[0].Message.ToolCalls) == 0 {
				return nil // it answered in words
			}
			said := reply.Choices[0].Message
			call := said.ToolCalls[0]
			result, err := w.CallTool(call)
			if err != nil {
				result = err.Error() // the model's fault, and its to read
			}
			t.say("\nthe client runs %s %s, which says: %s\n", call.Name, call.Arguments, result)
			ask.Messages = append(ask.Messages, said, chat.Message{Role: chat.ToolResult, ToolCallID: call.ID, Content: result})
		}
		return nil
	})
}

// whereAt finds the address that a server prints.
var whereAt = regexp.MustCompile(`OPENAI_BASE_URL=(\S+)`)

// up shows `weft up` and serves while fn runs.
func (t *tour) up(fn func(base string) error) error {
	args := []string{"up", "--addr", "127.0.0.1:0", "--open=false"}
	line := shellLine(args...)
	t.show(line)
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	// The command prints its address into the pipe when it listens: no port is guessed, and
	// nothing is polled.
	from, to := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := t.command(ctx, "", to, args)
		to.CloseWithError(err) // ends the reader below, nil or not
		ended <- err
	}()
	var said bytes.Buffer
	out := io.MultiWriter(t.visible(), &said)
	in, base := bufio.NewReader(from), ""
	// Up to the address, or to the end if the server did not come up.
	for line, err := "", error(nil); base == "" && err == nil; {
		line, err = in.ReadString('\n')
		io.WriteString(out, line)
		if m := whereAt.FindStringSubmatch(line); m != nil {
			base = m[1]
		}
	}
	io.CopyN(out, in, int64(in.Buffered())) // the rest of what came in one piece
	go io.Copy(io.Discard, in)              // whatever else it says must not hold it up
	var err error
	if base != "" {
		err = fn(base)
	}
	cancel()
	failed := <-ended
	t.lines = append(t.lines, tourLine{line, said.String()})
	return errors.Join(err, failed)
}

// request shows a request as curl would send it, sends it and prints the
// answer: of a stream the first events as they are, then the text.
func (t *tour) request(method, url, body string) (answer string, err error) {
	line := "curl " + url
	if body != "" {
		line = fmt.Sprintf("curl -N %s -d '%s'", url, strings.ReplaceAll(body, "'", `'\''`))
	}
	t.show(line)
	req, err := http.NewRequestWithContext(t.ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var said bytes.Buffer
	out := io.MultiWriter(t.visible(), &said)
	if resp.Header.Get("Content-Type") == "application/json" {
		_, err = io.Copy(out, resp.Body)
	} else {
		err = printEvents(out, resp.Body)
	}
	t.lines = append(t.lines, tourLine{line, said.String()})
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %s", url, resp.Status)
	}
	return said.String(), err
}

// shownEvents is how many events of a stream are printed as they came.
const shownEvents = 3

// printEvents prints the first events of a chat stream, and the text of all.
func printEvents(out io.Writer, stream io.Reader) error {
	in := bufio.NewScanner(stream)
	var text strings.Builder
	for n := 0; in.Scan(); {
		data, ok := strings.CutPrefix(in.Text(), "data: ")
		if !ok {
			continue
		}
		if n++; n <= shownEvents {
			fmt.Fprintln(out, in.Text())
		}
		var event struct {
			Choices []struct{ Delta struct{ Content string } }
		}
		if json.Unmarshal([]byte(data), &event) == nil && len(event.Choices) > 0 {
			text.WriteString(event.Choices[0].Delta.Content)
		}
	}
	fmt.Fprintf(out, "... and so on; put together:\n%s\n", strings.TrimSpace(text.String()))
	return in.Err()
}
