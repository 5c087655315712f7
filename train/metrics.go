package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
)

// Record is one line of metrics.jsonl. A line of kind "step" describes one
// update, "eval" one look at held-out data, "plan" a change of the step count.
// Step counts updates made.
type Record struct {
	Kind    string  `json:"kind"`
	Step    int     `json:"step"`
	Loss    float64 `json:"loss,omitempty"` // nats per token
	LR      float64 `json:"lr,omitempty"`
	Norm    float64 `json:"grad_norm,omitempty"`
	Tokens  int64   `json:"tokens,omitempty"`
	Speed   float64 `json:"tok_s,omitempty"`
	MFU     float64 `json:"mfu,omitempty"`
	BPB     float64 `json:"bpb,omitempty"` // bits per byte
	Steps   int     `json:"steps,omitempty"`
	Seconds float64 `json:"seconds"` // since the run began, interruptions left out

	Activations []float64 `json:"activations,omitempty"` // RMS of the residual stream by layer
}

// metrics appends records to a file, each line in one write.
type metrics struct {
	f    *os.File
	path string
	buf  bytes.Buffer
}

// openMetrics opens the file of a run that stands at step: records of later
// steps, left by a run that was killed, are cut off, and so is half a line.
// Each record that stays is shown to fn.
func openMetrics(path string, step int, fn func(Record)) (*metrics, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	good, err := scanMetrics(f, step, fn)
	if err == nil {
		err = f.Truncate(good)
	}
	if err == nil {
		_, err = f.Seek(good, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("train: metrics %s: %w", path, err)
	}
	return &metrics{f: f, path: path}, nil
}

// scanMetrics returns the length of the part of the file up to step.
func scanMetrics(r io.Reader, step int, fn func(Record)) (good int64, err error) {
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return good, nil // half a line is cut off
		}
		if err != nil {
			return good, err
		}
		var rec Record
		if json.Unmarshal(line, &rec) != nil || rec.Step > step {
			return good, nil
		}
		good += int64(len(line))
		if fn != nil {
			fn(rec)
		}
	}
}

// Losses returns the training loss of each step of a run, in nats per token.
func Losses(dir string) ([]float64, error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(MetricsFile)))
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	defer f.Close()
	var losses []float64
	_, err = scanMetrics(f, math.MaxInt, func(r Record) {
		if r.Kind == "step" {
			losses = append(losses, r.Loss)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("train: metrics %s: %w", f.Name(), err)
	}
	return losses, nil
}

func (m *metrics) write(r Record) error {
	m.buf.Reset()
	r.Seconds = math.Round(r.Seconds*1e3) / 1e3
	if err := json.NewEncoder(&m.buf).Encode(r); err != nil {
		return fmt.Errorf("train: metrics %s: %w", m.path, err)
	}
	if _, err := m.f.Write(m.buf.Bytes()); err != nil {
		return fmt.Errorf("train: metrics %s: %w", m.path, err)
	}
	return nil
}

// sync makes the records durable, before a checkpoint that counts on them.
func (m *metrics) sync() error {
	if err := m.f.Sync(); err != nil {
		return fmt.Errorf("train: metrics %s: %w", m.path, err)
	}
	return nil
}

func (m *metrics) close() error { return m.f.Close() }
