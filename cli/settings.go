package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// settingsFile is read from the working directory when --config is not given.
const settingsFile = "weft.yaml"

// applySettings sets the flags of cmd that were not given by hand, first from
// the environment (WEFT_SERVE_ADDR), then from the settings file. The file maps
// command names to flag names ("serve: {addr: ...}", "tok train: {vocab: ...}",
// global flags at the top level). Every key in it is checked, also those of
// other commands, so that a typo never waits for its day.
func applySettings(cmd *cobra.Command) error {
	if err := fromEnvironment(cmd); err != nil {
		return err
	}
	// A file named by hand must be there; the default one may be missing.
	path := cmd.Flag("config").Value.String()
	explicit := path != ""
	if !explicit {
		path = settingsFile
	}
	data, err := os.ReadFile(path)
	if !explicit && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	var doc yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(data))
	if err := in.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := in.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: a second document begins after a line of ---: want one", path)
	}
	// Whoever sets a flag marks it as changed: so the environment, which comes first,
	// wins over the file, and commands tell a setting from a default.
	s := settings{path: path, cmd: cmd, root: cmd.Root(), seen: map[string]int{}}
	return s.top(doc.Content[0])
}

// settings is one reading of the file, for the command that runs.
type settings struct {
	path      string
	cmd, root *cobra.Command
	seen      map[string]int // line of each key
}

// once refuses a key that stands twice: YAML does not say which one counts.
func (s *settings) once(name string, key *yaml.Node) error {
	if line, ok := s.seen[name]; ok {
		return s.errorf(key, "%s: is set on line %d already", key.Value, line)
	}
	s.seen[name] = key.Line
	return nil
}

// errorf is an error with the file and the line.
func (s *settings) errorf(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", s.path, n.Line, fmt.Sprintf(format, args...))
}

// top reads the first level: global flags and command names.
func (s *settings) top(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return s.errorf(n, "want a mapping of commands to flags")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if err := s.once(key.Value, key); err != nil {
			return err
		}
		if f := s.root.PersistentFlags().Lookup(key.Value); f != nil && f.Name != "config" {
			if err := s.set(f, key, val); err != nil {
				return err
			}
			continue
		}
		// Names of commands may have spaces: "tok train".
		c, rest, err := s.root.Find(strings.Fields(key.Value))
		if err != nil || c == s.root || len(rest) > 0 {
			return s.errorf(key, "unknown key %q%s", key.Value, didYouMean(key.Value, s.topKeys()))
		}
		if err := s.section(c, val); err != nil {
			return err
		}
	}
	return nil
}

// section reads the flags of one command.
func (s *settings) section(c *cobra.Command, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return s.errorf(n, "%s: want a mapping of flags to values", c.Name())
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		f := c.LocalFlags().Lookup(key.Value)
		if f == nil || f.Name == "help" {
			var names []string
			c.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if f.Name != "help" {
					names = append(names, f.Name)
				}
			})
			return s.errorf(key, "%s: unknown key %q%s", c.Name(), key.Value, didYouMean(key.Value, names))
		}
		if err := s.once(c.CommandPath()+" "+key.Value, key); err != nil {
			return err
		}
		if err := s.set(f, key, val); err != nil {
			return err
		}
	}
	return nil
}

// set checks the value of a flag and gives it to the command that runs.
func (s *settings) set(f *pflag.Flag, key, val *yaml.Node) error {
	if val.Kind != yaml.ScalarNode {
		return s.errorf(val, "%s: want one value", key.Value)
	}
	// Settings of other commands are tried on their flags and taken back: that is the
	// check of their type, by the flag itself.
	mine := s.cmd.Flags().Lookup(f.Name) == f
	if f.Changed {
		return nil
	}
	old := f.Value.String()
	if err := f.Value.Set(val.Value); err != nil {
		return s.errorf(val, "%s: %q is no %s: %v", key.Value, val.Value, f.Value.Type(), err)
	}
	if mine {
		f.Changed = true
		return nil
	}
	return f.Value.Set(old)
}

// topKeys are all keys that may stand at the top, for the guess at a typo.
func (s *settings) topKeys() []string {
	var names []string
	s.root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" {
			names = append(names, f.Name)
		}
	})
	for _, c := range s.root.Commands() {
		names = append(names, c.Name())
		for _, sub := range c.Commands() {
			names = append(names, c.Name()+" "+sub.Name())
		}
	}
	return names
}

// fromEnvironment sets flags from WEFT_<COMMAND>_<FLAG>, global ones from
// WEFT_<FLAG>.
func fromEnvironment(cmd *cobra.Command) error {
	path := strings.Fields(cmd.CommandPath())[1:]
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		parts := append([]string{"weft"}, path...)
		if cmd.Root().PersistentFlags().Lookup(f.Name) == f {
			parts = parts[:1]
		}
		// Global flags have no command in their name: WEFT_THREADS.
		name := strings.ToUpper(strings.ReplaceAll(strings.Join(append(parts, f.Name), "_"), "-", "_"))
		val, ok := os.LookupEnv(name)
		if !ok || f.Changed || err != nil {
			return
		}
		if e := f.Value.Set(val); e != nil {
			err = fmt.Errorf("environment %s=%q: %w", name, val, e)
			return
		}
		f.Changed = true
	})
	return err
}

// didYouMean offers the nearest known name, if one is near.
// Two letters off is near; of equally near names the first in the list wins.
func didYouMean(got string, known []string) string {
	best, dist := "", 3
	for _, k := range known {
		if d := editDistance(got, k); d < dist {
			best, dist = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// editDistance is Levenshtein's.
// It is in bytes: flags and commands are ASCII.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		// row holds the distances of a's beginning to each beginning of b; diag is the one
		// up and to the left of where we are.
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
