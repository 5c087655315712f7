package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weft/internal/atomicfile"
	"weft/load"
	"weft/server"
)

// loading is `weft load`.
type loading struct {
	env            *env
	o              load.Options
	client         load.Client
	serve          serving // of a MODEL in this process
	prompt, output string
	svg            string
}

// keyVariable is where clients of the protocol look for their key.
const keyVariable = "OPENAI_API_KEY"

func (e *env) loadCmd() *cobra.Command {
	l := &loading{env: e}
	c := &cobra.Command{
		Use:   "load URL|MODEL",
		Short: "Put an OpenAI-compatible server under load: latency percentiles, goodput, the knee",
		Long: `Load sends streaming requests to a server and reports, for each load, exact
percentiles of the time to the first token (TTFT), between tokens (ITL) and to the
end, tokens and requests per second, errors by kind, and goodput: the requests per
second that keep --slo-ttft and --slo-itl (the mean time between their tokens).
A MODEL instead of a URL is served by this process, and asked over HTTP as well.

With --concurrency so many users ask, each again when answered (closed loop). With
--rate requests come at random, answered or not (open loop, Poisson); times then
count from when a request was due, so that a server that stalls cannot hide it.
Several values, or --sweep, find the knee, after which more load brings little.
With --late-prompt a long prompt comes once while all users are being answered:
the report compares the time between their tokens before and meanwhile.

Prompts are random words; how many make a token is asked of the server first. A
server that knows the same prompts from an earlier run may have them cached: give
another --seed. The API key is read from OPENAI_API_KEY. Ctrl-C prints what was
measured so far.`,
		Example:           "  weft load http://127.0.0.1:8080 --concurrency 1,2,4,8,16 --svg load.svg\n  weft load tiny --rate 2,4,8 --prompt-tokens 64-256 --output-tokens 32 --slo-ttft 500ms --slo-itl 50ms",
		Args:              exactArgs("URL|MODEL"),
		ValidArgsFunction: modelArg,
		RunE:              func(cmd *cobra.Command, args []string) error { return l.run(cmd.Context(), args[0]) },
	}
	f := c.Flags()
	f.IntSliceVar(&l.o.Concurrency, "concurrency", nil, "requests in flight, one step each (default 1,2,4,8 without --rate)")
	f.Float64SliceVar(&l.o.Rates, "rate", nil, "requests per second, one step each")
	f.BoolVar(&l.o.Sweep, "sweep", false, "go on doubling the last load until that brings less than 5 % more")
	f.IntVar(&l.o.InFlight, "max-in-flight", 0, "with --rate: most requests in flight, others wait here (default: no limit)")
	f.IntVar(&l.o.Requests, "requests", 0, "requests per step (default 64, or 8 per request in flight; 1 with --late-prompt)")
	f.DurationVar(&l.o.Duration, "duration", 0, "time per step after which no request begins (default: none)")
	f.StringVar(&l.prompt, "prompt-tokens", "128", "length of prompts: 128, 64-512, or a mix as 128:3,1024:1")
	f.StringVar(&l.output, "output-tokens", "64", "length of answers, alike")
	f.IntVar(&l.o.PrefixTokens, "prefix-tokens", 0, "tokens of a shared beginning in front of every prompt")
	f.IntVar(&l.o.Prefixes, "prefixes", 1, "how many different shared beginnings there are")
	f.IntVar(&l.o.LateTokens, "late-prompt", 0, "tokens of one more prompt that comes amid --concurrency users who are being answered")
	f.DurationVar(&l.o.LateAfter, "late-after", 0, "how long after the last of them got the first text (default 5s)")
	f.Uint64Var(&l.o.Seed, "seed", 1, "of prompts and arrivals")
	f.DurationVar(&l.o.TTFT, "slo-ttft", 0, "a good request has its first token by then (default: any)")
	f.DurationVar(&l.o.ITL, "slo-itl", 0, "and a token this often on average (default: any)")
	f.StringVar(&l.client.API, "api", load.Chat, "endpoint: chat or completions")
	f.StringVar(&l.client.Model, "model", "", "model to ask for (default: the first that the server lists)")
	f.DurationVar(&l.client.Timeout, "timeout", 5*time.Minute, "most time per request")
	f.BoolVar(&l.client.IgnoreEOS, "ignore-eos", true, "ask for answers of full length; turn off for servers that refuse it")
	f.StringVar(&l.svg, "svg", "", "`file` for the plot of latency and throughput against load")
	engineFlags(c, &l.serve.engine)
	return c
}

// run measures, and prints also what an interrupt left unfinished.
func (l *loading) run(ctx context.Context, arg string) error {
	if err := l.check(); err != nil {
		return &usageError{err}
	}
	if strings.HasPrefix(arg, "http://") || strings.HasPrefix(arg, "https://") {
		base, err := apiURL(arg)
		if err != nil {
			return &usageError{err}
		}
		l.client.URL, l.client.Key = base, os.Getenv(keyVariable)
	} else {
		stop, err := l.serveHere(ctx, arg)
		if err != nil {
			return err
		}
		defer stop()
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost, transport.MaxIdleConns, transport.DisableCompression = 1<<14, 0, true
	defer transport.CloseIdleConnections()
	l.client.HTTP = &http.Client{Transport: transport}
	if err := l.chooseModel(ctx); err != nil {
		return err
	}
	bar := l.env.progress("load")
	l.o.Progress = func(p load.Progress) {
		bar.set((p.Step-1)*1000+p.Done*1000/p.Total, p.Steps*1000, p.Load)
	}
	r, err := load.Run(ctx, &l.client, l.o)
	bar.end()
	if len(r.Steps) == 0 {
		return err
	}
	return errors.Join(l.print(&r), err)
}

// check fills in what was not given, and reads the mixes.
func (l *loading) check() (err error) {
	if len(l.o.Concurrency) == 0 && len(l.o.Rates) == 0 {
		l.o.Concurrency = []int{1, 2, 4, 8}
	}
	if l.client.API != load.Chat && l.client.API != load.Completions {
		return fmt.Errorf("load: --api is %q, want chat or completions", l.client.API)
	}
	if l.client.Timeout < 0 {
		return fmt.Errorf("load: --timeout is %v, want a positive time", l.client.Timeout)
	}
	if l.o.Prompt, err = load.ParseLengths(l.prompt); err != nil {
		return fmt.Errorf("--prompt-tokens: %w", err)
	}
	if l.o.Output, err = load.ParseLengths(l.output); err != nil {
		return fmt.Errorf("--output-tokens: %w", err)
	}
	return l.o.Validate()
}

// apiURL is the base of the API: a server's address alone stands for its /v1.
func apiURL(arg string) (string, error) {
	u, err := url.Parse(arg)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("load: %s is no URL of a server, want one as http://127.0.0.1:8080", arg)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1"
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

// chooseModel takes the server's first model where none was named.
func (l *loading) chooseModel(ctx context.Context) error {
	if l.client.Model != "" {
		return nil
	}
	names, err := l.client.Models(ctx)
	if err != nil {
		return fmt.Errorf("%w (name the model with --model if the server does not list any)", err)
	}
	if len(names) == 0 {
		return fmt.Errorf("load: %s lists no model: name one with --model", l.client.URL)
	}
	l.client.Model = names[0]
	return nil
}

// serveHere offers a model on a free port of this machine.
func (l *loading) serveHere(ctx context.Context, arg string) (stop func(), err error) {
	pool := l.env.pool()
	models, _, end, err := l.serve.models(ctx, []string{arg}, pool)
	if err != nil {
		pool.Close()
		return nil, err
	}
	h, err := server.New(server.Options{Models: models, Log: l.env.accessLog()})
	if err == nil {
		var ln net.Listener
		if ln, err = net.Listen("tcp", "127.0.0.1:0"); err == nil {
			serving, cancel := context.WithCancel(context.WithoutCancel(ctx)) // the load ends first
			done := make(chan struct{})
			go func() { defer close(done); _ = h.Serve(serving, ln) }()
			l.client.URL = pageURL(ln.Addr()) + "/v1"
			return func() { cancel(); <-done; end(); pool.Close() }, nil
		}
	}
	end()
	pool.Close()
	return nil, fmt.Errorf("load: serve %s: %w", arg, err)
}

// print shows the report and draws it.
func (l *loading) print(r *load.Report) error {
	if l.svg != "" {
		svg, err := r.Plot()
		if err != nil {
			return err
		}
		if err := atomicfile.WriteBytes(l.svg, svg); err != nil {
			return err
		}
	}
	if l.env.json {
		return json.NewEncoder(l.env.out).Encode(r)
	}
	_, err := fmt.Fprint(l.env.out, r.Markdown())
	return err
}
