package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"weft/chat"
	"weft/infer/engine"
	"weft/llm/local"
)

// chatCmd is a conversation in the terminal, a line for a message.
func (e *env) chatCmd() *cobra.Command {
	var s samplingFlags
	var o engineOptions
	var system, tools string
	c := &cobra.Command{
		Use:   "chat MODEL",
		Short: "Talk to a model in the terminal",
		Long: `Chat reads one message per line and streams the answers. A base model has no
chat template, so there each line is a text that the model continues.

With --tools the model may call the tools of a JSON file, a list as in the field
"tools" of an OpenAI request. You are the tool: the next line is its result.

  /reset   forget the conversation      Ctrl-C   stop the answer
  /quit    leave (or Ctrl-D)`,
		Args:              exactArgs("MODEL"),
		ValidArgsFunction: modelArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			ask, err := s.request(cmd)
			if err != nil {
				return err
			}
			return e.withModel(args[0], o, func(l *loaded, m *local.Model, eng *engine.Engine) error {
				if tools != "" {
					if ask.Tools, err = readTools(tools); err != nil {
						return err
					}
				}
				ask.Adapter = o.adapter()
				t := &talk{env: e, model: m, base: l.tmpl == nil, ask: ask, system: system}
				if t.base {
					// A base model has no end of turn: without a bound it would fill its context.
					if t.ask.MaxTokens == 0 {
						t.ask.MaxTokens = min(baseTokens, eng.Window()/2)
					}
					fmt.Fprintf(e.err, "%s is a base model: it continues what you write.\n", l.name)
				}
				return t.loop(cmd.Context())
			})
		},
	}
	s.register(c, 0.8)
	engineFlags(c, &o)
	loraFlags(c, &o)
	c.Flags().StringVar(&system, "system", "", "system message of the conversation")
	c.Flags().StringVar(&tools, "tools", "", "JSON file of the tools that the model may call")
	return c
}

// talk is one conversation at the terminal.
type talk struct {
	env     *env
	model   chat.Model
	base    bool
	system  string
	ask     chat.Request // sampling and tools, without a prompt
	history []chat.Message
	calls   []chat.ToolCall // those that wait for their result
}

// readTools reads a JSON list of tools.
func readTools(path string) ([]chat.Tool, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("chat: --tools: %w", err)
	}
	var tools []chat.Tool
	if err := json.Unmarshal(data, &tools); err != nil {
		return nil, fmt.Errorf("chat: --tools %s: want a JSON list of tools: %w", path, err)
	}
	return tools, nil
}

// baseTokens bounds what a base model, which has no end of turn, writes to one
// line when --max-tokens is not given and its context takes that.
const baseTokens = 200

// maxLine bounds one message, in bytes.
const maxLine = 1 << 20

// loop reads lines until the input ends or /quit.
func (t *talk) loop(ctx context.Context) error {
	t.reset()
	lines := bufio.NewScanner(t.env.in)
	// A pasted line may be long, but not without end.
	lines.Buffer(nil, maxLine)
	for {
		if isTerminal(t.env.out) && !t.env.json {
			fmt.Fprint(t.env.out, t.prompt())
		}
		if !lines.Scan() {
			if errors.Is(lines.Err(), bufio.ErrTooLong) {
				return fmt.Errorf("chat: a line is longer than %d bytes", maxLine)
			}
			return lines.Err()
		}
		switch line := strings.TrimSpace(lines.Text()); line {
		case "":
		case "/quit", "/exit":
			return nil
		case "/reset":
			t.reset()
		default:
			// A typo in a command should not be sent to the model.
			if strings.HasPrefix(line, "/") {
				fmt.Fprintf(t.env.err, "unknown command %q; there are /reset and /quit\n", line)
				continue
			}
			if err := t.turn(ctx, line); err != nil {
				return err
			}
		}
	}
}

// prompt says whose line is next: the user's, or the result of a tool.
func (t *talk) prompt() string {
	if len(t.calls) > 0 {
		return t.calls[0].Name + " = "
	}
	return "> "
}

// reset begins a conversation, with the system message if there is one.
func (t *talk) reset() {
	t.history, t.calls = nil, nil
	if t.system != "" {
		t.history = []chat.Message{{Role: chat.System, Content: t.system}}
	}
}

// turn answers one line, once no tool call waits for its result. Ctrl-C stops
// the answer and keeps what came. A question that does not fit the context any
// more is forgotten, the talk goes on.
func (t *talk) turn(ctx context.Context, line string) error {
	turn, cancel := context.WithCancel(ctx)
	defer cancel()
	// While an answer streams, Ctrl-C is for it; after that for the program again.
	t.env.interrupt.Store(&cancel)
	defer t.env.interrupt.Store(nil)

	r := t.ask
	if t.base {
		r.Prompt = line
	} else {
		if t.hear(line); len(t.calls) > 0 {
			return nil
		}
		r.Messages = t.history
	}
	said := chat.Message{Role: chat.Assistant}
	err := t.env.printCompletion(keep(&said, t.model.Generate(turn, r)))
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		fmt.Fprintln(t.env.out, " [stopped]")
		err = nil
	}
	var full *chat.ContextError
	if errors.As(err, &full) {
		fmt.Fprintf(t.env.err, "%v, or /reset to forget the conversation\n", full)
		// Back to before the last question, with the calls and results that followed it.
		for n := len(t.history) - 1; n >= 0; n-- {
			if t.history[n].Role == chat.User {
				t.history = t.history[:n]
				break
			}
		}
		return nil
	}
	if !t.base {
		t.history, t.calls = append(t.history, said), said.ToolCalls
	}
	return err
}

// hear takes down a line: the result of the first call that waits, or what the
// user says.
func (t *talk) hear(line string) {
	m := chat.Message{Role: chat.User, Content: line}
	if len(t.calls) > 0 {
		m.Role, m.ToolCallID = chat.ToolResult, t.calls[0].ID
		t.calls = t.calls[1:]
	}
	t.history = append(t.history, m)
}
