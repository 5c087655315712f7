package lora

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// check compares the name of the base that an adapter gives with those of the
// model. Shapes are compared later: they cannot tell a model from its own
// fine-tuned child.
func (b Base) check(base string) error {
	if base == "" || len(b.Names) == 0 {
		return nil
	}
	want := plainName(base)
	for _, name := range b.Names {
		if got := plainName(name); got == want || strings.HasPrefix(got, want) && quantEnd().MatchString(got[len(want):]) {
			return nil
		}
	}
	return fmt.Errorf("%w: it says that it was made for %q, and this model is %q: use that base, or say that any will do", ErrBase, base, b.Names)
}

// plainName is what a model is called wherever it lies: the last part of a
// path, a name of a registry or a file, in lower case.
//
//	Qwen/Qwen2.5-0.5B   hf:Qwen/Qwen2.5-0.5B   models/Qwen2.5-0.5B.gguf
//	~/.cache/huggingface/hub/models--Qwen--Qwen2.5-0.5B/snapshots/0a1b2c
func plainName(name string) string {
	name = strings.ToLower(strings.ReplaceAll(name, `\`, "/"))
	for _, registry := range []string{"hf:", "ollama:"} {
		if rest, ok := strings.CutPrefix(name, registry); ok {
			name, _, _ = strings.Cut(rest, ":") // a file or tag behind it
		}
	}
	if _, cached, ok := strings.Cut(name, "models--"); ok {
		cached, _, _ = strings.Cut(cached, "/")
		name = strings.ReplaceAll(cached, "--", "/")
	}
	return strings.TrimSuffix(path.Base(path.Clean(name)), ".gguf")
}

// quantEnd is how the name of a quantised model goes on behind its parent's.
func quantEnd() *regexp.Regexp {
	return regexp.MustCompile(`^[-._:](i?q[0-9][a-z0-9_]*|[fb]f?(16|32)|mxfp4|gguf)$`)
}
