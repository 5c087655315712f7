package zoo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"weft/internal/mapfile"
	"weft/model/weights/gguf"
	"weft/model/weights/safetensors"
	"weft/text/tokenizer"
)

// GGUF is a GGUF file as the model folder that it stands for: config.json,
// generation_config.json, tokenizer.json and tokenizer_config.json are made of
// its metadata when they are asked for, the weights are the file itself. It is
// open for as long as it, or a model that serves from it, is in use.
// Nothing of it changes after openFile, so it may be used by many goroutines at once.
type GGUF struct {
	path  string
	file  *gguf.File
	files map[string]func() ([]byte, error)
	tok   func() (*tokenizer.Tokenizer, error)
}

var _ fs.ReadDirFS = (*GGUF)(nil)

// Open finds the model that a path names: a GGUF file (of a split model any
// part), a folder in the Hugging Face layout, or a folder that holds no
// safetensors and one GGUF. It reads nothing of folders yet.
func Open(path string) (fs.FS, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	if !st.IsDir() {
		if !gguf.Is(path) {
			return nil, fmt.Errorf("model %s: %w: want a GGUF, or a folder with config.json, model.safetensors and tokenizer.json", path, ErrNoModel)
		}
		return openFile(path)
	}
	// Some authors publish both in one folder: then safetensors are taken.
	for _, name := range []string{safetensors.SingleFile, safetensors.IndexFile} {
		if _, err := os.Stat(filepath.Join(path, name)); err == nil {
			return mapfile.Dir(path), nil
		}
	}
	found, err := fs.Glob(os.DirFS(path), "*.gguf")
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", path, err)
	}
	// The first part of a split file stands for all.
	found = slices.DeleteFunc(found, gguf.IsLaterPart)
	switch len(found) {
	case 0:
		return mapfile.Dir(path), nil
	case 1:
		return openFile(filepath.Join(path, found[0]))
	}
	return nil, fmt.Errorf("model %s: %w: it holds %q: name the file", path, ErrNoModel, found)
}

// openFile opens a GGUF as a folder. Metadata is read now, weights and the files made of
// them when they are asked for; what costs much is made once.
func openFile(path string) (fs.FS, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	g := &GGUF{path: path, file: f}
	g.tok = sync.OnceValues(g.readTokenizer)
	g.files = map[string]func() ([]byte, error){
		ConfigFile:               sync.OnceValues(g.config),
		"generation_config.json": g.generation,
		"tokenizer_config.json":  g.tokenizerConfig,
		"tokenizer.json": sync.OnceValues(func() ([]byte, error) {
			if text, ok := g.text(hfTokenizer); ok {
				return []byte(text), nil
			}
			t, err := g.tok()
			if err != nil {
				return nil, err
			}
			return t.JSON()
		}),
	}
	// A model that serves holds g through its weights: the mapping must outlive them.
	runtime.AddCleanup(g, func(f *gguf.File) { f.Close() }, f)
	return g, nil
}

// hfTokenizer is the key that holds a whole tokenizer.json, as the format's
// specification has it. It says exactly what tokenizer.ggml.* say nearly.
const hfTokenizer = "tokenizer.huggingface.json"

// String is the path of the file.
func (g *GGUF) String() string { return g.path }

// Path is where the file lies; of a split model the part that was opened.
func (g *GGUF) Path() string { return g.path }

// Bytes is the size of the file or of all parts.
func (g *GGUF) Bytes() int64 { return g.file.Size() }

// WriteTo writes the file, or all parts one after the other; see io.WriterTo.
func (g *GGUF) WriteTo(w io.Writer) (int64, error) { return g.file.WriteTo(w) }

// Value is the metadata under a key; see gguf.File.Value.
func (g *GGUF) Value(key string) (any, bool) { return g.file.Value(key) }

// Tokenizer is the vocabulary inside, read once.
func (g *GGUF) Tokenizer() (*tokenizer.Tokenizer, error) { return g.tok() }

// readTokenizer prefers the whole tokenizer.json, if the file has one.
func (g *GGUF) readTokenizer() (*tokenizer.Tokenizer, error) {
	if _, ok := g.text(hfTokenizer); ok {
		return tokenizer.LoadFS(g)
	}
	t, err := tokenizer.FromGGUF(g.file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", g.path, err)
	}
	return t, nil
}

// text is metadata that must be a text.
func (g *GGUF) text(key string) (string, bool) {
	v, _ := g.file.Value(key)
	s, ok := v.(string)
	return s, ok && s != ""
}

// id is the token that tokenizer.ggml.KEY_token_id names, if there is one.
func (g *GGUF) id(key string) (id int32, ok bool) {
	v, _ := g.file.Value("tokenizer.ggml." + key + "_token_id")
	n, ok := gguf.Int(v)
	return int32(n), ok && n >= 0 && n < int64(g.vocab())
}

// tokens are the names of the vocabulary.
func (g *GGUF) tokens() []string {
	v, _ := g.file.Value("tokenizer.ggml.tokens")
	list, _ := v.([]string)
	return list
}

// ends are the tokens that end a text or a turn.
func (g *GGUF) ends() (ids []int32) {
	// End of text, of a turn, and of a message that waits for a tool.
	for _, key := range []string{"eos", "eot", "eom"} {
		if id, ok := g.id(key); ok && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// generation is a generation_config.json.
func (g *GGUF) generation() ([]byte, error) {
	c := map[string]any{}
	if ids := g.ends(); len(ids) > 0 {
		c["eos_token_id"] = ids
	}
	if id, ok := g.id("bos"); ok {
		c["bos_token_id"] = id
	}
	return json.MarshalIndent(c, "", "  ")
}

// tokenizerConfig is a tokenizer_config.json: names of tokens, and the chat
// template or templates.
func (g *GGUF) tokenizerConfig() ([]byte, error) {
	c := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast"}
	tokens := g.tokens()
	for key, name := range map[string]string{"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token"} {
		if id, ok := g.id(key); ok && int(id) < len(tokens) {
			c[name] = tokens[id]
		}
	}
	if text, ok := g.text("tokenizer.chat_template"); ok {
		c["chat_template"] = text
		if tools, ok := g.text("tokenizer.chat_template.tool_use"); ok {
			type named struct {
				Name     string `json:"name"`
				Template string `json:"template"`
			}
			// Several templates are a list of names and texts, as transformers writes them.
			c["chat_template"] = []named{{"default", text}, {"tool_use", tools}}
		}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(c)
	return out.Bytes(), err
}

// Open opens one of the files that the folder has; see fs.FS.
func (g *GGUF) Open(name string) (fs.File, error) {
	if name == "." {
		return &entry{name: ".", dir: g}, nil
	}
	// Files are made whole in memory: all of them but the weights are small.
	build, ok := g.files[name]
	if !ok {
		err := fs.ErrNotExist
		if !fs.ValidPath(name) {
			err = fs.ErrInvalid
		}
		return nil, &fs.PathError{Op: "open", Path: mapfile.Path(g, name), Err: err}
	}
	data, err := build()
	if err != nil {
		return nil, err
	}
	return &entry{name: name, size: len(data), Reader: bytes.NewReader(data)}, nil
}

// ReadDir lists the files; see fs.ReadDirFS.
func (g *GGUF) ReadDir(name string) ([]fs.DirEntry, error) {
	if name != "." {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	var list []fs.DirEntry
	for name := range g.files {
		list = append(list, dirEntry{name, g})
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return bytes.Compare([]byte(a.Name()), []byte(b.Name())) })
	return list, nil
}

// entry is an open file of a GGUF, or the folder; it describes itself.
type entry struct {
	*bytes.Reader
	name string
	size int
	dir  *GGUF // of the folder only
	seen int   // entries that were read
}

// The methods of fs.File and fs.FileInfo: nobody writes here, and no file has a time.
func (e *entry) Stat() (fs.FileInfo, error) { return e, nil }
func (e *entry) Close() error               { return nil }
func (e *entry) Name() string               { return e.name }
func (e *entry) Size() int64                { return int64(e.size) }
func (e *entry) ModTime() time.Time         { return time.Time{} }
func (e *entry) IsDir() bool                { return e.dir != nil }
func (e *entry) Sys() any                   { return nil }

// Mode is read-only, as the file is.
func (e *entry) Mode() fs.FileMode {
	if e.dir != nil {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// Read is the Reader's, but for the folder, which has none.
func (e *entry) Read(p []byte) (int, error) {
	if e.dir != nil {
		return 0, &fs.PathError{Op: "read", Path: e.dir.path, Err: errors.New("is a folder")}
	}
	return e.Reader.Read(p)
}

// ReadDir goes on where the last call ended, as fs.ReadDirFile wants it.
func (e *entry) ReadDir(n int) ([]fs.DirEntry, error) {
	if e.dir == nil {
		return nil, &fs.PathError{Op: "readdir", Path: e.name, Err: errors.New("is no folder")}
	}
	all, err := e.dir.ReadDir(".")
	if err != nil {
		return nil, err
	}
	all = all[e.seen:]
	if n > 0 && len(all) == 0 {
		return nil, io.EOF
	}
	if n > 0 {
		all = all[:min(n, len(all))]
	}
	e.seen += len(all)
	return all, nil
}

// dirEntry is a file of a GGUF that need not be made yet.
type dirEntry struct {
	name string
	dir  *GGUF
}

func (d dirEntry) Name() string      { return d.name }
func (d dirEntry) IsDir() bool       { return false }
func (d dirEntry) Type() fs.FileMode { return 0 }

// Info makes the file, since its size is not known before.
func (d dirEntry) Info() (fs.FileInfo, error) {
	f, err := d.dir.Open(d.name)
	if err != nil {
		return nil, err
	}
	return f.Stat()
}
