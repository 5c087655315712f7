package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"

	"weft/chat"
	"weft/compute/par"
	"weft/infer/engine"
	"weft/llm/registry"
	"weft/server"
	"weft/web"
)

// serving is where and how models are offered: what serve and up share.
type serving struct {
	addr, key string
	origins   []string
	runs      string // folder that the training page looks into
	deadline  time.Duration
	memory    string        // for all models together; no bound
	idle      time.Duration // without a request, until a model is unloaded; never
	engine    engineOptions
	lora      loraOptions

	nextPort bool // the port was not chosen: another will do when it is in use
	browse   bool // open the page in a browser
}

// defaultPort is where `weft serve` and `weft up` listen.
const defaultPort = 8080

func (s *serving) register(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.addr, "addr", fmt.Sprintf("127.0.0.1:%d", defaultPort), "address to listen on; off loopback an API key is required")
	f.StringVar(&s.key, "api-key", "", "key that clients must send as a bearer token")
	f.StringSliceVar(&s.origins, "origin", nil, "web `origin` whose pages may call the API, as https://name:port; may be given several times")
	f.StringVar(&s.runs, "runs", "out", "folder whose training runs the page shows, live")
	f.DurationVar(&s.deadline, "deadline", 0, "longest time a request may take, waiting included; later it ends with 504 (default: none)")
	f.StringVar(&s.memory, "memory", "", "memory that all models and their adapters may take, as 8GB; then each is loaded when it is first asked for, and the longest unused make room (default: all are loaded at once and stay)")
	f.DurationVar(&s.idle, "idle-unload", 0, "unload a model after so long without a request, and load it when it is asked for again (default: never)")
	engineFlags(c, &s.engine)
	s.lora.register(c)
}

// portTries is how many ports after a busy one are tried.
const portTries = 20

// open starts to listen.
func (s *serving) open(e *env) (net.Listener, error) {
	if err := server.CheckListen(s.addr, s.key); err != nil {
		return nil, &usageError{err}
	}
	ln, err := net.Listen("tcp", s.addr)
	if !errors.Is(err, syscall.EADDRINUSE) {
		if err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		return ln, nil
	}
	if s.nextPort {
		if ln := nextListener(s.addr); ln != nil {
			fmt.Fprintf(e.err, "%s is in use: serving on %s instead (choose with --addr)\n", s.addr, ln.Addr())
			return ln, nil
		}
	}
	return nil, fmt.Errorf("listen on %s: the port is in use; stop the other server or choose another with --addr 127.0.0.1:0", s.addr)
}

// nextListener listens on the next free port after addr's; nil: there is none.
func nextListener(addr string) net.Listener {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil
	}
	first, err := strconv.Atoi(port)
	if err != nil {
		return nil
	}
	for p := first + 1; p <= first+portTries; p++ {
		if ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(p))); err == nil {
			return ln
		}
	}
	return nil
}

func (e *env) serveCmd() *cobra.Command {
	var s serving
	c := &cobra.Command{
		Use:   "serve [NAME=]MODEL...",
		Short: "Serve models over an OpenAI-compatible API, with a chat page",
		Long: `Serve offers models by name: that of their folder or file, or the NAME given.
All are loaded at once and stay, unless --memory or --idle-unload is given: then a
model is loaded when it is first asked for, while its requests wait; a model that
runs is never unloaded; one that could never fit is refused now, with what would.

A response carries a manifest of all that decided its tokens (hashes of weights,
tokenizer and template, sampling, seed, build) if the request has the header
X-Weft-Manifest: 1. weft replay computes it again and compares.`,
		Example: "  weft serve out/chat --addr 127.0.0.1:8080\n  curl -N localhost:8080/v1/completions -d '{\"prompt\":\"Once\",\"stream\":true}'\n" +
			"  weft serve out/chat small=tiny-s big.gguf --memory 8GB --idle-unload 10m",
		Args:              atLeastArgs("MODEL"),
		ValidArgsFunction: modelArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.serve(cmd.Context(), args, s)
		},
	}
	s.register(c)
	return c
}

// serve loads the models, listens and serves until ctx ends.
func (e *env) serve(ctx context.Context, names []string, s serving) error {
	// Listen first: a port in use should not cost the time to load a model.
	ln, err := s.open(e)
	if err != nil {
		return err
	}
	defer ln.Close()
	debug.SetGCPercent(100) // weights are on the heap: the garbage of long prompts must not grow to a multiple of them

	pool := e.pool()
	defer pool.Close()
	models, budget, stop, err := s.models(ctx, names, pool)
	if err != nil {
		return err
	}
	defer stop()
	h, err := server.New(server.Options{
		Models: models, Key: s.key, Origins: s.origins, Page: web.FS, Runs: pageRuns(s.runs), Log: e.accessLog(), Deadline: s.deadline, Memory: budget,
	})
	if err != nil {
		return err
	}
	if err := e.announce(newAddress(ln.Addr(), s.key, models)); err != nil {
		return err
	}
	if s.browse {
		if err := e.browser(pageURL(ln.Addr())); err != nil {
			fmt.Fprintf(e.err, "no browser opened: %v\n", err)
		}
	}
	return h.Serve(ctx, ln)
}

// ownMemory is what the server may take beside its models, garbage included.
const ownMemory = 256 << 20 // bytes

// models are what the server has: loaded, or to be loaded when they are asked for
// within a budget of memory. stop unloads them.
func (s *serving) models(ctx context.Context, args []string, pool *par.Pool) (models []server.Model, budget int64, stop func(), err error) {
	lazy := s.memory != "" || s.idle > 0
	if budget, err = s.budget(); err != nil {
		return nil, 0, nil, err
	}
	all, err := offers(args, pool, s.engine, lazy)
	if err != nil {
		return nil, 0, nil, err
	}
	if err := s.lora.give(all); err != nil {
		return nil, 0, nil, err
	}
	if err := boundAll(all, s.lora, budget); err != nil {
		return nil, 0, nil, err
	}
	var entries []registry.Entry
	for _, f := range all {
		entries = append(entries, f.entry())
	}
	reg, err := registry.New(entries, registry.Options{Memory: budget, Idle: s.idle, Queue: s.engine.Queue})
	if err != nil {
		return nil, 0, nil, &usageError{err}
	}
	if f := all[0]; f.adapters != nil {
		if err := f.adapters.Account(reg); err != nil {
			return nil, 0, nil, fmt.Errorf("--lora: %w", err)
		}
	}
	before := int64(-1) // leaves the limit as it is
	if budget > 0 {
		before = debug.SetMemoryLimit(budget + ownMemory) // garbage counts too: the collector works harder near it
	}
	stop = func() {
		reg.Close()
		debug.SetMemoryLimit(before)
	}
	for i, m := range reg.Models() {
		if !lazy {
			if err := m.Load(ctx); err != nil {
				stop()
				return nil, 0, nil, cause(err)
			}
		}
		models = append(models, all[i].model(m))
	}
	return models, budget, stop, nil
}

// cause is the error behind what a client would be told.
func cause(err error) error {
	var away *chat.UnavailableError
	if errors.As(err, &away) && away.Err != nil {
		return away.Err
	}
	return err
}

// address is what a client needs to know; with --json it is printed as one line.
type address struct {
	URL     string   `json:"url"` // of the page
	BaseURL string   `json:"openai_base_url"`
	NeedKey bool     `json:"api_key_required"`
	Models  []string `json:"models"`
}

func newAddress(at net.Addr, key string, models []server.Model) address {
	a := address{URL: pageURL(at), NeedKey: key != ""}
	a.BaseURL = a.URL + "/v1"
	for _, m := range models {
		a.Models = append(a.Models, m.ID)
	}
	return a
}

// pageURL is where a browser on this machine finds the page: a server on all
// interfaces is asked on loopback.
func pageURL(at net.Addr) string {
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return "http://" + at.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// announce prints the address, the lines that point existing tools at it, and
// a first request. The key itself is never printed.
func (e *env) announce(a address) error {
	if e.json {
		return json.NewEncoder(e.out).Encode(a)
	}
	key, header := "weft", ""
	if a.NeedKey {
		key, header = "'<the key you set>'", ` -H "Authorization: Bearer $OPENAI_API_KEY"`
	}
	_, err := fmt.Fprintf(e.out, `chat page  %s

existing tools
  export OPENAI_BASE_URL=%s
  export OPENAI_API_KEY=%s
first request
  curl -N %s/chat/completions%s -d '{"messages":[{"role":"user","content":"Who are you?"}],"stream":true}'
`, a.URL, a.BaseURL, key, a.BaseURL, header)
	return err
}

// accessLog is a line per request with --verbose; else errors alone.
func (e *env) accessLog() *slog.Logger {
	if e.verbose {
		return slog.Default()
	}
	return slog.New(tint.NewHandler(e.err, &tint.Options{Level: slog.LevelWarn, NoColor: !isTerminal(e.err)}))
}

// engineStats is the part of an engine's figures that /metrics shows.
func engineStats(s engine.Stats) server.Stats {
	return server.Stats{
		Running: s.Running, Waiting: s.Queued + s.Preempted,
		PagesFree: s.PagesFree, PagesUsed: s.PagesUsed, PagesCached: s.PagesCached, PagesTotal: s.PagesTotal,
		Preemptions: s.Preemptions, PrefixQueries: s.PrefixQueries, PrefixHits: s.PrefixHits,
		PrefixLoaded: s.PrefixLoaded, Drafts: s.Drafts, Drafted: s.Drafted, Accepted: s.Accepted, DraftFailures: s.DraftFailures,
		PageLen: s.PageLen, PageBytes: s.PageBytes, CacheType: s.KVType.String(), Batch: server.Histogram(s.Batch),
		LoRA: loraStats(s),
	}
}

// created is when the model folder was last written, for /v1/models.
func created(dir string) time.Time {
	st, err := os.Stat(dir)
	if err != nil {
		return time.Time{}
	}
	return st.ModTime()
}
