package train

import (
	"bytes"
	"encoding/json"
	"io"
)

// picker thins the steps of a long run for whoever draws it: of every group of
// steps it passes on those with the least and the greatest loss, so that no spike
// is lost, and the newest. Other records all pass.
//
//	steps of a group   5.1  5.0  9.7  4.9  5.2   ->   9.7  4.9  5.2
type picker struct {
	group int // steps of a group; 1: everything passes
	held  []picked
	steps int // of the group, seen so far
}

// picked is a record that may pass.
type picked struct {
	line json.RawMessage
	loss float64
	step bool
}

// pickSample is how much of a file is looked at to guess the length of its lines.
const pickSample = 1 << 16 // bytes

// newPicker guesses how many steps a metrics file of a size has.
func newPicker(f io.ReaderAt, size int64, points int) *picker {
	p := &picker{group: 1}
	if points == 0 {
		return p
	}
	sample := make([]byte, min(size, pickSample))
	n, _ := f.ReadAt(sample, 0) // who reads the lines learns what is wrong
	lines := int64(max(1, bytes.Count(sample[:n], []byte{'\n'})))
	if steps := lines * size / int64(max(1, n)); steps > int64(points) {
		p.group = int((3*steps + int64(points) - 1) / int64(points)) // three of each may pass
	}
	return p
}

// take hands over one record and returns those that pass by now. line is copied.
func (p *picker) take(rec Record, line []byte) (pass []json.RawMessage) {
	line = bytes.Clone(bytes.TrimSpace(line))
	if p.group == 1 {
		return []json.RawMessage{line}
	}
	step := rec.Kind == "step"
	p.held = append(p.held, picked{line, rec.Loss, step})
	if step {
		p.steps++
	}
	if p.steps >= p.group || len(p.held) > 4*p.group {
		return p.flush()
	}
	return nil
}

// flush ends the group.
func (p *picker) flush() (pass []json.RawMessage) {
	least, most, last := -1, -1, -1
	for i, h := range p.held {
		if !h.step {
			continue
		}
		if last = i; least < 0 || h.loss < p.held[least].loss {
			least = i
		}
		if most < 0 || h.loss > p.held[most].loss {
			most = i
		}
	}
	for i, h := range p.held {
		if !h.step || i == least || i == most || i == last {
			pass = append(pass, h.line)
		}
	}
	p.held, p.steps = p.held[:0], 0
	return pass
}
