package optim

import (
	"math"
	"testing"
)

func TestScheduleTable(t *testing.T) {
	for _, c := range []struct {
		name   string
		s      Schedule
		warmup int
		steps  int
		at     int
		want   float64
	}{
		{"warm-up starts above zero", Schedule{Peak: 1}, 9, 100, 0, 0.1},
		{"warm-up rises linearly", Schedule{Peak: 1}, 9, 100, 4, 0.5},
		{"warm-up ends below the peak", Schedule{Peak: 1}, 9, 100, 8, 0.9},
		{"cosine starts at the peak", Schedule{Peak: 1}, 10, 110, 10, 1},
		{"cosine is half way down in the middle", Schedule{Peak: 1}, 10, 110, 60, 0.55},
		{"cosine after a quarter", Schedule{Peak: 1, Floor: -1}, 0, 100, 25, (1 + math.Sqrt2/2) / 2},
		{"cosine ends at the floor", Schedule{Peak: 1}, 10, 110, 110, 0.1},
		{"cosine stays at the floor", Schedule{Peak: 1}, 10, 110, 500, 0.1},
		{"nanoGPT's floor", Schedule{Peak: 1e-3}, 100, 2000, 2000, 1e-4},
		{"a negative floor is zero", Schedule{Peak: 1, Floor: -1}, 0, 100, 100, 0},
		{"wsd is flat until the decay", Schedule{Kind: WSD, Peak: 1}, 10, 110, 90, 1},
		{"wsd is half way down in the decay", Schedule{Kind: WSD, Peak: 1}, 10, 110, 100, 0.55},
		{"wsd ends at the floor", Schedule{Kind: WSD, Peak: 1}, 10, 110, 110, 0.1},
		{"wsd decay share", Schedule{Kind: WSD, Peak: 1, Decay: 0.5, Floor: -1}, 0, 100, 75, 0.5},
		{"constant stays", Schedule{Kind: Constant, Peak: 2}, 10, 110, 109, 2},
		{"constant warms up", Schedule{Kind: Constant, Peak: 2}, 3, 110, 1, 1},
		{"unknown length stays at the peak", Schedule{Peak: 1}, 3, 0, 1000, 1},
		{"no warm-up", Schedule{Peak: 1}, 0, 10, 0, 1},
	} {
		got := c.s.Defaults().LR(NewPlan(c.warmup, c.steps), c.at)
		if math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: step %d: got %.6g, want %.6g", c.name, c.at, got, c.want)
		}
	}
}

// A plan that is changed on the way keeps the rate where it was and still
// reaches the floor at its new end.
func TestReplanIsContinuous(t *testing.T) {
	s := Schedule{Peak: 1}.Defaults()
	for _, kind := range []string{Cosine, WSD} {
		s.Kind = kind
		p := NewPlan(10, 1000)
		for step, steps := 300, 1000; step < 800; step += 150 {
			steps -= 40
			q := p.Replan(step, steps)
			if a, b := s.LR(p, step), s.LR(q, step); math.Abs(a-b) > 1e-12 {
				t.Errorf("%s: replan at %d to %d steps: rate jumps from %g to %g", kind, step, steps, a, b)
			}
			p = q
		}
		if got := s.LR(p, p.Steps); math.Abs(got-0.1) > 1e-12 {
			t.Errorf("%s: final rate %g, want the floor 0.1", kind, got)
		}
	}
	// Planned while warming up: the decay still begins after the warm-up.
	p := NewPlan(10, 0).Replan(4, 110)
	if got := s.LR(p, 10); got != 1 {
		t.Errorf("planned during warm-up: rate at its end %g, want 1", got)
	}
	if got := p.Progress(60); got != 0.5 {
		t.Errorf("planned during warm-up: progress at 60 is %g, want 0.5", got)
	}
}

func TestScheduleValidate(t *testing.T) {
	for _, s := range []Schedule{{}, {Peak: -1}, {Peak: math.NaN()}, {Peak: 1, Kind: "linear"}, {Peak: 1, Floor: 2}, {Peak: 1, Decay: 3}} {
		if s.Validate() == nil {
			t.Errorf("%+v: want an error", s)
		}
	}
	if err := (Schedule{Peak: 1}).Validate(); err != nil {
		t.Error(err)
	}
}
