package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"weft/compute/kernel"
)

// buildInfo is what `weft version --json` prints.
type buildInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Dirty   bool   `json:"dirty,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Kernels string `json:"kernels"`
	Static  bool   `json:"static"` // built without cgo: needs no library of the system
}

// readBuild asks the binary itself, which knows what the go command built it of; nothing
// is stamped in by the build.
func readBuild() buildInfo {
	b := buildInfo{Version: "devel", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Kernels: kernel.Name()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		case "CGO_ENABLED":
			b.Static = s.Value == "0"
		}
	}
	return b
}

// versionCmd is what a bug report should begin with.
func (e *env) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and what this build runs on",
		Args:  exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			if e.json {
				return json.NewEncoder(e.out).Encode(b)
			}
			_, err := fmt.Fprintf(e.out, "weft %s %s %s/%s, %s kernels\n", b.Version, b.Go, b.OS, b.Arch, b.Kernels)
			return err
		},
	}
}
