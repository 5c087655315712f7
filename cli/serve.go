package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"

	"weft/infer/engine"
	"weft/server"
	"weft/web"
)

// listen is where and how the API is offered.
type listen struct {
	addr, key string
	origins   []string
}

func (l *listen) register(c *cobra.Command) {
	c.Flags().StringVar(&l.addr, "addr", "127.0.0.1:8080", "address to listen on; off loopback an API key is required")
	c.Flags().StringVar(&l.key, "api-key", "", "key that clients must send as a bearer token")
	c.Flags().StringSliceVar(&l.origins, "origin", nil, "web `origin` whose pages may call the API, as https://name:port; may be given several times")
}

// open starts to listen.
func (l *listen) open() (net.Listener, error) {
	if err := server.CheckListen(l.addr, l.key); err != nil {
		return nil, &usageError{err}
	}
	ln, err := net.Listen("tcp", l.addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: the port is in use; stop the other server or choose another with --addr 127.0.0.1:0", l.addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return ln, nil
}

// check says before long work whether the address can be listened on.
func (l *listen) check() error {
	ln, err := l.open()
	if err != nil {
		return err
	}
	return ln.Close()
}

func (e *env) serveCmd() *cobra.Command {
	var l listen
	var o engine.Options
	c := &cobra.Command{
		Use:               "serve MODEL...",
		Short:             "Serve models over an OpenAI-compatible API, with a chat page",
		Example:           "  weft serve out/chat --addr 127.0.0.1:8080\n  curl -N localhost:8080/v1/completions -d '{\"prompt\":\"Once\",\"stream\":true}'",
		Args:              atLeastArgs("MODEL"),
		ValidArgsFunction: modelArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.serve(cmd.Context(), args, l, o)
		},
	}
	l.register(c)
	engineFlags(c, &o)
	return c
}

// serve loads the models, listens and serves until ctx ends.
func (e *env) serve(ctx context.Context, dirs []string, l listen, o engine.Options) error {
	// Listen first: a port in use should not cost the time to load a model.
	ln, err := l.open()
	if err != nil {
		return err
	}
	defer ln.Close()

	pool := e.pool()
	defer pool.Close()
	var models []server.Model
	for _, dir := range dirs {
		m, err := loadModel(dir)
		if err != nil {
			return err
		}
		facade, eng, err := m.live(pool, o)
		if err != nil {
			return err
		}
		defer eng.Close()
		models = append(models, server.Model{
			ID: m.name, Model: facade, Context: eng.Window(), Created: created(dir),
			Stats: func() server.Stats { return engineStats(eng.Stats()) },
		})
	}
	s, err := server.New(server.Options{Models: models, Key: l.key, Origins: l.origins, Page: web.FS, Log: e.accessLog()})
	if err != nil {
		return err
	}
	url := "http://" + ln.Addr().String()
	fmt.Fprintf(e.out, "chat page  %s\nAPI        export OPENAI_BASE_URL=%s/v1 OPENAI_API_KEY=%s\n", url, url, keyHint(l.key))
	return s.Serve(ctx, ln)
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
		Running: s.Running, Waiting: s.Queued + s.Preempted, Preemptions: s.Preemptions,
		PagesFree: s.PagesFree, PagesUsed: s.PagesUsed, PagesTotal: s.PagesTotal,
	}
}

// keyHint is what a client should put in OPENAI_API_KEY, without showing it.
func keyHint(key string) string {
	if key == "" {
		return "none"
	}
	return "<the key you set>"
}

// created is when the model folder was last written, for /v1/models.
func created(dir string) time.Time {
	st, err := os.Stat(dir)
	if err != nil {
		return time.Time{}
	}
	return st.ModTime()
}
