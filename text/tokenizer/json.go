package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"weft/internal/mapfile"
)

const (
	maxFile  = 128 << 20 // bytes of a tokenizer file
	maxToken = 512       // bytes of a token whose merges must be recovered
	maxVocab = 1 << 24   // ids
	maxHoles = 1 << 16   // ids without a token
)

// Load reads a Hugging Face tokenizer.json, or the one in a folder. From a
// tokenizer_config.json beside it, if there is one, it takes which token ends a
// text (eos_token), and which begins it where add_bos_token is true.
//
// Errors wrap ErrFormat or ErrUnsupported, or say what could not be read.
func Load(path string) (*Tokenizer, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return LoadFS(mapfile.Dir(path))
	}
	return load(mapfile.Dir(filepath.Dir(path)), filepath.Base(path))
}

// LoadFS is Load for a folder wherever it lies, such as in the binary.
func LoadFS(dir fs.FS) (*Tokenizer, error) { return load(dir, "tokenizer.json") }

func load(dir fs.FS, name string) (*Tokenizer, error) {
	path := mapfile.Path(dir, name)
	data, err := readFile(dir, name)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	t, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	const side = "tokenizer_config.json"
	if data, err = readFile(dir, side); err == nil {
		err = t.configure(data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("tokenizer: %s: %w", mapfile.Path(dir, side), err)
	}
	return t, nil
}

// readFile reads at most maxFile bytes, whatever the file claims to be.
func readFile(dir fs.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: more than %d MiB: %w", mapfile.Path(dir, name), maxFile>>20, ErrFormat)
	}
	return data, err
}

// configure takes the markers of a tokenizer_config.json.
func (t *Tokenizer) configure(data []byte) error {
	var c struct {
		AddBOS bool      `json:"add_bos_token"`
		BOS    nameOrObj `json:"bos_token"`
		EOS    nameOrObj `json:"eos_token"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	set := func(field string, name nameOrObj, id *int32) error {
		if name == "" {
			return nil
		}
		found, ok := t.specials[string(name)]
		if !ok {
			return fmt.Errorf("%s %q is not among the added tokens of tokenizer.json: %w", field, name, ErrFormat)
		}
		*id = found
		return nil
	}
	if c.AddBOS {
		if err := set("bos_token", c.BOS, &t.bos); err != nil {
			return err
		}
	}
	return set("eos_token", c.EOS, &t.eos)
}

// nameOrObj is a token given as "name" or as {"content": "name", …}.
type nameOrObj string

// UnmarshalJSON takes null for no name.
func (n *nameOrObj) UnmarshalJSON(data []byte) error {
	var obj struct {
		Content string `json:"content"`
	}
	if json.Unmarshal(data, &obj) == nil {
		*n = nameOrObj(obj.Content)
		return nil
	}
	return json.Unmarshal(data, (*string)(n))
}
