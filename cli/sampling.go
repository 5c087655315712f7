package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"weft/chat"
)

// samplingFlags are the knobs of one generation. A flag that was not given
// leaves the default of chat.Sampling.
type samplingFlags struct {
	temperature, topP, minP         float64
	repetition, presence, frequency float64
	topK, maxTokens                 int
	seed                            uint64
	stop                            []string
}

// temperature is the command's default; all others are "off".
func (s *samplingFlags) register(c *cobra.Command, temperature float64) {
	f := c.Flags()
	f.Float64Var(&s.temperature, "temperature", temperature, "randomness; 0 always takes the likeliest token")
	f.Float64Var(&s.topP, "top-p", 1, "sample from the likeliest tokens that hold this share")
	f.IntVar(&s.topK, "top-k", 0, "sample from the k likeliest tokens; 0: all")
	f.Float64Var(&s.minP, "min-p", 0, "drop tokens below this share of the likeliest one")
	f.Float64Var(&s.repetition, "repetition-penalty", 1, "above 1 makes tokens seen before less likely")
	f.Float64Var(&s.presence, "presence-penalty", 0, "subtract from the logit of tokens generated before")
	f.Float64Var(&s.frequency, "frequency-penalty", 0, "subtract per time a token was generated before")
	f.Uint64Var(&s.seed, "seed", 0, "random seed; the same seed gives the same text (default: random)")
	f.IntVar(&s.maxTokens, "max-tokens", 0, "tokens to generate at most (default: up to the context)")
	f.StringArrayVar(&s.stop, "stop", nil, "text that ends the generation; may be given several times")
}

// request fills a chat.Request with the sampling of the flags.
func (s *samplingFlags) request(c *cobra.Command) (chat.Request, error) {
	if s.maxTokens < 0 {
		return chat.Request{}, &usageError{fmt.Errorf("%s: --max-tokens is %d, want 1 or more, or 0 for up to the context", c.Name(), s.maxTokens)}
	}
	r := chat.Request{
		Sampling: chat.Sampling{
			Temperature: &s.temperature, TopP: &s.topP, TopK: s.topK, MinP: s.minP,
			RepetitionPenalty: s.repetition, PresencePenalty: s.presence, FrequencyPenalty: s.frequency,
		},
		MaxTokens: s.maxTokens, Stop: s.stop, Logprobs: -1,
	}
	// A seed of 0 is a seed: only that it was given tells.
	if c.Flags().Changed("seed") {
		r.Sampling.Seed = &s.seed
	}
	return r, nil
}

// completion is what run and chat print with --json.
type completion struct {
	Text      string            `json:"text"`
	Reasoning string            `json:"reasoning_content,omitempty"`
	ToolCalls []chat.ToolCall   `json:"tool_calls,omitempty"`
	Finish    chat.FinishReason `json:"finish_reason"`
	Usage     *chat.Usage       `json:"usage,omitempty"`
}

// stream writes an answer as it comes and returns it whole. Reasoning stands in
// front, a tool call has a line of its own.
// What came before an error is in the result too.
func stream(w io.Writer, answer iter.Seq2[chat.Delta, error]) (completion, error) {
	var c completion
	for d, err := range answer {
		if err != nil {
			return c, err
		}
		text := d.Reasoning + d.Text
		if d.Reasoning != "" && c.Reasoning == "" {
			text = "[thinking] " + text
		}
		c.Reasoning += d.Reasoning
		// The answer stands apart from the thoughts in front of it.
		if d.Text != "" && c.Text == "" && c.Reasoning != "" {
			text = strings.TrimSuffix(text, d.Text) + "\n\n" + d.Text
		}
		if _, err := io.WriteString(w, text); err != nil {
			return c, err
		}
		c.Text += d.Text
		for _, call := range d.ToolCalls {
			if c.Text != "" || len(c.ToolCalls) > 0 {
				fmt.Fprintln(w)
			}
			fmt.Fprintf(w, "[%s %s]", call.Name, call.Arguments)
			c.ToolCalls = append(c.ToolCalls, call)
		}
		if d.Finish != "" {
			c.Finish, c.Usage = d.Finish, d.Usage
		}
	}
	return c, nil
}

// printCompletion streams an answer to standard output, or prints it as JSON.
// With --json nothing is printed before the end: it is one value.
func (e *env) printCompletion(answer iter.Seq2[chat.Delta, error]) error {
	if e.json {
		c, err := stream(io.Discard, answer)
		if err != nil {
			return err
		}
		return json.NewEncoder(e.out).Encode(c)
	}
	if _, err := stream(e.out, answer); err != nil {
		return err
	}
	_, err := fmt.Fprintln(e.out)
	return err
}

// keep copies an answer into m as it passes.
func keep(m *chat.Message, answer iter.Seq2[chat.Delta, error]) iter.Seq2[chat.Delta, error] {
	return func(yield func(chat.Delta, error) bool) {
		for d, err := range answer {
			m.Content += d.Text
			m.Reasoning += d.Reasoning
			m.ToolCalls = append(m.ToolCalls, d.ToolCalls...)
			if !yield(d, err) {
				return
			}
		}
	}
}
