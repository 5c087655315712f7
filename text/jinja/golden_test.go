package jinja_test

import (
	"errors"
	"testing"
	"time"

	"weft/text/jinja"
)

// TestGolden renders small templates and compares with what Python's jinja2
// gave (testdata/make.py). What raises there raises here.
func TestGolden(t *testing.T) {
	file, err := jinja.ParseJSON(read(t, "testdata/cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	shared := field[jinja.Dict](t, file, "shared")
	cases := field[[]any](t, file, "cases")
	if len(cases) < 300 {
		t.Fatalf("%d cases: cases.json is cut short", len(cases))
	}
	now := func() time.Time { return time.Date(2024, 7, 26, 15, 4, 5, 678901000, time.UTC) }
	for _, c := range cases {
		source := field[string](t, c, "template")
		vars := map[string]any{}
		given := shared
		if d, ok := c.(jinja.Dict).Get("vars"); ok {
			given = d.(jinja.Dict)
		}
		for _, v := range given {
			vars[v.Key] = v.Value
		}
		got, err := render(source, vars, jinja.Options{Now: now})
		class, raises := c.(jinja.Dict).Get("error")
		var raised *jinja.RaisedError
		switch {
		case !raises && err != nil:
			t.Errorf("%s\ngot error %v\nwant      %q", source, err, field[string](t, c, "want"))
		case !raises && got != field[string](t, c, "want"):
			t.Errorf("%s\ngot  %q\nwant %q", source, got, field[string](t, c, "want"))
		case raises && err == nil:
			t.Errorf("%s\ngot  %q\nwant error %s: %s", source, got, class, field[string](t, c, "message"))
		case class == "TemplateError" && (!errors.As(err, &raised) || raised.Msg != field[string](t, c, "message")):
			t.Errorf("%s\ngot error %v, want the template's own %q", source, err, field[string](t, c, "message"))
		case class == "SecurityError" && !errors.Is(err, jinja.ErrUnsafe):
			t.Errorf("%s\ngot error %v, want %v", source, err, jinja.ErrUnsafe)
		}
	}
}

func render(source string, vars map[string]any, o jinja.Options) (string, error) {
	template, err := jinja.Parse(source)
	if err != nil {
		return "", err
	}
	segments, err := template.Render(vars, o)
	return jinja.Text(segments), err
}

func field[T any](t testing.TB, object any, name string) T {
	t.Helper()
	v, _ := object.(jinja.Dict).Get(name)
	x, ok := v.(T)
	if !ok {
		t.Fatalf("%s: got %T", name, v)
	}
	return x
}
