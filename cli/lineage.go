package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"weft/internal/mapfile"
	"weft/model/weights/safetensors"
	"weft/model/zoo"
	"weft/train"
)

// id is a hash of the files that decide what the model says.
func (l *loaded) id() (string, error) {
	// The template is in tokenizer_config.json or a file of its own; cards and metrics
	// decide nothing.
	return filesHash(l.files, slices.Concat(weightPatterns, []string{"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}))
}

// weightPatterns are the files of a folder that decide its weights.
var weightPatterns = []string{zoo.ConfigFile, "*.safetensors"}

// filesHash is a hash of the files of a folder that the patterns name, in that
// order; of a GGUF, which is one file, it is its own.
func filesHash(files fs.FS, patterns []string) (string, error) {
	sum := sha256.New()
	if g, ok := files.(*zoo.GGUF); ok {
		_, err := g.WriteTo(sum)
		return hex.EncodeToString(sum.Sum(nil)), err
	}
	names, err := globAll(files, patterns)
	if err != nil {
		return "", err
	}
	// Names are part of the hash: two files that changed places are another model.
	for _, name := range names {
		one, err := fileHash(files, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s  %s\n", one, name)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// globAll lists the files that patterns name, those of each in order.
func globAll(files fs.FS, patterns []string) (names []string, err error) {
	for _, pattern := range patterns {
		found, err := fs.Glob(files, pattern)
		if err != nil {
			return nil, err
		}
		slices.Sort(found)
		names = append(names, found...)
	}
	return names, nil
}

// fileHash is a file's SHA-256 in hexadecimal.
func fileHash(dir fs.FS, name string) (string, error) {
	f, err := dir.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// lineage is the training runs behind a model, the oldest first.
type lineage struct {
	runs    []*train.State
	missing bool // something came before the oldest that cannot be found
}

// tokens is what all runs were trained on; 0 where that is not known.
func (l lineage) tokens() (n int64) {
	if l.missing {
		return 0
	}
	for _, r := range l.runs {
		n += r.Tokens
	}
	return n
}

// ancestry follows the runs from a model's folder to its parents. A parent
// counts only if its weights are still those that the child began with.
// Every run notes its parent's path and the hash of its weights; a parent that was
// trained on since, or moved away, is missing rather than wrong.
func ancestry(arg string) (l lineage, err error) {
	for dir := arg; ; {
		s, err := train.ReadState(dir)
		if errors.Is(err, fs.ErrNotExist) {
			l.missing = true
			break
		}
		if err != nil {
			return l, err
		}
		l.runs = append(l.runs, s)
		if s.Lineage.Parent == "" {
			break
		}
		dir = s.Lineage.ParentPath
		if sum, err := fileHash(mapfile.Dir(dir), safetensors.SingleFile); err != nil || sum != s.Lineage.Parent {
			l.missing = true
			break
		}
		// Paths in a file may say anything.
		if len(l.runs) > 100 {
			return l, fmt.Errorf("model %s: the runs it says it comes from go in a circle", arg)
		}
	}
	slices.Reverse(l.runs)
	return l, nil
}

// command is the command line of a run, with every setting that decides its
// result, as the run resolved them. Folders are left to the reader.
func command(s *train.State) (string, error) {
	set := map[string]any{}
	d := json.NewDecoder(strings.NewReader(string(s.Settings)))
	// Learning rates are printed with the digits they were recorded with.
	d.UseNumber()
	if err := d.Decode(&set); err != nil {
		return "", fmt.Errorf("settings of a %s run: %w", s.Kind, err)
	}
	data := "DATA"
	if path, _ := set["data"].(string); path != "" {
		data = filepath.Base(path)
	}
	line := []string{"weft train", data}
	if s.Kind == "sft" {
		line = []string{"weft tune sft --base BASE --data", data}
	} else if set["pattern"] == nil { // it did not train its tokenizer
		line = append(line, "--tokenizer TOKENIZER")
		delete(set, "vocab")
		delete(set, "template")
	}
	// Epochs are a rule for the number of steps, and the steps are known by now.
	if number(set["steps"]) > 0 {
		delete(set, "epochs")
	}
	for _, f := range settingFlags() {
		v := set[f.setting]
		switch x := v.(type) {
		case bool:
			if x {
				line = append(line, "--"+f.flag)
			}
		case string:
			if x != "" {
				line = append(line, "--"+f.flag+" "+x)
			}
		case json.Number:
			// Options say "none" with a negative number; the flag for it is 0. Of eval_tokens, -1
			// means all.
			if n := number(v); n < 0 && f.setting != "eval_tokens" {
				line = append(line, "--"+f.flag+" 0")
			} else if n != 0 {
				line = append(line, "--"+f.flag+" "+x.String()+f.unit)
			}
		}
	}
	return strings.Join(line, " "), nil
}

// number is a setting as a number; 0 for what is none.
func number(v any) float64 {
	n, _ := v.(json.Number)
	x, _ := strconv.ParseFloat(string(n), 64)
	return x
}

// settingFlag is the flag of a recorded setting.
type settingFlag struct{ setting, flag, unit string }

// A test holds the list to the flags: a new setting cannot be forgotten here.
func settingFlags() []settingFlag {
	return []settingFlag{
		{"vocab", "vocab", ""}, {"pattern", "pattern", ""}, {"template", "template", ""},
		{"depth", "depth", ""}, {"dim", "dim", ""}, {"heads", "heads", ""}, {"kv_heads", "kv-heads", ""}, {"ffn", "ffn", ""}, {"untied", "untied", ""},
		{"seq_len", "seq", ""}, {"context", "context", ""}, {"batch_tokens", "batch-tokens", ""}, {"accumulate", "accumulate", ""},
		{"epochs", "epochs", ""}, {"steps", "steps", ""}, {"budget_seconds", "budget", "s"}, {"warmup", "warmup", ""},
		{"optimizer", "optimizer", ""}, {"schedule", "schedule", ""}, {"lr", "lr", ""}, {"lr_floor", "lr-floor", ""}, {"beta2", "beta2", ""},
		{"weight_decay", "weight-decay", ""}, {"clip", "clip", ""}, {"truncate", "truncate", ""}, {"all_tokens", "all-tokens", ""},
		{"val", "val", ""}, {"eval_tokens", "eval-tokens", ""}, {"random", "random", ""}, {"seed", "seed", ""},
	}
}
