package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weft/compute/quant"
	"weft/internal/atomicfile"
	"weft/model"
	"weft/model/weights/gguf"
	"weft/model/zoo"
)

// exportFlags are the settings of `weft export`.
type exportFlags struct {
	gguf, mix, folder, modelfile string
	split                        partSize
	adapter                      string // folder of an adapter to merge; none
	anyBase                      bool   // of a base of any name
	random                       string // a shape, instead of a MODEL
}

// exported is what one file or folder of an export is, and what `--json` prints.
type exported struct {
	Path    string         `json:"path"`
	Kind    string         `json:"kind"` // gguf, safetensors or modelfile
	Bytes   int64          `json:"bytes"`
	Formats map[string]int `json:"formats,omitempty"` // tensors by format
	Notes   []string       `json:"notes,omitempty"`
}

func (e *env) exportCmd() *cobra.Command {
	var o exportFlags
	c := &cobra.Command{
		Use:   "export [MODEL]",
		Short: "Write a model for other programs: GGUF, safetensors, Ollama's Modelfile",
		Long: `Export writes what other programs read, any of these in one go:

  --gguf FILE        one file for llama.cpp and what is built on it: weights in the
                     --type that is asked for, tokenizer, chat template, BOS and EOS
  --safetensors DIR  a folder in the Hugging Face layout, weights in float32, or in 16
                     bits with --type f16 or bf16
  --modelfile FILE   how Ollama runs the GGUF: its template and where an answer ends

Files and folders are whole or absent: a full disk leaves what was there. With
--split-max-size a GGUF is cut into parts NAME-00001-of-0000N.gguf, as llama.cpp
does it; whoever is given one of them finds the others.

With --adapter, a LoRA adapter is added to the weights first: what is written is the
adapted model, for programs that know no adapters.

The GGUF also holds the tokenizer.json as it is, so that a model that comes back has
the same ids to the last one. What a file cannot say is printed as a note.

--random SHAPE writes random weights of a published shape instead of a MODEL, with a
made-up vocabulary: to measure weft and other programs on the same bytes.`,
		Example: "  weft export out/chat --gguf chat.gguf --type q4_k_m --modelfile Modelfile\n" +
			"  weft export tiny --gguf tiny.gguf && weft run tiny.gguf --chat 'Who are you?'\n" +
			"  weft export --random 1.1b --gguf random.gguf --type q4_k_m",
		Args:              optionalArg("MODEL"),
		ValidArgsFunction: modelArg,
		RunE: func(_ *cobra.Command, args []string) error {
			done, err := e.exportAll(args, o)
			for _, x := range done {
				if err := e.printExported(x); err != nil {
					return err
				}
			}
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&o.gguf, "gguf", "", "GGUF `file` to write")
	mixFlag(c, &o.mix)
	splitFlag(c, &o.split)
	f.StringVar(&o.adapter, "adapter", "", "`folder` of a LoRA adapter in PEFT's layout, to merge into the weights")
	anyBaseFlag(c, &o.anyBase)
	f.StringVar(&o.folder, "safetensors", "", "`folder` to write")
	f.StringVar(&o.modelfile, "modelfile", "", "Modelfile of Ollama to write, as `file`")
	f.StringVar(&o.random, "random", "", "with --gguf: random weights of a shape instead of a MODEL: "+strings.Join(shapeNames(), ", "))
	return c
}

// exportAll writes what is asked for of a MODEL, or of random weights.
func (e *env) exportAll(args []string, o exportFlags) ([]exported, error) {
	switch {
	case o.random == "" && len(args) == 0:
		return nil, &usageError{errors.New("export: MODEL is missing: name one, or --random SHAPE")}
	case o.random == "":
		return e.export(args[0], o)
	case len(args) > 0 || o.gguf == "" || o.folder != "" || o.modelfile != "":
		return nil, &usageError{errors.New("export: --random stands for a MODEL and is written with --gguf FILE alone")}
	}
	mix, err := quant.ParseMixture(o.mix)
	if err != nil {
		return nil, &usageError{fmt.Errorf("export: --type: %w", err)}
	}
	x, err := e.exportRandom(o.random, o.gguf, mix, o.split)
	if err != nil {
		return nil, err
	}
	return []exported{x}, nil
}

// mixFlag registers --type.
func mixFlag(c *cobra.Command, p *string) {
	c.Flags().StringVar(p, "type", "q8_0", "format of the matrices: "+strings.Join(mixtureNames(), ", "))
	completeTypes(c)
}

// mixtureNames lists what --type takes, as people write it.
func mixtureNames() []string {
	return strings.Split(strings.ToLower(strings.Join(quant.MixtureNames(), " ")), " ")
}

// export writes what is asked for, and returns what it has written even if
// something then goes wrong.
func (e *env) export(arg string, o exportFlags) (done []exported, err error) {
	mix, err := quant.ParseMixture(o.mix)
	if err != nil {
		return nil, &usageError{fmt.Errorf("export: --type: %w", err)}
	}
	if o.gguf == "" && o.folder == "" && o.modelfile == "" {
		return nil, &usageError{errors.New("export: nothing to write: name --gguf FILE, --safetensors DIR or --modelfile FILE")}
	}
	wide := o.folder != "" || o.adapter != "" // for a GGUF rows are encoded one by one
	if o.adapter != "" && o.gguf == "" && o.folder == "" {
		return nil, &usageError{errors.New("export: --adapter changes weights: name --gguf FILE or --safetensors DIR to write them to")}
	}
	l, err := loadWith(arg, reading{wide: wide})
	if err == nil && o.adapter != "" {
		err = l.merge(o.adapter, o.anyBase)
	}
	if err != nil {
		return nil, err
	}
	for _, out := range []string{o.gguf, o.folder} {
		if out != "" && !l.embedded && same(arg, out) {
			return nil, fmt.Errorf("export: %s is the model itself: name another place, so that the weights stay", out)
		}
	}
	weights := arg // what a Modelfile is for
	if o.gguf != "" {
		x, err := e.exportGGUF(l, l.model, o.gguf, mix, o.split)
		if err != nil {
			return done, err
		}
		done, weights = append(done, x), x.Path
	}
	if o.folder != "" {
		if err := l.saveFolder(o.folder, folderFormat(mix)); err != nil {
			return done, err
		}
		n, err := weightBytes(os.DirFS(o.folder))
		if err != nil {
			return done, err
		}
		done = append(done, exported{Path: o.folder, Kind: "safetensors", Bytes: n})
	}
	if o.modelfile != "" {
		if _, ok := l.files.(*zoo.GGUF); !ok && o.gguf == "" {
			return done, &usageError{errors.New("export: --modelfile is about a GGUF: name the one to write with --gguf FILE")}
		}
		text, notes, err := modelfile(l, o.modelfile, weights)
		if err == nil {
			err = atomicfile.WriteBytes(o.modelfile, []byte(text))
		}
		if err != nil {
			return done, err
		}
		done = append(done, exported{Path: o.modelfile, Kind: "modelfile", Bytes: int64(len(text)), Notes: notes})
	}
	return done, nil
}

// folderFormat is what a folder's matrices are stored in: 16 bits where they are
// asked for, else float32.
func folderFormat(mix quant.Mixture) quant.Format {
	if mix.Base == quant.F16 || mix.Base == quant.BF16 {
		return mix.Base
	}
	return quant.F32
}

// exportGGUF writes a model, with what else is in its folder, as one file, or as
// parts of a size.
func (e *env) exportGGUF(l *loaded, m model.Model, path string, mix quant.Mixture, split partSize, meta ...gguf.KV) (exported, error) {
	pool := e.pool()
	defer pool.Close()
	saved, err := zoo.SaveGGUF(path, m, l.files, zoo.GGUFOptions{Mix: mix, Name: l.name, Pool: pool, Meta: meta, MaxFile: int64(split)})
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: is there a folder %s?", err, filepath.Dir(path))
	}
	return exported{Path: saved.Path, Kind: "gguf", Bytes: saved.Bytes, Formats: saved.Formats, Notes: saved.Notes}, err
}

func (e *env) printExported(x exported) error {
	if e.json {
		return json.NewEncoder(e.out).Encode(x)
	}
	fmt.Fprintf(e.out, "%s: %s, %s", x.Path, x.Kind, humanBytes(uint64(x.Bytes)))
	for i, name := range slices.Sorted(maps.Keys(x.Formats)) {
		sep := ", "
		if i == 0 {
			sep = "; tensors: "
		}
		fmt.Fprintf(e.out, "%s%d %s", sep, x.Formats[name], name)
	}
	fmt.Fprintln(e.out)
	for _, note := range x.Notes {
		fmt.Fprintf(e.out, "  note: %s\n", note)
	}
	return nil
}
