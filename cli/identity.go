package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"weft/chat"
	"weft/compute/kernel"
	"weft/model/zoo"
)

// identity finds out what a loaded model is, for manifests: once, when it is
// first asked for, since reading all weights takes its time. Files of a folder
// that have changed since the model was loaded are an error: their hash would not
// be that of what answers.
func (l *loaded) identity(o engineOptions) func() (chat.Identity, error) {
	id := chat.Identity{
		Tokenizer: l.tok.Hash(), Engine: engineVersion(), Kernels: kernel.Name(), Cache: o.KVType.String(),
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
		sum, err := weightsHash(&loaded{files: files})
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

// weightsHash is a hash of the files that decide the weights: of a GGUF all of it.
func weightsHash(l *loaded) (string, error) {
	sum := sha256.New()
	if g, ok := l.files.(*zoo.GGUF); ok {
		_, err := g.WriteTo(sum)
		return hex.EncodeToString(sum.Sum(nil)), err
	}
	names, err := weightFiles(l.files)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		one, err := fileHash(l.files, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s  %s\n", one, name)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
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
