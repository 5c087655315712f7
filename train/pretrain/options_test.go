package pretrain

import (
	"math"
	"testing"

	"weft/train"
	"weft/train/optim"
)

// What can be known to be wrong is said before a tokenizer is trained.
func TestValidateBeforeWork(t *testing.T) {
	good := Options{Data: "x.txt", Out: "run"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"width":         func(o *Options) { o.Dim = 1e9 },
		"batch":         func(o *Options) { o.BatchTokens = 1e9 },
		"accumulate":    func(o *Options) { o.Accumulate = 1e11 },
		"held out":      func(o *Options) { o.Val = math.NaN() },
		"budget":        func(o *Options) { o.Options = train.Options{Budget: -1} },
		"learning rate": func(o *Options) { o.Schedule.Peak = math.Inf(1) },
		"schedule":      func(o *Options) { o.Schedule.Kind = "linear" },
		"floor":         func(o *Options) { o.Schedule.Floor = math.NaN() },
		"clip":          func(o *Options) { o.Optim = optim.Options{Clip: math.NaN()} },
	} {
		o := good
		change(&o)
		if o.Validate() == nil {
			t.Errorf("%s: a senseless value passes", name)
		}
	}
}
