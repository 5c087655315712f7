package cli

import (
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"weft/compute/quant"
	"weft/model"
	"weft/model/zoo"
)

// matrixType is the mixture that matrices are kept in while a model serves. The
// zero value is what its files store. It implements pflag.Value.
type matrixType struct{ quant.Mixture }

func (s *matrixType) String() string { return strings.ToLower(s.Name) }
func (s *matrixType) Type() string   { return "string" }

// Set reads a name.
func (s *matrixType) Set(name string) (err error) {
	s.Mixture, err = quant.ParseMixture(name)
	return err
}

// storedFlag registers --type of commands that serve.
func storedFlag(c *cobra.Command, s *matrixType) {
	c.Flags().Var(s, "type", "format to keep matrices in, encoded while they are read: "+strings.Join(mixtureNames(), ", ")+" (default: as the files store them)")
	completeTypes(c)
}

// completeTypes completes --type.
func completeTypes(c *cobra.Command) {
	_ = c.RegisterFlagCompletionFunc("type", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return mixtureNames(), cobra.ShellCompDirectiveNoFileComp
	})
}

// partSize is how large a part of a GGUF may be, in bytes; 0: it is one file. It
// implements pflag.Value.
type partSize int64

func (s *partSize) Type() string { return "size" }

func (s *partSize) String() string {
	if *s == 0 {
		return ""
	}
	return bytes64(int64(*s))
}

// Set reads a size.
func (s *partSize) Set(text string) error {
	n, err := parseBytes(text)
	*s = partSize(n)
	return err
}

// splitFlag registers --split-max-size.
func splitFlag(c *cobra.Command, s *partSize) {
	c.Flags().Var(s, "split-max-size", "cut a GGUF into parts of at most this size, as 2GB (default: one file)")
}

// reading is how the weights of a model are kept in memory.
type reading struct {
	wide bool       // in float32, to be saved or trained; else to serve
	as   matrixType // to serve
}

// load reads a model.
func (r reading) load(files fs.FS) (model.Model, error) {
	switch {
	case r.wide:
		return zoo.LoadFS(files)
	case r.as.Name != "":
		return zoo.LoadAs(files, r.as.Mixture)
	}
	return zoo.LoadServing(files)
}
