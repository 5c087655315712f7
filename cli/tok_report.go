package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"weft/internal/atomicfile"
)

// findings are what a command found out, for people: markdown on a terminal, or one
// HTML page that asks nobody for anything.
type findings struct {
	title string
	parts []part
}

// part is a table, charts, or words.
type part struct {
	Title, Note string
	Head        []string
	Rows        [][]string
	Words       int // columns of words, which stand to the left; the others are numbers
	Charts      []template.HTML
	PageOnly    bool // too long for a terminal
}

// markdown writes the tables; charts are for the page.
func (r *findings) markdown(w io.Writer) error {
	var b strings.Builder
	for _, p := range r.parts {
		if p.PageOnly {
			continue
		}
		if p.Title != "" {
			fmt.Fprintf(&b, "\n%s\n", p.Title)
		}
		if p.Note != "" {
			fmt.Fprintf(&b, "%s\n", p.Note)
		}
		if len(p.Head) > 0 {
			b.WriteString("\n")
			p.table(&b)
		}
	}
	_, err := io.WriteString(w, strings.TrimPrefix(b.String(), "\n"))
	return err
}

// table writes one table with columns of even width.
func (p *part) table(b *strings.Builder) {
	width := make([]int, len(p.Head))
	for _, row := range append([][]string{p.Head}, p.Rows...) {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell), 3)
		}
	}
	line := func(row []string) {
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i < p.Words {
				cell += pad
			} else {
				cell = pad + cell
			}
			b.WriteString("| " + cell + " ")
		}
		b.WriteString("|\n")
	}
	line(p.Head)
	rule := make([]string, len(p.Head))
	for i := range rule {
		rule[i] = strings.Repeat("-", width[i])
		if i >= p.Words {
			rule[i] = rule[i][1:] + ":"
		}
	}
	line(rule)
	for _, row := range p.Rows {
		line(row)
	}
}

// show prints the report, or v with --json, and writes the page if one is asked for.
func (e *env) show(r *findings, v any, page string) error {
	if page != "" {
		data, err := r.html()
		if err == nil {
			err = atomicfile.WriteBytes(page, data)
		}
		if err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if e.json {
		return json.NewEncoder(e.out).Encode(v)
	}
	return r.markdown(e.out)
}

// html is the page.
func (r *findings) html() ([]byte, error) {
	t, err := template.New("report").Parse(reportPage)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"Title": r.title, "Parts": r.parts})
	return b.Bytes(), err
}

const reportPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; color: #1b1b1b; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } td, th { padding: .2rem .7rem; border-bottom: 1px solid #ddd }
th { text-align: right; font-weight: 600 } td { text-align: right } .w { text-align: left; white-space: pre-wrap; overflow-wrap: anywhere }
.scroll { overflow-x: auto } svg { max-width: 100%; height: auto; margin: .8rem 0; display: block } svg text { font: 12px system-ui, sans-serif; fill: currentColor }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #161616 } td, th { border-color: #333 } }
</style></head><body>
<h1>{{.Title}}</h1>
{{range .Parts}}{{$words := .Words}}<section>{{if .Title}}<h2>{{.Title}}</h2>{{end}}{{if .Note}}<p>{{.Note}}</p>{{end}}
{{range .Charts}}{{.}}{{end}}
{{if .Head}}<div class="scroll"><table><thead><tr>{{range $i, $c := .Head}}<th{{if lt $i $words}} class="w"{{end}}>{{$c}}</th>{{end}}</tr></thead><tbody>
{{range .Rows}}<tr>{{range $i, $c := .}}<td{{if lt $i $words}} class="w"{{end}}>{{$c}}</td>{{end}}</tr>
{{end}}</tbody></table></div>{{end}}</section>
{{end}}</body></html>
`

// colours tells series apart, for any eyes (Okabe and Ito 2008).
func colours(i int) string {
	list := []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a8a8a", "#b8a800"}
	return list[i%len(list)]
}

// barChart draws a group of bars for each label, one bar for each series.
// values[s][l] is series s at label l.
func barChart(title string, labels, series []string, values [][]float64) template.HTML {
	const left, wide, bar = 190, 900, 13
	most := 0.0
	for _, v := range values {
		for _, x := range v {
			most = max(most, x)
		}
	}
	group := bar*len(series) + 9
	tall := 34 + group*len(labels) + 20*len(series)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`, wide, tall, wide, tall, escape(title))
	fmt.Fprintf(&b, `<text x="0" y="16" font-weight="600">%s</text>`, escape(title))
	y := 30
	for l, label := range labels {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, left-8, y+bar*len(series)/2+4, escape(clipText(label, 28)))
		for s := range series {
			w := 0.0
			if most > 0 {
				w = values[s][l] / most * (wide - left - 70)
			}
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d">%s</text>`,
				left, y+bar*s, w, bar-2, colours(s), left+w+4, y+bar*s+bar-3, figure(values[s][l]))
		}
		y += group
	}
	legend(&b, left, y+10, series)
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// lineChart draws series over a common, logarithmic x axis.
func lineChart(title string, x []float64, series []string, values [][]float64) template.HTML {
	const left, wide, top, tall = 60, 900, 34, 300
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		for _, y := range v {
			lo, hi = min(lo, y), max(hi, y)
		}
	}
	// One value, or all alike: a band around it, so that the line lies in the middle.
	if hi <= lo {
		lo, hi = lo-1, hi+1
	}
	first, last := math.Log(x[0]), math.Log(x[len(x)-1])
	if last <= first {
		last = first + 1
	}
	// px and py place a value on the drawing; y grows downwards there.
	px := func(v float64) float64 { return left + (math.Log(v)-first)/(last-first)*(wide-left-40) }
	py := func(v float64) float64 { return top + 10 + (hi-v)/(hi-lo)*(tall-30) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`,
		wide, top+tall+30+20*len(series), wide, top+tall+30+20*len(series), escape(title))
	fmt.Fprintf(&b, `<text x="0" y="16" font-weight="600">%s</text>`, escape(title))
	for _, v := range []float64{lo, (lo + hi) / 2, hi} {
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#888" stroke-opacity=".3"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			left, wide-30, py(v), py(v), left-6, py(v)+4, figure(v))
	}
	for _, v := range x {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, px(v), top+tall+6, figure(v))
	}
	for s, v := range values {
		var points []string
		for i, y := range v {
			points = append(points, fmt.Sprintf("%.1f,%.1f", px(x[i]), py(y)))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`, px(x[i]), py(y), colours(s))
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`, strings.Join(points, " "), colours(s))
	}
	legend(&b, left, top+tall+26, series)
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// legend names the series, one below the other.
func legend(b *strings.Builder, x, y int, series []string) {
	for s, name := range series {
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="12" height="12" fill="%s"/><text x="%d" y="%d">%s</text>`, x, y+20*s-10, colours(s), x+18, y+20*s, escape(name))
	}
}

// escape makes a text safe inside of HTML and SVG.
func escape(s string) string { return template.HTMLEscapeString(s) }

// clipText shortens a label.
func clipText(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// figure is a number with as many digits as a reader needs.
func figure(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1000 || v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// percent1 is a share as per cent with one digit.
func percent1(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }
