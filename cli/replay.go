package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"weft/chat"
	"weft/infer/engine"
	"weft/llm/local"
)

// Replays of files: bytes of one at most, and of the other requests that
// --beside runs.
const (
	maxReplay = 256 << 20
	maxBeside = 64
)

// replaying is `weft replay`.
type replaying struct {
	env    *env
	engine engineOptions
	beside int
	force  bool
}

// replayed is what became of one answer, and what --json prints.
type replayed struct {
	Answer    int    `json:"answer"` // counted over all manifests of the file
	Tokens    int    `json:"tokens"`
	Identical bool   `json:"identical"`
	At        *int   `json:"differs_at,omitempty"` // token, counted from 0
	Was       *int32 `json:"was,omitempty"`        // ids; null: the answer was over
	Is        *int32 `json:"is,omitempty"`
}

func (e *env) replayCmd() *cobra.Command {
	r := &replaying{env: e}
	c := &cobra.Command{
		Use:   "replay FILE [MODEL]",
		Short: "Compute a saved answer again from its manifest, and compare token by token",
		Long: `Replay reads responses that carry a manifest (asked for with the header
X-Weft-Manifest: 1): the JSON body, a saved event stream, or one body per line;
- is standard input. It refuses when weights, tokenizer, template, kernels or the
form of the cache are not those of the manifest, and says which. Then it generates
the same tokens again, from the token ids of the prompt, and says where the first
one differs, if one does.

With --beside it does so in the middle of other requests: load must change nothing.`,
		Example: "  curl localhost:8080/v1/completions -H 'X-Weft-Manifest: 1' -d '{\"prompt\":\"Once\"}' > answer.json\n" +
			"  weft replay answer.json out/chat --beside 8",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return exactArgs("FILE", "MODEL")(cmd, args)
			}
			return exactArgs("FILE")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := e.manifests(args[0])
			if err != nil {
				return fmt.Errorf("replay %s: %w", args[0], err)
			}
			if r.beside < 0 || r.beside > maxBeside {
				return &usageError{fmt.Errorf("replay: --beside is %d, want 0 to %d", r.beside, maxBeside)}
			}
			name := found[0].Model
			if len(args) > 1 {
				name = args[1]
			}
			if !cmd.Flags().Changed("kv-type") { // as it was
				if err := r.engine.KVType.UnmarshalText([]byte(found[0].Identity.Cache)); err != nil {
					return fmt.Errorf("replay %s: kv_cache: %w", args[0], err)
				}
			}
			if was := found[0].Identity.Stored; was != "" && !cmd.Flags().Changed("type") {
				if err := r.engine.stored.Set(was); err != nil {
					return fmt.Errorf("replay %s: stored_as: %w", args[0], err)
				}
			}
			return r.run(cmd.Context(), name, found)
		},
	}
	engineFlags(c, &r.engine)
	loraFlags(c, &r.engine)
	c.Flags().IntVar(&r.beside, "beside", 0, "other requests that run at the same time")
	c.Flags().BoolVar(&r.force, "force", false, "go on although hashes differ")
	return c
}

// run replays every answer of every manifest with one model.
func (r *replaying) run(ctx context.Context, name string, all []*chat.Manifest) error {
	l, err := loadWith(name, reading{as: r.engine.stored})
	if err != nil {
		return err
	}
	pool := r.env.pool()
	defer pool.Close()
	model, eng, err := l.live(pool, r.engine)
	if err != nil {
		return err
	}
	defer eng.Close()
	model.SetIdentity(l.identity(r.engine))
	is, err := model.Identity(r.engine.adapter())
	if err != nil {
		return err
	}
	for _, m := range all {
		if err := r.compare(name, m.Identity, is); err != nil {
			return err
		}
	}
	var done []replayed
	differ := 0
	for _, m := range all {
		for _, t := range m.Answers {
			got, err := r.one(ctx, model, eng, t)
			if err != nil {
				return fmt.Errorf("replay: answer %d: %w", len(done), err)
			}
			if !got.Same {
				differ++
			}
			done = append(done, describeReplay(len(done), got))
			if !r.env.json {
				r.print(len(done)-1, l, got)
			}
		}
	}
	if r.env.json {
		if err := json.NewEncoder(r.env.out).Encode(done); err != nil {
			return err
		}
	}
	if differ > 0 {
		return fmt.Errorf("replay: %d of %d answers differ", differ, len(done))
	}
	return nil
}

// compare refuses a model that is not the manifest's, with what differs.
func (r *replaying) compare(name string, was, is chat.Identity) error {
	var lines []string
	for _, d := range was.Diff(is) {
		line := fmt.Sprintf("  %s\n    was  %s\n    is   %s", d.Field, d.Was, d.Is)
		if d.Hint != "" {
			line += "\n    " + d.Hint
		}
		if d.Harmless || r.force {
			fmt.Fprintf(r.env.err, "not the same as in the manifest:\n%s\n", line)
			continue
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return nil
	}
	return fmt.Errorf("replay: %s is not what gave the answer (--force goes on all the same):\n%s", name, strings.Join(lines, "\n"))
}

// one replays an answer, among others if asked for.
func (r *replaying) one(ctx context.Context, m *local.Model, eng *engine.Engine, t chat.Trace) (local.Replayed, error) {
	req, err := m.TraceRequest(t, r.engine.adapter())
	if err != nil {
		return local.Replayed{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel()
	for i := range r.beside {
		others.Go(func() { crowd(ctx, eng, req, i) })
	}
	return m.Replay(ctx, t, r.engine.adapter())
}

// crowd keeps an engine busy with requests that are like one, and are not it: other
// seeds, and beginnings of its prompt of all lengths.
func crowd(ctx context.Context, eng *engine.Engine, req engine.Request, i int) {
	for n := uint64(1); ctx.Err() == nil; n++ {
		q := req
		q.MaxTokens = max(1, q.MaxTokens)
		q.Params.Seed += n*maxBeside + uint64(i) + 1
		q.Params.Temperature = max(q.Params.Temperature, 0.5)
		q.Prompt = q.Prompt[:max(1, len(q.Prompt)*(i+1)/(maxBeside+1))]
		for _, err := range eng.Generate(ctx, q) {
			if err != nil {
				break
			}
		}
	}
}

func describeReplay(i int, got local.Replayed) replayed {
	out := replayed{Answer: i, Tokens: got.Tokens, Identical: got.Same}
	if got.Same {
		return out
	}
	out.At, out.Was = &got.At, &got.Was
	if got.Is >= 0 {
		out.Is = &got.Is
	}
	return out
}

// print tells a person.
func (r *replaying) print(i int, l *loaded, got local.Replayed) {
	if got.Same {
		fmt.Fprintf(r.env.out, "answer %d: identical, %d tokens\n", i, got.Tokens)
		return
	}
	token := func(id int32) string {
		if id < 0 {
			return "the end"
		}
		return fmt.Sprintf("%d %q", id, l.tok.Bytes(id))
	}
	fmt.Fprintf(r.env.out, "answer %d: token %d of %d differs: was %s, is %s\n", i, got.At, got.Tokens, token(got.Was), token(got.Is))
}

// manifestField is where a response has its manifest.
const manifestField = "weft_manifest"

var errNoManifest = errors.New("no manifest in it: ask for one with the header X-Weft-Manifest: 1")

// manifests reads those of a file: of a whole body, of the events of a stream, or
// of bodies one per line.
func (e *env) manifests(path string) (all []*chat.Manifest, err error) {
	in := e.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxReplay+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxReplay {
		return nil, fmt.Errorf("it has more than %d bytes", maxReplay)
	}
	return findManifests(data)
}

// findManifests looks for manifests in the text of a file.
func findManifests(data []byte) (all []*chat.Manifest, err error) {
	bodies := [][]byte{data}
	if !json.Valid(data) {
		bodies = nil
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, len(data)+1)
		for lines.Scan() {
			bodies = append(bodies, bytes.TrimPrefix(slices.Clone(lines.Bytes()), []byte("data: ")))
		}
	}
	for _, body := range bodies {
		var response map[string]json.RawMessage
		if json.Unmarshal(body, &response) != nil {
			continue // an empty line, the end mark of a stream
		}
		text, ok := response[manifestField]
		if _, own := response["identity"]; !ok && own {
			text, ok = body, true
		}
		if !ok {
			continue
		}
		m, err := chat.ParseManifest(text)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	if len(all) == 0 {
		return nil, errNoManifest
	}
	return all, nil
}
