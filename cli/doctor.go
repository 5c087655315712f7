package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"weft/compute/kernel"
	"weft/internal/sysmem"
)

// report is what `weft doctor --json` prints. Speeds are measured when asked.
// Sizes are bytes; 0 where the system does not say.
type report struct {
	Build     buildInfo `json:"build"`
	Cores     int       `json:"cores"`
	Threads   int       `json:"threads"`
	Features  []string  `json:"cpu_features"`
	Kernels   string    `json:"kernels"`
	Memory    uint64    `json:"memory_bytes,omitempty"`
	Available uint64    `json:"memory_available_bytes,omitempty"`
	GFLOPS    float64   `json:"fma_gflops"`
	GBPS      float64   `json:"read_gb_per_s"`
	Disk      uint64    `json:"disk_free_bytes,omitempty"` // of the working folder, where runs go
	Advice    []string  `json:"advice"`
}

// doctorCmd measures anew each time: figures of another day belong to another load.
func (e *env) doctorCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look at this machine: what will be fast here, and why",
		Args:  exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			r := e.examine()
			if e.json {
				return json.NewEncoder(e.out).Encode(r)
			}
			return r.print(e)
		},
	}
}

// examine measures for about half a second.
func (e *env) examine() report {
	pool := e.pool()
	defer pool.Close()
	r := report{
		Build: readBuild(), Cores: runtime.NumCPU(), Threads: pool.Size(),
		Features: kernel.Features(), Kernels: kernel.Name(), Disk: diskFree("."),
		Memory: uint64(sysmem.Total()), Available: uint64(sysmem.Free()),
	}
	// A fifth of a second is enough for the clock to settle, and short enough to run often.
	r.GFLOPS = kernel.Peak(pool, 200*time.Millisecond) / 1e9
	r.GBPS = kernel.Bandwidth(pool, 300*time.Millisecond) / 1e9
	r.Advice = r.advise()
	return r
}

// advise turns the measurements into sentences with the arithmetic in them.
// A weight, its gradient and AdamW's two moments are 16 bytes in float32.
func (r *report) advise() []string {
	var a []string
	switch r.Kernels {
	case "avx512":
		a = append(a, "AVX-512 kernels are in use: the fastest that weft has.")
	case "avx2":
		a = append(a, "AVX2 kernels are in use; a CPU with AVX-512 would do about twice the arithmetic per cycle.")
	default:
		a = append(a, "generic Go kernels are in use: correct, but 20 to 90 times slower. Use an amd64 CPU with AVX2, and a build without the tag purego.")
	}
	flops := r.GFLOPS * 1e9
	a = append(a,
		fmt.Sprintf("training costs 6 FLOP per weight and token: at half of the %.0f GFLOP/s measured, a 10M-parameter model learns from about %.0f tokens/s.",
			r.GFLOPS, flops/2/6/10e6),
		fmt.Sprintf("generating one token reads every weight: a 100M-parameter float32 model is bound by memory at %.0f tokens/s (%.1f GB/s), one in 8 bits (weft quantize) at up to 3.5 times that, a model that fits the caches is not.",
			r.GBPS*1e9/400e6, r.GBPS))
	if r.Available > 0 {
		a = append(a, fmt.Sprintf("%s of memory are free: training needs 16 bytes per weight plus activations, so stay below about %.0fM parameters.",
			humanBytes(r.Available), float64(r.Available)/2/16/1e6))
	}
	if !r.Build.Static {
		a = append(a, "this build looks names up through the C library; CGO_ENABLED=0 go build ./cmd/weft makes a static binary, as fast.")
	}
	if r.Disk > 0 && r.Disk < 1<<30 {
		a = append(a, fmt.Sprintf("only %s are free in this folder: checkpoints may not fit; give runs another with --out.", humanBytes(r.Disk)))
	}
	return a
}

// print is the report for people.
func (r *report) print(e *env) error {
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "weft\t%s, %s, %s/%s\n", r.Build.Version, r.Build.Go, r.Build.OS, r.Build.Arch)
	fmt.Fprintf(w, "cpu\t%d cores, %d threads used; %s\n", r.Cores, r.Threads, strings.Join(r.Features, " "))
	fmt.Fprintf(w, "kernels\t%s\n", r.Kernels)
	fmt.Fprintf(w, "arithmetic\t%.0f GFLOP/s float32 FMA peak, measured now\n", r.GFLOPS)
	fmt.Fprintf(w, "memory\t%.1f GB/s read, measured now; %s in all, %s free\n", r.GBPS, humanBytes(r.Memory), humanBytes(r.Available))
	fmt.Fprintf(w, "disk\t%s free in this folder\n", humanBytes(r.Disk))
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(e.out)
	for _, line := range r.Advice {
		fmt.Fprintf(e.out, "- %s\n", line)
	}
	return nil
}

// humanBytes prints a size with binary units.
func humanBytes(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for ; f >= 1024 && i < len(units)-1; i++ {
		f /= 1024
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}
