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
)

// tourStops are the areas in the order in which they build on each other.
func tourStops() []stop {
	return []stop{
		{"tokenizer", "a tokenizer, learned from text", `A model reads tokens, not letters; byte-level BPE learns them by joining the pairs of pieces
that stand together most often. Here it learns from stories about an invented town, then cuts a sentence into its pieces.`, nil, (*tour).tokenizer},
		{"pretrain", "a model, trained from nothing", `Pretraining teaches random weights to guess the next token. Bits per byte on text held out from
training say how well it guesses: fewer are better, and the curve falls within seconds.`, []string{"tokenizer"}, (*tour).pretrain},
		{"sft", "fine-tuning on conversations", `Supervised fine-tuning shows the model whole conversations and lets it learn the assistant's words only.
The base model is seconds old, so expect the manners of an answer rather than the facts.`, []string{"tokenizer", "pretrain"}, (*tour).sft},
		{"sampling", "how the next token is chosen", `At temperature 0 the likeliest token is always taken, so the answer is always the same; above it, tokens are drawn.
A seed makes even that repeatable, and top-p leaves out the unlikely ones.`, nil, (*tour).sampling},
		{"serve", "serving, with the API that existing tools speak", `One process serves the page and an OpenAI-compatible API, streaming every token as it is made.
A paged cache and continuous batching let many clients share one model without slowing each other to a halt.`, nil, (*tour).serving},
		{"machine", "this machine, and what it could do", `Doctor measures the arithmetic and memory speed of this machine; bench holds the model's speed against that roofline.
On a shared machine compare the shares, not the speeds.`, nil, (*tour).machine},
	}
}

// pick is the first value, or on a quick tour the second.
func (t *tour) pick(whole, quick string) string {
	if t.quick {
		return quick
	}
	return whole
}

func (t *tour) tokenizer() error {
	if err := t.save("world.txt", "world", "corpus", "--seed", "1", "--bytes", t.pick("1000000", "60000")); err != nil {
		return err
	}
	if err := t.run("tok", "train", "world.txt", "--vocab", t.pick("1024", "320"), "--out", "tokenizer.json"); err != nil {
		return err
	}
	return t.feed("The baker sells bread on the market.", "tok", "encode", "--tokenizer", "tokenizer.json", "--pieces")
}

func (t *tour) pretrain() error {
	args := []string{"train", "world.txt", "--tokenizer", "tokenizer.json", "--depth", "2", "--dim", "64", "--heads", "2", "--seq", "512", "--lr", "0.004", "--out", "base"}
	if err := t.run(append(args, strings.Fields(t.pick("--budget 12s", "--steps 6 --batch-tokens 512"))...)...); err != nil {
		return err
	}
	return t.run("run", "base", "In the morning", "--echo", "--max-tokens", "40", "--seed", "1")
}

func (t *tour) sft() error {
	if err := t.save("chats.jsonl", "world", "chats", "--seed", "1", "--n", t.pick("2000", "40")); err != nil {
		return err
	}
	args := []string{"tune", "sft", "--base", "base", "--data", "chats.jsonl", "--lr", "0.002", "--out", "chat"}
	if err := t.run(append(args, strings.Fields(t.pick("--budget 10s", "--steps 4"))...)...); err != nil {
		return err
	}
	return t.run("run", "chat", "Who are you?", "--chat", "--max-tokens", "40", "--temperature", "0")
}

func (t *tour) sampling() error {
	const question = "Tell me a story."
	for _, flags := range []string{"--temperature 0", "--temperature 0.9 --seed 1", "--temperature 0.9 --seed 2 --top-p 0.9"} {
		if err := t.run(append([]string{"run", upModel, question, "--chat", "--max-tokens", "40"}, strings.Fields(flags)...)...); err != nil {
			return err
		}
	}
	return nil
}

func (t *tour) serving() error {
	return t.up(func(base string) error {
		if err := t.request("GET", base+"/models", ""); err != nil {
			return err
		}
		return t.request("POST", base+"/chat/completions",
			`{"messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 40, "temperature": 0, "stream": true}`)
	})
}

func (t *tour) machine() error {
	if err := t.run("doctor"); err != nil {
		return err
	}
	return t.run("bench", "--only", "serve", "--model", upModel, "--each", t.pick("300ms", "1ms"))
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
	from, to := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := t.command(ctx, "", to, args)
		to.CloseWithError(err) // ends the reader below, nil or not
		ended <- err
	}()
	var said bytes.Buffer
	base := ""
	in := bufio.NewScanner(from)
	for base == "" && in.Scan() {
		fmt.Fprintln(io.MultiWriter(t.visible(), &said), in.Text())
		if m := whereAt.FindStringSubmatch(in.Text()); m != nil {
			base = m[1]
		}
	}
	go io.Copy(io.Discard, from) // whatever else it says must not hold it up
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
func (t *tour) request(method, url, body string) error {
	line := "curl " + url
	if body != "" {
		line = fmt.Sprintf("curl -N %s -d '%s'", url, strings.ReplaceAll(body, "'", `'\''`))
	}
	t.show(line)
	req, err := http.NewRequestWithContext(t.ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return err
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
	return err
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
