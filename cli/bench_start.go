package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"weft/internal/sysmem"
)

// startRow is what it takes to get a model's first token from nothing: a process
// of its own each time, while the files are in the system's cache.
type startRow struct {
	Model   string    `json:"model"`
	Files   int64     `json:"weight_bytes"` // of the files
	Samples []float64 `json:"seconds_to_first_token"`
	Median  float64   `json:"median"`
	Peak    int64     `json:"peak_memory_bytes"` // the most of all runs, key/value cache and all; 0: the system does not say
	Share   float64   `json:"of_files"`          // peak by the size of the files
}

// start measures how long `weft run` takes from its start to its first token,
// and how much memory it has at most. The first run, which may read from disk, does
// not count.
func (b *modelBench) start(ctx context.Context, e *env, arg string) (startRow, error) {
	row := startRow{Model: arg}
	l, err := findModel(arg)
	if err != nil {
		return row, err
	}
	if row.Files, err = weightBytes(l.files); err != nil {
		return row, err
	}
	for i := range b.repeats + 1 {
		took, peak, err := e.firstToken(ctx, arg, b.stored)
		if err != nil {
			return row, fmt.Errorf("bench --start: %w", err)
		}
		if i > 0 {
			row.Samples, row.Peak = append(row.Samples, took), max(row.Peak, peak)
		}
	}
	row.Median = middle(slices.Clone(row.Samples))
	row.Share = float64(row.Peak) / float64(max(1, row.Files))
	return row, nil
}

// firstToken runs this program once.
func (e *env) firstToken(ctx context.Context, arg string, as matrixType) (seconds float64, peak int64, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, 0, err
	}
	args := []string{"run", arg, "a", "--max-tokens", "1", "--temperature", "0"}
	if e.threads > 0 {
		args = append(args, "--threads", strconv.Itoa(e.threads))
	}
	if as.Name != "" {
		args = append(args, "--type", as.String())
	}
	var said bytes.Buffer
	c := exec.CommandContext(ctx, self, args...)
	c.Stderr = &said
	out, err := c.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	if err := c.Start(); err != nil {
		return 0, 0, err
	}
	var first [1]byte
	_, err = io.ReadFull(out, first[:])
	seconds = time.Since(begin).Seconds()
	_, rest := io.Copy(io.Discard, out)
	if err := errors.Join(err, rest, c.Wait()); err != nil {
		return 0, 0, fmt.Errorf("weft %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return seconds, sysmem.Peak(c.ProcessState), nil
}

// printStarts shows rows as a table in Markdown.
func printStarts(w io.Writer, rows []startRow) error {
	fmt.Fprintln(w, "| model | weights | first token, s | fastest | slowest | peak memory | of the weights |")
	fmt.Fprintln(w, "|---|---:|---:|---:|---:|---:|---:|")
	for _, r := range rows {
		peak, share := "unknown", ""
		if r.Peak > 0 {
			peak, share = humanBytes(uint64(r.Peak)), fmt.Sprintf("%.2f", r.Share)
		}
		if _, err := fmt.Fprintf(w, "| %s | %s | %.2f | %.2f | %.2f | %s | %s |\n", r.Model, humanBytes(uint64(r.Files)), r.Median,
			slices.Min(r.Samples), slices.Max(r.Samples), peak, share); err != nil {
			return err
		}
	}
	return nil
}
