package train

import (
	"bytes"
	"fmt"
	"image/color"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"weft/internal/atomicfile"
)

// curvePoints bounds the points of a line: a longer run keeps every second.
const curvePoints = 2000

// line is a series that is thinned out when it grows long.
type line struct {
	xy    plotter.XYs
	every int // records per point
	seen  int
	sum   float64
}

func (s *line) add(x, y float64) {
	s.every = max(1, s.every)
	s.sum += y
	if s.seen++; s.seen%s.every != 0 {
		return
	}
	s.xy = append(s.xy, plotter.XY{X: x, Y: s.sum / float64(s.every)})
	s.sum = 0
	if len(s.xy) < curvePoints {
		return
	}
	for i := range len(s.xy) / 2 {
		a, b := s.xy[2*i], s.xy[2*i+1]
		s.xy[i] = plotter.XY{X: b.X, Y: (a.Y + b.Y) / 2}
	}
	s.xy, s.every = s.xy[:len(s.xy)/2], 2*s.every
}

// smooth is the line as a running mean over about 2 % of its length.
func (s *line) smooth() plotter.XYs {
	out := make(plotter.XYs, len(s.xy))
	w := 1 / (1 + float64(len(s.xy))/50)
	var mean, weight float64
	for i, p := range s.xy {
		mean, weight = mean*(1-w)+p.Y*w, weight*(1-w)+w
		out[i] = plotter.XY{X: p.X, Y: mean / weight}
	}
	return out
}

// curve is what curve.svg shows.
type curve struct{ loss, held, rate, norm line }

func (c *curve) add(r Record) {
	x := float64(r.Step)
	switch r.Kind {
	case "step":
		c.loss.add(x, r.Loss)
		c.rate.add(x, r.LR)
		c.norm.add(x, r.Norm)
	case "eval":
		c.held.add(x, r.Loss)
	}
}

// draw rewrites curve.svg.
func (l *Loop) draw() error {
	data, err := l.curve.svg()
	if err != nil {
		return fmt.Errorf("train: draw the loss curve: %w", err)
	}
	return atomicfile.WriteBytes(filepath.Join(l.Dir, filepath.FromSlash(CurveFile)), data)
}

// svg draws the losses above, learning rate and gradient norm below.
func (c *curve) svg() ([]byte, error) {
	pale, blue := color.RGBA{R: 0xb8, G: 0xcc, B: 0xe4, A: 0xff}, color.RGBA{R: 0x1f, G: 0x4e, B: 0x9c, A: 0xff}
	orange, green := color.RGBA{R: 0xd9, G: 0x5f, B: 0x02, A: 0xff}, color.RGBA{R: 0x1b, G: 0x7a, B: 0x4b, A: 0xff}
	loss, rate, norm := panel("loss", "nats per token"), panel("learning rate", ""), panel("gradient norm", "")
	for _, s := range []struct {
		to   *plot.Plot
		name string
		xy   plotter.XYs
		c    color.Color
		wide vg.Length
		dots bool
	}{
		{loss, "", c.loss.xy, pale, 1, false},
		{loss, "training, smoothed", c.loss.smooth(), blue, 1.5, false},
		{loss, "held out", c.held.xy, orange, 2, true},
		{rate, "", c.rate.xy, blue, 1.5, false},
		{norm, "", c.norm.xy, green, 1, false},
	} {
		if len(s.xy) == 0 {
			continue
		}
		l, dots, err := plotter.NewLinePoints(s.xy)
		if err != nil {
			return nil, err
		}
		l.Color, l.Width = s.c, s.wide
		s.to.Add(l)
		if s.dots {
			dots.Color, dots.Shape = s.c, draw.CircleGlyph{}
			s.to.Add(dots)
		}
		if s.name != "" {
			s.to.Legend.Add(s.name, l)
		}
	}
	img := vgsvg.New(8*vg.Inch, 6*vg.Inch)
	dc := draw.New(img)
	w, h := dc.Max.X-dc.Min.X, dc.Max.Y-dc.Min.Y
	loss.Draw(draw.Crop(dc, 0, 0, h/3, 0))
	rate.Draw(draw.Crop(dc, 0, -w/2, 0, -h*2/3))
	norm.Draw(draw.Crop(dc, w/2, 0, 0, -h*2/3))
	var b bytes.Buffer
	if _, err := img.WriteTo(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func panel(title, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.Y.Label.Text, p.X.Label.Text = title, y, "step"
	p.Title.TextStyle.Font.Size = font.Length(11)
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	return p
}
