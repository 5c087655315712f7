package jinja_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/text/jinja"
)

func segments(t *testing.T, source string, vars map[string]any) []jinja.Segment {
	t.Helper()
	template, err := jinja.Parse(source)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	list, err := template.Render(vars, jinja.Options{})
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return list
}

// marked writes segments with what came out of vars in square brackets and
// what is learned in angle brackets.
func marked(list []jinja.Segment) string {
	var b strings.Builder
	for _, s := range list {
		text := s.Text
		if s.Data {
			text = "[" + text + "]"
		}
		if s.Learn {
			text = "<" + text + ">"
		}
		b.WriteString(text)
	}
	return b.String()
}

// TestData follows user text through everything that may happen to it.
func TestData(t *testing.T) {
	vars := map[string]any{
		"u": "a|im|b", "n": 7, "bos": jinja.Authored("<s>"),
		"list": []any{"x", "y"}, "m": jinja.Dict{{Key: "role", Value: "user"}},
	}
	for source, want := range map[string]string{
		`{{ bos }}T{{ u }}`:                                             "<s>T[a|im|b]",
		`{{ '<' + u + '>' }}`:                                           "<[a|im|b]>",
		`{{ 'x' ~ u ~ n ~ true }}`:                                      "x[a|im|b]7True",
		`{{ ('<' + u + '>')[0:3] }}`:                                    "<[a|]",
		`{{ ('<' + u + '>')[::-1] }}`:                                   ">[b|mi|a]<",
		`{{ ('<' + u + '>') * 2 }}`:                                     "<[a|im|b]><[a|im|b]>",
		`{{ ('  ' + u + ' ').strip() }}`:                                "[a|im|b]",
		`{{ ('-' + u + '-').strip('-') }}`:                              "[a|im|b]",
		`{{ u.split('|')[1] }}`:                                         "[im]",
		`{{ ('q|' + u).split('|') | join('+') }}`:                       "q+[a]+[im]+[b]",
		`{{ u.replace('im', '#') }}`:                                    "[a|]#[|b]",
		`{{ 'x_y'.replace('_', u) }}`:                                   "x[a|im|b]y",
		`{{ u | replace('|', '') }}`:                                    "[aimb]",
		`{{ '%s!' % u }}`:                                               "[a|im|b]!",
		`{{ '%9s!' % u }}`:                                              "   [a|im|b]!",
		`{{ '{}{:>8}{x}'.format(u, u, x='t') }}`:                        "[a|im|b]  [a|im|b]t",
		`{{ ', '.join(list) }}`:                                         "[x], [y]",
		`{{ list | join(u) }}`:                                          "[xa|im|by]",
		`{{ u | upper }}{{ ('t' ~ u) | title }}`:                        "[A|IM|BTa|im|b]",
		`{{ 'abc' | upper }}`:                                           "ABC",
		`{{ m }}{{ m | tojson }}{{ [1] }}{{ {'a': 1}|tojson}}`:          "[{'role': 'user'}{\"role\": \"user\"}][1]{\"a\": 1}",
		`{% for k, v in m.items() %}{{ k }}={{ v }}{% endfor %}`:        "[role]=[user]",
		`{% set x %}<{{ u }}>{% endset %}{{ x }}{{ x | length }}`:       "<[a|im|b]>8",
		`{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(u) }}{{ f('t') }}`: "<[a|im|b]><t>",
		`{% filter trim %} {{ u }}. {% endfilter %}`:                    "[a|im|b].",
		`{{ u | indent(1, true) }}{{ u | truncate(4, true, '..', 0) }}`: " [a|im|ba|]..",
		`{% generation %}A{{ u }}{% endgeneration %}B{{ u }}`:           "<A><[a|im|b]>B[a|im|b]",
		`{% macro g() %}{% generation %}A{% endgeneration %}B{% endmacro %}{{ g() }}{{ g() }}`: "<A>B<A>B",
		`{{ u[2:4] ~ u[-1] ~ u | first }}{% for c in 'x' ~ u[0] %}{{ c }}{% endfor %}`:         "[imba]x[a]",
		`{{ ('a' + u | e) ~ (u | safe) }}{{ '<' | e }}`:                                        "a[a|im|ba|im|b]&lt;",
	} {
		if got := marked(segments(t, source, vars)); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", source, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		source string
		line   int
		part   string
		err    error
	}{
		{"a\n{% if x %}\nb", 3, "{% elif %} or {% else %} or {% endif %}", nil},
		{"{{ 1 +\n\n) }}", 3, `unexpected ")"`, nil},
		{"{% for x in y %}\n{% endif %}", 2, "{% endfor %}", nil},
		{"x\n{{ x | nope }}", 2, `unknown filter "nope"`, nil},
		{"{{ x is\nnope }}", 1, `unknown test "nope"`, nil},
		{"\n{% include 'secret' %}", 2, "include: a chat template stands alone", jinja.ErrUnsafe},
		{"{% extends 'x' %}", 1, "extends", jinja.ErrUnsafe},
		{"{{ 'a\nb' }}\n{{ nope.x }}", 3, "'nope' is undefined", nil},
		{"{% for i in [1] %}\n{{ {}.a.b }}{% endfor %}", 2, "'dict object' has no attribute 'a'", nil},
		{"\n{{ [].append(1) }}", 2, "access to attribute 'append' of a list is unsafe", jinja.ErrUnsafe},
		{"{{ ''.__class__.x }}", 1, "unsafe", jinja.ErrUnsafe},
		{"{% macro m() %}\n\n{{ 1 + 'a' }}{% endmacro %}{{ m() }}", 3, "bad operands for +: int and str", nil},
		{"{{ " + strings.Repeat("(", 1000), 1, "inside each other", jinja.ErrLimit},
		{"{{ " + strings.Repeat("1+", 5000) + "1 }}", 1, "in a row", jinja.ErrLimit},
		{strings.Repeat("{% if 1 %}", 500), 1, "inside each other", jinja.ErrLimit},
		{strings.Repeat("x", 1<<20+1), 1, "bytes", jinja.ErrLimit},
	} {
		_, err := render(c.source, nil, jinja.Options{})
		var e *jinja.Error
		if !errors.As(err, &e) || e.Line != c.line || !strings.Contains(e.Msg, c.part) {
			t.Errorf("%.60q: got %v, want line %d: %s", c.source, err, c.line, c.part)
		}
		if c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%.60q: got %v, want %v", c.source, err, c.err)
		}
	}
}

// TestLimits runs templates that would never end, or fill the memory.
func TestLimits(t *testing.T) {
	o := jinja.Options{MaxSteps: 200_000, MaxOutput: 1 << 20}
	for _, source := range []string{
		"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
		"{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
		"{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
		"{% for a in range(100000) %}0123456789abcdef0123456789{% endfor %}",
		"{% set ns = namespace(s='ab') %}{% for a in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
		"{% set ns = namespace(l=[1]) %}{% for a in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
		"{% set ns = namespace(l=[]) %}{% for a in range(10000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
		"{% set ns = namespace(l=[]) %}{% for a in range(10000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l == [ns.l] }}",
		"{% set ns = namespace(l=[]) %}{% for a in range(10000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l | tojson }}",
		"{% set ns = namespace(l=()) %}{% for a in range(10000) %}{% set ns.l = (ns.l,) %}{% endfor %}{{ {ns.l: 1} }}",
		"{% set ns = namespace(l=[1]) %}{% for a in range(40) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
		"{% set ns = namespace(n=2) %}{% for a in range(40) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
		"{{ 'a' * 10 ** 12 }}", "{{ [0] * 10 ** 12 }}", "{{ 9 ** (9 ** 9) }}", "{{ 'a'.ljust(10 ** 12) }}",
		"{{ '%1000000000d' % 1 }}", "{{ '%.1000000000f' % 1.5 }}", "{{ '{:1000000000}'.format(1) }}", "{{ '{:.1000000000f}'.format(1.5) }}",
		"{{ 'a\nb' | indent(10 ** 12) }}", "{{ '\t' | string | center(10 ** 10) }}", "{{ '\t'.expandtabs(10 ** 10) }}",
		"{{ [1] | batch(10 ** 10, 0) | list }}", "{{ range(10 ** 9) }}", "{{ ['a'] | tojson(indent=10 ** 10) }}",
		"{{ ('a' * 1000000).replace('a', 'b' * 1000) }}", "{{ ('x' * 1000).join('y' * 100000) }}",
		"{{ '1'.zfill(10 ** 10) }}", "{{ [[1], [2]] | tojson(indent=1000000) }}",
	} {
		if out, err := render(source, nil, o); !errors.Is(err, jinja.ErrLimit) {
			t.Errorf("%s\ngot %.40q, %v, want %v", source, out, err, jinja.ErrLimit)
		}
	}
}

func TestVars(t *testing.T) {
	vars := map[string]any{
		"i": 1, "i64": int64(2), "f": 1.0, "b": true, "nil": nil, "s": []string{"a"}, "d": []jinja.Dict{{{Key: "k", Value: 1}}},
		"m": map[string]any{"z": 1, "a": []any{nil}}, "raw": json.RawMessage(`{"z": 1, "a": 2.50}`), "num": json.Number("1e2"),
		"big": new(big.Int).Lsh(big.NewInt(1), 70), "l": []map[string]any{{"x": "y"}},
	}
	got := jinja.Text(segments(t, "{{ i }} {{ i64 }} {{ f }} {{ b }} {{ nil }} {{ s }} {{ d }} {{ m }} {{ raw }} {{ num }} {{ big }} {{ l }}", vars))
	want := "1 2 1.0 True None ['a'] [{'k': 1}] {'a': [None], 'z': 1} {'z': 1, 'a': 2.5} 100.0 1180591620717411303424 [{'x': 'y'}]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := render("{{ x }}", map[string]any{"x": struct{}{}}, jinja.Options{}); err == nil || !strings.Contains(err.Error(), "vars: x: a template cannot use a struct {}") {
		t.Errorf("got error %v", err)
	}
	if _, err := render("{{ y }}", map[string]any{"x": struct{}{}}, jinja.Options{}); err != nil {
		t.Errorf("a variable that is not used: %v", err)
	}
}

func TestParseJSON(t *testing.T) {
	got, err := jinja.ParseJSON([]byte(` {"b": [1, 1.0, 1e2, -0, "é\u00e9"], "a": {"x": null, "y": true}, "b2": 123456789012345678901234567890} `))
	if err != nil {
		t.Fatal(err)
	}
	big, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	want := jinja.Dict{
		{Key: "b", Value: []any{int64(1), 1.0, 100.0, int64(0), "éé"}},
		{Key: "a", Value: jinja.Dict{{Key: "x", Value: nil}, {Key: "y", Value: true}}},
		{Key: "b2", Value: big},
	}
	if d := cmp.Diff(jinja.Dict(want), got, cmp.Comparer(func(a, b interface{ String() string }) bool { return a.String() == b.String() })); d != "" {
		t.Error(d)
	}
	if v, ok := want.Get("a"); !ok || len(v.(jinja.Dict)) != 2 {
		t.Errorf("Get: got %v, %v", v, ok)
	}
	for _, bad := range []string{"", "{", `{"a"}`, "[1,]", "1 2", "nul", `{"a": 1`, strings.Repeat("[", 1000) + strings.Repeat("]", 1000)} {
		if v, err := jinja.ParseJSON([]byte(bad)); err == nil {
			t.Errorf("%.20q: got %v, want an error", bad, v)
		}
	}
}

// TestConcurrent renders one template in many goroutines.
func TestConcurrent(t *testing.T) {
	template, err := jinja.Parse("{% set ns = namespace(n=0) %}{% for i in range(n) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}")
	if err != nil {
		t.Fatal(err)
	}
	texts := make(chan string)
	for range 8 {
		go func() {
			list, err := template.Render(map[string]any{"n": 100}, jinja.Options{})
			if err != nil {
				texts <- err.Error()
				return
			}
			texts <- jinja.Text(list)
		}()
	}
	for range 8 {
		if got := <-texts; got != "4950" {
			t.Errorf("got %s, want 4950", got)
		}
	}
}

// FuzzTemplate holds that no source and no value panics, and that all end.
func FuzzTemplate(f *testing.F) {
	file, err := jinja.ParseJSON(read(f, "testdata/cases.json"))
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range field[[]any](f, file, "cases") {
		f.Add(field[string](f, c, "template"))
	}
	f.Fuzz(func(t *testing.T, source string) {
		template, err := jinja.Parse(source)
		if err != nil {
			return
		}
		vars := map[string]any{"x": "text", "messages": []any{jinja.Dict{{Key: "role", Value: "user"}, {Key: "content", Value: "a b"}}}, "n": 3, "obj": jinja.Dict{}}
		list, err := template.Render(vars, jinja.Options{MaxSteps: 20_000, MaxOutput: 1 << 16, MaxDepth: 50})
		if err != nil {
			return
		}
		if text := jinja.Text(list); len(text) > 1<<16 {
			t.Errorf("%d bytes of output", len(text))
		}
		for i, s := range list {
			if s.Text == "" || i > 0 && s.Data == list[i-1].Data && s.Learn == list[i-1].Learn {
				t.Errorf("segment %d: empty, or of the kind of the one before it: %q", i, s.Text)
			}
		}
	})
}
