package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weft/chat"
	"weft/text/corpus"
	"weft/text/corpus/world"
)

// worldCmd prints the small invented world that weft-tiny learns from.
func (e *env) worldCmd() *cobra.Command {
	return group("world", "Print the small invented world of weft-tiny; score models on it",
		e.worldSampleCmd(), e.worldCorpusCmd(), e.worldQACmd(), e.worldChatsCmd(), e.worldToolsCmd(), e.worldPrefsCmd(), e.worldPassagesCmd(),
		e.scoreCmd(), e.cardCmd())
}

// worldFlags choose what is printed.
// A zero level means all, a nil tasks the command's own.
type worldFlags struct {
	name  string // of the command, for errors
	seed  uint64
	n     int
	split string
	tasks []string
	level int
	text  bool
}

// register adds --seed and --n; how many there are by default.
func (f *worldFlags) register(c *cobra.Command, n int) {
	f.name = "world " + c.Name()
	c.Flags().Uint64Var(&f.seed, "seed", 1, "which world")
	c.Flags().IntVar(&f.n, "n", n, "how many")
	c.Flags().BoolVar(&f.text, "text", false, "for reading, instead of one JSON object per line")
}

// registerSplit adds --split, where both halves have what the command prints.
func (f *worldFlags) registerSplit(c *cobra.Command) {
	c.Flags().StringVar(&f.split, "split", string(world.Train), "train, or held: other names and other phrasings, never in the corpus or the chats")
}

// which says what the default is.
func (f *worldFlags) registerTasks(c *cobra.Command, which string) {
	c.Flags().StringSliceVar(&f.tasks, "task", nil, "tasks, with commas between (default: "+which+")")
	c.Flags().IntVar(&f.level, "level", 0, "only this difficulty, from 1 (default: all)")
}

// check returns an error of usage that names the flag and the fix.
func (f *worldFlags) check(tasks []world.Task) ([]world.Task, error) {
	wrong := func(format string, args ...any) error {
		return &usageError{fmt.Errorf(f.name+": "+format, args...)}
	}
	switch {
	case f.n < 0:
		return nil, wrong("--n is %d, want 0 or more", f.n)
	case f.level < 0:
		return nil, wrong("--level is %d, want 1 or more (0: all)", f.level)
	case f.split != "" && f.split != string(world.Train) && f.split != string(world.Held):
		return nil, wrong("--split is %q, want %s or %s", f.split, world.Train, world.Held)
	}
	if len(f.tasks) == 0 {
		return tasks, nil
	}
	var names []string
	for _, t := range tasks {
		names = append(names, string(t))
	}
	var chosen []world.Task
	for _, t := range f.tasks {
		if !slices.Contains(names, t) {
			return nil, wrong("--task: unknown task %q%s; there are %s", t, didYouMean(t, names), strings.Join(names, ", "))
		}
		chosen = append(chosen, world.Task(t))
	}
	return chosen, nil
}

// write prints values, one JSON object per line or each as show writes it.
func write[T any](e *env, text bool, list iter.Seq[T], show func(T) string) error {
	// Buffered: a corpus is many small writes. <, > and & stay as they are, since this is
	// text to learn from.
	w := bufio.NewWriter(e.out)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for v := range list {
		var err error
		if text && !e.json {
			_, err = w.WriteString(show(v) + "\n")
		} else {
			err = enc.Encode(v)
		}
		if err != nil {
			return err
		}
	}
	return w.Flush()
}

// document is a row of the corpus, as `weft train` reads jsonl.
type document struct {
	Text string `json:"text"`
}

// documents are what the world is learned from: of about size bytes together, and at
// most n of them, unless that is 0.
func documents(w *world.World, size, n int) iter.Seq[document] {
	return func(yield func(document) bool) {
		count := 0
		for text := range w.Corpus(size) {
			if count++; !yield(document{text}) || count == n {
				return
			}
		}
	}
}

// worldCorpusCmd prints the corpus as it is made: any size takes the same memory.
func (e *env) worldCorpusCmd() *cobra.Command {
	var seed uint64
	var size, n int
	var lines bool
	c := &cobra.Command{
		Use:   "corpus",
		Short: "Print text to pretrain on, the same for the same seed",
		Long: "Corpus prints documents about the town, with " + corpus.Separator + ` between them, or as jsonl
with a field "text". Every fact of the town comes again and again, always in
other words; people, shops and places of the held-out half never do, so there is
no --split.`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case size < 0:
				return &usageError{fmt.Errorf("world corpus: --bytes is %d, want 0 or more", size)}
			case n < 0:
				return &usageError{fmt.Errorf("world corpus: --n is %d, want 0 or more", n)}
			case n > 0 && !cmd.Flags().Changed("bytes"):
				size = math.MaxInt // as many bytes as the documents have
			}
			return write(e, !lines, documents(world.New(seed), size, n), func(d document) string { return d.Text + "\n" + corpus.Separator })
		},
	}
	c.Flags().Uint64Var(&seed, "seed", 1, "which world")
	c.Flags().IntVar(&size, "bytes", 100_000, "about how many bytes")
	c.Flags().IntVar(&n, "n", 0, "how many documents, at most (default: as --bytes says)")
	c.Flags().BoolVar(&lines, "jsonl", false, `one JSON object with "text" per line`)
	return c
}

// worldChatsCmd prints what is trained on, and so has no held half.
func (e *env) worldChatsCmd() *cobra.Command {
	var f worldFlags
	c := &cobra.Command{
		Use:   "chats",
		Short: "Print conversations as jsonl, for `weft tune sft`",
		Args:  exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			if _, err := f.check(nil); err != nil {
				return err
			}
			return write(e, f.text, world.New(f.seed).Chats(f.n), showItem)
		},
	}
	f.register(c, 100)
	return c
}

// worldQACmd and worldToolsCmd print the items that `weft world score` asks, in its order.
func (e *env) worldQACmd() *cobra.Command {
	var f worldFlags
	c := &cobra.Command{
		Use:   "qa",
		Short: "Print questions with their exact labels, task by task",
		Args:  exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			tasks, err := f.check(slices.DeleteFunc(world.Tasks(), usesTools))
			if err != nil {
				return err
			}
			return write(e, f.text, f.items(tasks), showItem)
		},
	}
	f.register(c, 10)
	f.registerSplit(c)
	f.registerTasks(c, "all but those with tools")
	return c
}

// worldToolsCmd prints items with the tools that they offer, as a request has them.
func (e *env) worldToolsCmd() *cobra.Command {
	var f worldFlags
	c := &cobra.Command{
		Use:   "tools",
		Short: "Print conversations with tools to call, and their exact labels",
		Args:  exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			tasks, err := f.check(slices.DeleteFunc(world.Tasks(), func(t world.Task) bool { return !usesTools(t) }))
			if err != nil {
				return err
			}
			return write(e, f.text, f.items(tasks), showItem)
		},
	}
	f.register(c, 10)
	f.registerSplit(c)
	f.registerTasks(c, "all with tools")
	return c
}

// usesTools tells whether a task offers tools.
func usesTools(t world.Task) bool {
	return t == world.UseTool || t == world.ToolAnswer || t == world.NoTool
}

// items are n of each task, of one level if asked.
func (f *worldFlags) items(tasks []world.Task) iter.Seq[world.Item] {
	w := world.New(f.seed)
	return func(yield func(world.Item) bool) {
		for _, t := range tasks {
			list := w.Items(t, world.Split(f.split), f.n)
			if f.level > 0 {
				list = w.ItemsOf(t, world.Split(f.split), f.level, f.n)
			}
			for it := range list {
				if !yield(it) {
					return
				}
			}
		}
	}
}

// worldPrefsCmd prints pairs with the utility that each reply was made to have.
func (e *env) worldPrefsCmd() *cobra.Command {
	var f worldFlags
	c := &cobra.Command{
		Use:   "prefs",
		Short: "Print pairs of a better and a worse reply, with their true utility",
		Args:  exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			if _, err := f.check(nil); err != nil {
				return err
			}
			return write(e, f.text, world.New(f.seed).Pairs(world.Split(f.split), f.n), func(p world.Pair) string {
				return fmt.Sprintf("%s\n  better (%.2f): %s\n  worse  (%.2f): %s\n", showMessages(p.Item.Messages[:len(p.Item.Messages)-1]),
					p.Utility[0], showReply(p.Chosen), p.Utility[1], showReply(p.Rejected))
			})
		},
	}
	f.register(c, 10)
	f.registerSplit(c)
	return c
}

// worldPassagesCmd prints passages alone, with all the facts that they state.
func (e *env) worldPassagesCmd() *cobra.Command {
	var f worldFlags
	c := &cobra.Command{
		Use:   "passages",
		Short: "Print short texts about made-up people, shops and places with the facts they state",
		Args:  exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			if _, err := f.check(nil); err != nil {
				return err
			}
			return write(e, f.text, world.New(f.seed).Passages(world.Split(f.split), f.n), func(p world.Passage) string {
				var b strings.Builder
				fmt.Fprintf(&b, "%s\n%s\n", p.Title, p.Text)
				for _, fact := range p.Facts {
					fmt.Fprintf(&b, "  %s / %s = %s\n", fact.Entity, fact.Attribute, fact.Value)
				}
				return b.String()
			})
		},
	}
	f.register(c, 10)
	f.registerSplit(c)
	return c
}

// worldSampleCmd is a tour: a few documents, then items of each task.
func (e *env) worldSampleCmd() *cobra.Command {
	f := worldFlags{name: "world sample"}
	c := &cobra.Command{
		Use:   "sample",
		Short: "Print a little of everything: some documents, then items of each task",
		Args:  exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			if _, err := f.check(nil); err != nil {
				return err
			}
			w := world.New(f.seed)
			if !e.json {
				if err := e.printText(w.About() + "\n"); err != nil {
					return err
				}
			}
			if err := write(e, true, documents(w, 4000, 0), func(d document) string { return d.Text + "\n" }); err != nil {
				return err
			}
			return write(e, true, f.items(world.Tasks()), showItem)
		},
	}
	c.Flags().Uint64Var(&f.seed, "seed", 1, "which world")
	c.Flags().IntVar(&f.n, "n", 1, "how many items of each task")
	f.registerSplit(c)
	return c
}

// showItem is an item for reading.
// The label says how a reply is judged; the last message is a right one.
func showItem(it world.Item) string {
	label := it.Label.Kind
	switch {
	case len(it.Label.Accept) > 0:
		label += ": " + strings.Join(it.Label.Accept, " | ")
	case it.Label.Call != nil:
		label += ": " + it.Label.Call.Name + " " + it.Label.Call.Arguments
	}
	return fmt.Sprintf("[%s, level %d; %s]\n%s", it.ID, it.Level, label, showMessages(it.Messages))
}

// showMessages is a conversation for reading, a line for each message.
func showMessages(messages []chat.Message) string {
	var b strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&b, "%s: %s\n", m.Role, showReply(m))
	}
	return b.String()
}

// showReply is a message with its calls.
func showReply(m chat.Message) string {
	text := m.Content
	for _, c := range m.ToolCalls {
		text = strings.TrimSpace(text + fmt.Sprintf(" -> %s %s", c.Name, c.Arguments))
	}
	return text
}
