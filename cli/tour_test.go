package cli

import (
	"errors"
	"strings"
	"testing"
)

func TestChooseStops(t *testing.T) {
	for _, test := range []struct{ names, want string }{
		{"sft", "tokenizer pretrain sft"},
		{"serve tokenizer", "tokenizer serve"},
		{"", strings.Join(stopNames(), " ")},
	} {
		stops, err := chooseStops(strings.Fields(test.names))
		var got []string
		for _, s := range stops {
			got = append(got, s.name)
		}
		if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("%q: got %v, %v, want %s", test.names, got, err, test.want)
		}
	}
	var usage *usageError
	if _, err := chooseStops([]string{"tokeniser"}); !errors.As(err, &usage) || !strings.Contains(err.Error(), `did you mean "tokenizer"`) {
		t.Errorf("got %v, want a usage error with the name that was meant", err)
	}
	for _, s := range tourStops() {
		for _, before := range s.after { // chooseStops does not look further
			for _, b := range tourStops() {
				for _, more := range b.after {
					if b.name == before && !strings.Contains(strings.Join(s.after, " "), more) {
						t.Errorf("%s builds on %s, which builds on %s: name both", s.name, before, more)
					}
				}
			}
		}
	}
}

func TestShellLine(t *testing.T) {
	for want, args := range map[string][]string{
		"weft run tiny 'It'\\''s late' --seed 1": {"run", "tiny", "It's late", "--seed", "1"},
		"weft run tiny ''":                       {"run", "tiny", ""},
		"weft up --addr 127.0.0.1:0":             {"up", "--addr", "127.0.0.1:0"},
	} {
		if got := shellLine(args...); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestSparkline(t *testing.T) {
	for _, test := range []struct {
		values []float64
		width  int
		want   string
	}{
		{[]float64{7, 6, 5, 4, 3, 2, 1, 0}, 8, "█▇▆▅▄▃▂▁"},
		{[]float64{4, 4, 0, 0}, 2, "█▁"},
		{[]float64{1, 1, 1}, 8, "▁▁▁"},
		{[]float64{1}, 8, ""},
		{nil, 8, ""},
	} {
		if got := sparkline(test.values, test.width); got != test.want {
			t.Errorf("%v in %d: got %q, want %q", test.values, test.width, got, test.want)
		}
	}
}
