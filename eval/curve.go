package eval

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

	"weft/text/corpus/world"
)

// points is one task's line with its intervals.
type points struct {
	plotter.XYs
	plotter.YErrors
}

// Curve draws score against training tokens, one line per task with its 95 %
// intervals, as SVG: of the tasks that a bar is about, or of all where none is.
// Every report must know its training tokens.
func Curve(reports []Report) ([]byte, error) {
	if len(reports) == 0 {
		return nil, errors.New("eval: draw the curve: there are no reports")
	}
	reports = slices.Clone(reports)
	slices.SortStableFunc(reports, func(a, b Report) int { return cmp.Compare(a.Model.Trained, b.Model.Trained) })
	var tasks []world.Task
	lines := map[world.Task]*points{}
	for _, r := range reports {
		if r.Model.Trained == 0 {
			return nil, fmt.Errorf("eval: draw the curve: nothing says on how many tokens %s was trained", r.Model.Name)
		}
		for _, s := range r.Scores {
			if s.Level != 0 {
				continue
			}
			l := lines[s.Task]
			if l == nil {
				l = new(points)
				lines[s.Task] = l
				tasks = append(tasks, s.Task)
			}
			x, y := float64(r.Model.Trained)/1e6, 100*s.Right.Rate
			l.XYs = append(l.XYs, plotter.XY{X: x, Y: y})
			l.YErrors = append(l.YErrors, struct{ Low, High float64 }{y - 100*s.Right.Low, 100*s.Right.High - y})
		}
	}
	barred := slices.DeleteFunc(slices.Clone(tasks), func(t world.Task) bool {
		return !slices.ContainsFunc(TinyBars(), func(b Bar) bool { return b.Task == t })
	})
	if len(barred) > 0 {
		tasks = barred
	}
	return drawCurve(tasks, lines)
}

func drawCurve(tasks []world.Task, lines map[world.Task]*points) ([]byte, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = "score on the small world", "million training tokens", "right, %, with 95 % interval"
	p.Title.TextStyle.Font.Size = font.Length(11)
	p.Y.Min, p.Y.Max = 0, 100
	legend := plot.NewLegend()
	legend.Left, legend.Top = true, true
	p.Add(plotter.NewGrid())
	for i, task := range tasks {
		line, dots, err := plotter.NewLinePoints(lines[task].XYs)
		if err != nil {
			return nil, fmt.Errorf("eval: draw the curve of %s: %w", task, err)
		}
		bars, err := plotter.NewYErrorBars(lines[task])
		if err != nil {
			return nil, fmt.Errorf("eval: draw the curve of %s: %w", task, err)
		}
		line.Color, dots.Color, bars.Color = plotutil.Color(i), plotutil.Color(i), plotutil.Color(i)
		dots.Shape, line.Dashes = plotutil.Shape(i), plotutil.Dashes(i/7)
		p.Add(line, dots, bars)
		legend.Add(string(task), line, dots)
	}
	img := vgsvg.New(9*vg.Inch, 5*vg.Inch)
	const beside = 1.5 * vg.Inch // the legend, where it covers nothing
	p.Draw(draw.Crop(draw.New(img), 0, -beside, 0, 0))
	legend.Draw(draw.Crop(draw.New(img), 9*vg.Inch-beside+10, 0, 0, -30))
	var b bytes.Buffer
	if _, err := img.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("eval: draw the curve: %w", err)
	}
	return b.Bytes(), nil
}
