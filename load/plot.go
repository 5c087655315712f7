package load

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// curve is one line of a plot: a figure of every step.
type curve struct {
	name  string
	value func(*Step) float64
}

// Plot draws latency against load, above throughput against load, as SVG.
func (r *Report) Plot() ([]byte, error) {
	if len(r.Steps) == 0 {
		return nil, errors.New("load: draw the plot: nothing was measured")
	}
	label := "requests in flight"
	if r.Steps[0].Loop == "open" {
		label = "requests per second that came"
	}
	latency, err := r.panel("milliseconds, log scale", label, []curve{
		{"TTFT p50", func(s *Step) float64 { return 1e3 * s.TTFT.P50 }}, {"TTFT p95", func(s *Step) float64 { return 1e3 * s.TTFT.P95 }},
		{"ITL p50", func(s *Step) float64 { return 1e3 * s.ITL.P50 }}, {"ITL p95", func(s *Step) float64 { return 1e3 * s.ITL.P95 }},
		{"end to end p95", func(s *Step) float64 { return 1e3 * s.E2E.P95 }},
	}, true)
	if err != nil {
		return nil, err
	}
	latency.Title.Text = fmt.Sprintf("%s under load", r.Model)
	latency.Title.TextStyle.Font.Size = font.Length(11)
	speed, err := r.panel("per second", label, []curve{
		{"output tokens", func(s *Step) float64 { return s.OutRate }}, {"requests answered", func(s *Step) float64 { return s.RequestRate }},
		{"of them good", func(s *Step) float64 { return s.Goodput }},
	}, false)
	if err != nil {
		return nil, err
	}
	const width, height = 9 * vg.Inch, 7 * vg.Inch
	img := vgsvg.New(width, height)
	all := draw.New(img)
	latency.Draw(draw.Crop(all, 0, 0, height*2/5, 0))
	speed.Draw(draw.Crop(all, 0, 0, 0, -height*3/5))
	var b bytes.Buffer
	if _, err := img.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("load: draw the plot: %w", err)
	}
	return b.Bytes(), nil
}

// panel draws curves over the load. On a log scale points at zero, where
// nothing was answered, are left out.
func (r *Report) panel(y, x string, curves []curve, log bool) (*plot.Plot, error) {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = x, y
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	drawn := false
	for i, c := range curves {
		var points plotter.XYs
		for j := range r.Steps {
			if v := c.value(&r.Steps[j]); v > 0 || !log {
				points = append(points, plotter.XY{X: r.Steps[j].Load, Y: v})
			}
		}
		if len(points) == 0 {
			continue
		}
		slices.SortFunc(points, func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) })
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, fmt.Errorf("load: draw %s: %w", c.name, err)
		}
		line.Color, dots.Color, dots.Shape = plotutil.Color(i), plotutil.Color(i), plotutil.Shape(i)
		p.Add(line, dots)
		p.Legend.Add(c.name, line, dots)
		drawn = true
	}
	if log && drawn {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		if p.Y.Min == p.Y.Max { // one figure alone has no scale
			p.Y.Min, p.Y.Max = p.Y.Min/2, p.Y.Max*2
		}
	}
	return p, nil
}
