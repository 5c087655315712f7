package hub

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// Source is a kind of registry, as names begin.
type Source string

// The known sources.
const (
	HuggingFace Source = "hf"
	Ollama      Source = "ollama"
)

// OllamaHost is where Ollama's names lie unless they say.
const OllamaHost = "registry.ollama.ai"

// Name names a model in a registry.
type Name struct {
	Source   Source
	Host     string // Ollama: registry.ollama.ai unless the name says
	Repo     string // org/name; Ollama: namespace/name, namespace library unless the name says
	Select   string // Hugging Face: a file or a quantisation such as Q4_K_M; empty: what there is
	Revision string // Hugging Face: branch, tag or commit (main); Ollama: tag (latest)
}

// Is says whether a MODEL argument is a name of a registry and not a path.
func Is(arg string) bool {
	source, _, ok := strings.Cut(arg, ":")
	return ok && (Source(source) == HuggingFace || Source(source) == Ollama)
}

// Parse reads hf:org/name[:file|:quant][@revision] or
// ollama:[host/][namespace/]name[:tag].
func Parse(arg string) (Name, error) {
	source, rest, _ := strings.Cut(arg, ":")
	var n Name
	var ok bool
	switch Source(source) {
	case HuggingFace:
		n, ok = parseHF(rest)
	case Ollama:
		n, ok = parseOllama(rest)
	}
	if !ok {
		return Name{}, fmt.Errorf("%w: %.200q: want hf:org/name, hf:org/name:Q4_K_M, hf:org/name:file.gguf@revision or ollama:name:tag", ErrName, arg)
	}
	return n, nil
}

// word is one part of a name: it can be a folder's name everywhere.
var word = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

func parseHF(s string) (Name, bool) {
	n := Name{Source: HuggingFace, Revision: "main"}
	rest, revision, given := strings.Cut(s, "@")
	if given {
		n.Revision = revision
	}
	repo, sel, chosen := strings.Cut(rest, ":")
	n.Repo, n.Select = repo, sel
	parts := strings.Split(repo, "/")
	ok := len(parts) <= 2 && words(parts...) && !strings.Contains(repo, "--") && words(strings.Split(n.Revision, "/")...)
	return n, ok && (!chosen || safePath(sel))
}

func parseOllama(s string) (Name, bool) {
	n := Name{Source: Ollama, Host: OllamaHost, Revision: "latest"}
	slash := strings.LastIndexByte(s, '/')
	if colon := strings.LastIndexByte(s, ':'); colon > slash { // a colon before it is the host's port
		s, n.Revision = s[:colon], s[colon+1:]
	}
	parts := strings.Split(s, "/")
	switch len(parts) {
	case 1:
		parts = append([]string{"library"}, parts...)
	case 3:
		n.Host, parts = parts[0], parts[1:]
	}
	n.Repo = strings.Join(parts, "/")
	host, port, _ := strings.Cut(n.Host, ":")
	return n, len(parts) == 2 && words(parts...) && words(host, n.Revision) && (port == "" || words(port))
}

// words says whether all parts are sound, and none is or hides a way up.
func words(parts ...string) bool {
	for _, p := range parts {
		if !word.MatchString(p) || strings.Contains(p, "..") {
			return false
		}
	}
	return true
}

// hostile says whether a path could lead out of the folder that it is put below,
// or is made to look like another.
func hostile(path string) bool {
	if !fs.ValidPath(path) || path == "." || strings.Contains(path, `\`) {
		return true
	}
	return strings.IndexFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0
}

// safePath says whether a path can be one below a folder on every system: not
// hostile, no drive, no stream, no wildcard.
func safePath(path string) bool {
	if hostile(path) || len(path) > 512 || strings.ContainsAny(path, `:*?"<>|`) {
		return false
	}
	for _, part := range strings.Split(path, "/") {
		if strings.HasPrefix(part, "..") || strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") {
			return false
		}
	}
	return true
}

// String writes the name as Parse reads it, without what is understood.
func (n Name) String() string {
	s := string(n.Source) + ":"
	if n.Source == Ollama {
		if n.Host != OllamaHost {
			s += n.Host + "/"
		}
		s += strings.TrimPrefix(n.Repo, "library/")
		if n.Revision != "latest" {
			s += ":" + n.Revision
		}
		return s
	}
	s += n.Repo
	if n.Select != "" {
		s += ":" + n.Select
	}
	if n.Revision != "main" {
		s += "@" + n.Revision
	}
	return s
}
