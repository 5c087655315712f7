package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Where names are looked up unless options say.
const (
	defaultEndpoint = "https://huggingface.co"
	defaultRegistry = "https://" + OllamaHost
)

// Options of a Client. The zero value is the public registries without a token.
type Options struct {
	Endpoint string // of Hugging Face (https://huggingface.co)
	Registry string // where names of Ollama's own registry are asked for (https://registry.ollama.ai)
	Token    string // for Endpoint, and sent there only; empty: none
	Caches   Caches // required to plan and to fetch

	Jobs    int           // ranges of a file that travel at once (4)
	Segment int64         // bytes of a range (64 MiB)
	Tries   int           // of a request that brings nothing new (5)
	Pause   time.Duration // before the second try, doubling (500 ms)
	MaxWait time.Duration // that a registry may ask for; longer is an error (30 s)
	Stall   time.Duration // without a byte until a connection counts as dead (60 s)
	Save    time.Duration // between notes of what is there: what kill -9 may lose (2 s)

	Progress func(done, total int64) // bytes, about four times a second; may be nil
	Proxy    func(*http.Request) (*url.URL, error)
}

// Validate says what is wrong with options.
func (o Options) Validate() error {
	if o.Jobs < 0 || o.Jobs > 64 {
		return fmt.Errorf("jobs is %d, want 1 to 64", o.Jobs)
	}
	if o.Segment < 0 || o.Tries < 0 || o.Pause < 0 || o.MaxWait < 0 || o.Stall < 0 || o.Save < 0 {
		return errors.New("segment, tries and times must not be negative")
	}
	for _, base := range []string{o.Endpoint, o.Registry} {
		u, err := url.Parse(base)
		if base != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "") {
			return fmt.Errorf("registry %q: want an address such as %s", base, defaultEndpoint)
		}
	}
	if u, _ := url.Parse(o.Endpoint); o.Token != "" && u != nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		return fmt.Errorf("registry %s: a token is not sent without encryption: use https, or unset the token", o.Endpoint)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (o Options) fill() Options {
	or(&o.Endpoint, defaultEndpoint)
	or(&o.Registry, defaultRegistry)
	or(&o.Jobs, 4)
	or(&o.Segment, 64<<20)
	or(&o.Tries, 5)
	or(&o.Pause, 500*time.Millisecond)
	or(&o.MaxWait, 30*time.Second)
	or(&o.Stall, time.Minute)
	or(&o.Save, 2*time.Second)
	o.Endpoint, o.Registry = strings.TrimRight(o.Endpoint, "/"), strings.TrimRight(o.Registry, "/")
	return o
}

func or[T comparable](v *T, d T) {
	if *v == *new(T) {
		*v = d
	}
}

// Client plans and fetches.
type Client struct {
	o    Options
	http *http.Client
	disk func(io.WriterAt) io.WriterAt // what a part is written through; tests fill disks
}

// New makes a client; nothing is sent yet.
func New(o Options) (*Client, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.fill()
	endpoint, err := url.Parse(o.Endpoint)
	if err != nil {
		return nil, err
	}
	wire := &http.Transport{
		Proxy: o.Proxy, MaxIdleConnsPerHost: o.Jobs, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: 15 * time.Second, ResponseHeaderTimeout: o.Stall, DisableCompression: true,
		Protocols: new(http.Protocols),
	}
	wire.Protocols.SetHTTP1(true) // HTTP/2 would send all ranges through one connection
	return &Client{
		o:    o,
		http: &http.Client{Transport: &authorized{wire, origin(endpoint), o.Token}, CheckRedirect: redirect},
		disk: func(w io.WriterAt) io.WriterAt { return w },
	}, nil
}

// authorized adds the token to requests for one origin. Requests carry none by
// themselves, so that no redirect can take it elsewhere.
type authorized struct {
	next          http.RoundTripper
	origin, token string
}

func (a *authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.token != "" && origin(r.URL) == a.origin {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	return a.next.RoundTrip(r)
}

func origin(u *url.URL) string { return u.Scheme + "://" + strings.ToLower(u.Host) }

// redirect follows to other hosts, never out of encryption.
func redirect(r *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return permanent{errors.New("more than 10 redirects")}
	}
	if from := via[len(via)-1].URL; from.Scheme == "https" && r.URL.Scheme != "https" {
		return permanent{fmt.Errorf("%s redirects from https to %s: refused", from.Host, r.URL.Scheme)}
	}
	r.Header.Del("Referer") // the address of a gated file is nobody's business
	return nil
}

// span is a range of a file, [from, to) of size bytes; the zero value is none.
type span struct{ from, to, size int64 }

// get sends one request. The answer is 200 or 206; its body stops with ctx, or
// when nothing arrives for a while.
func (c *Client) get(ctx context.Context, address string, s span, accept string) (*http.Response, error) {
	ctx, stop := context.WithCancelCause(ctx)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		stop(nil)
		return nil, permanent{err}
	}
	r.Header.Set("User-Agent", "weft")
	r.Header.Set("Accept-Encoding", "identity")
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	if s.to > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", s.from, s.to-1))
	}
	resp, err := c.http.Do(r)
	if err != nil {
		stop(nil)
		return nil, plainURL(err)
	}
	if err := c.answer(resp); err != nil {
		resp.Body.Close()
		stop(nil)
		return nil, err
	}
	dead := fmt.Errorf("nothing arrived for %v", c.o.Stall)
	resp.Body = &watched{resp.Body, ctx, stop, c.o.Stall, time.AfterFunc(c.o.Stall, func() { stop(dead) })}
	return resp, nil
}

// plainURL leaves the query out of an error: in redirects it is a signature.
func plainURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		if u, bad := url.Parse(e.URL); bad == nil {
			u.RawQuery = ""
			return fmt.Errorf("get %s: %w", u.Redacted(), e.Err)
		}
	}
	return err
}

// watched is a body that ends when it stalls.
type watched struct {
	io.ReadCloser
	ctx   context.Context
	stop  context.CancelCauseFunc
	stall time.Duration
	timer *time.Timer
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.timer.Reset(w.stall)
	if err != nil && err != io.EOF && w.ctx.Err() != nil {
		err = context.Cause(w.ctx)
	}
	return n, err
}

func (w *watched) Close() error {
	w.timer.Stop()
	w.stop(nil)
	return w.ReadCloser.Close()
}

// refusal is an answer that is no success.
type refusal struct {
	error
	wait time.Duration // what the registry asks for, if it asks
}

func (r refusal) Unwrap() error { return r.error }

// answer turns a status into an error that says what to do.
func (c *Client) answer(r *http.Response) error {
	host := r.Request.URL.Host
	said := ""
	if text := r.Header.Get("X-Error-Message"); text != "" {
		said = fmt.Sprintf(" (%s says: %.300q)", host, text)
	}
	token := ""
	if c.o.Token != "" {
		token = "; the token in HF_TOKEN was sent"
	}
	switch code := r.StatusCode; {
	case code == http.StatusOK || code == http.StatusPartialContent:
		return nil
	case code == http.StatusUnauthorized:
		return permanent{fmt.Errorf("%w (401)%s: it is private, gated or does not exist: check the name, and set HF_TOKEN to a token of an account that may read it%s", ErrDenied, said, token)}
	case code == http.StatusForbidden:
		return permanent{fmt.Errorf("%w (403)%s: ask for access on the model's page, then set HF_TOKEN to a token of that account%s", ErrDenied, said, token)}
	case code == http.StatusNotFound:
		return permanent{fmt.Errorf("%w (404)%s: check the name, the revision or tag, and the file", ErrNotFound, said)}
	case code == http.StatusRequestedRangeNotSatisfiable:
		return permanent{fmt.Errorf("%w: %s has no such range (416): the file is shorter than the list says; pull again, and if it stays so the mirror is out of step", ErrSize, host)}
	case code == http.StatusTooManyRequests:
		wait := retryAfter(r.Header.Get("Retry-After"))
		err := fmt.Errorf("%w (429)%s: %s asks to wait %v: pull again then, what is there is kept; HF_TOKEN raises the limit%s", ErrBusy, said, host, wait, token)
		if wait > c.o.MaxWait {
			return permanent{err}
		}
		return refusal{err, wait}
	case code >= 500 || code == http.StatusRequestTimeout:
		return refusal{fmt.Errorf("%s answers %s%s", host, r.Status, said), min(retryAfter(r.Header.Get("Retry-After")), c.o.MaxWait)}
	}
	return permanent{fmt.Errorf("%s answers %s%s", host, r.Status, said)}
}

// retryAfter reads seconds or a date.
func retryAfter(s string) time.Duration {
	if n, err := strconv.ParseInt(s, 10, 32); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, time.Until(t)).Round(time.Second)
	}
	return 0
}

// persist calls fn until it succeeds, until trying again would not help, or
// until it failed Tries times in a row without moved growing.
func (c *Client) persist(ctx context.Context, moved func() int64, fn func() error) error {
	pause, before := c.o.Pause, moved()
	for try := 1; ; try++ {
		err := fn()
		if err == nil || ctx.Err() != nil || errors.As(err, new(permanent)) {
			return err
		}
		if now := moved(); now > before {
			try, pause, before = 1, c.o.Pause, now
		}
		if try >= c.o.Tries {
			return fmt.Errorf("%w (tried %d times)", err, try)
		}
		wait := pause/2 + rand.N(pause) // so that ranges do not come back together
		if r := (refusal{}); errors.As(err, &r) {
			wait = max(wait, r.wait)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		pause = min(2*pause, c.o.MaxWait)
	}
}

// ask fetches a short answer, at most limit bytes.
func (c *Client) ask(ctx context.Context, address string, s span, accept string, limit int64) (data []byte, err error) {
	err = c.persist(ctx, func() int64 { return 0 }, func() error {
		r, err := c.get(ctx, address, s, accept)
		if err != nil {
			return err
		}
		defer r.Body.Close()
		data, err = io.ReadAll(io.LimitReader(r.Body, limit+1))
		if s.to > 0 { // a server without ranges sends all: the beginning is enough
			data = data[:min(int64(len(data)), limit)]
		}
		if err == nil && int64(len(data)) > limit {
			err = permanent{fmt.Errorf("%w: more than %d bytes", ErrListing, limit)}
		}
		return err
	})
	return data, err
}
