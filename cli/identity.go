package cli

import (
	"fmt"
	"strings"
	"sync"

	"weft/chat"
	"weft/compute/kernel"
)

// identity finds out what a loaded model is, for manifests: once, when it is
// first asked for, since reading all weights takes its time. Files of a folder
// that have changed since the model was loaded are an error: their hash would not
// be that of what answers.
func (l *loaded) identity(o engineOptions) func() (chat.Identity, error) {
	id := chat.Identity{
		Stored: l.stored, Tokenizer: l.tok.Hash(), Engine: engineVersion(), Kernels: kernel.Name(), Cache: o.KVType.String(),
	}
	if l.tmpl != nil {
		id.Template = l.tmpl.Hash()
	}
	files, name := l.files, l.name // and not the weights
	before, err := describeFiles(files)
	return sync.OnceValues(func() (chat.Identity, error) {
		if err != nil {
			return id, err
		}
		sum, err := filesHash(files, weightPatterns)
		if err != nil {
			return id, err
		}
		if now, err := describeFiles(files); err != nil || now != before {
			return id, &chat.UnavailableError{Msg: fmt.Sprintf("the files of the model %s have changed since it was loaded, so no manifest can vouch for its answers: restart the server", name), Err: err}
		}
		id.Weights = sum
		return id, nil
	})
}

// engineVersion names this build.
func engineVersion() string {
	b := readBuild()
	words := []string{"weft", b.Version}
	if b.Commit != "" {
		words = append(words, b.Commit)
	}
	if b.Dirty {
		words = append(words, "modified")
	}
	return strings.Join(append(words, b.Go, b.OS+"/"+b.Arch), " ")
}
