package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"weft/compute/kernel"
	"weft/train/ptq"
)

// keptAs is one line of `weft quantize --compare-kv`.
type keptAs struct {
	Type  string      `json:"kv_type"`
	Bytes int         `json:"bytes_per_token"` // of keys and values, all layers
	Cost  *ptq.Report `json:"cost,omitempty"`  // against float32; absent for float32
}

// compareKV prints what keeping keys and values in each type costs a model as it
// is served.
func (e *env) compareKV(ctx context.Context, arg, path string) error {
	l, err := loadModel(arg)
	if err != nil {
		return err
	}
	text, done, err := l.text(ctx, path, 0)
	if err != nil {
		return err
	}
	defer done()
	pool := e.pool()
	defer pool.Close()
	var all []keptAs
	for _, kind := range kernel.KVTypes() {
		row := keptAs{Type: kind.String()}
		for _, s := range l.model.State() {
			row.Bytes += 2 * s.KVHeads * kind.RowBytes(s.HeadDim)
		}
		if kind != kernel.KVF32 {
			cost, err := ptq.CompareKV(ctx, l.model, kind, text, pool)
			if err != nil {
				return err
			}
			row.Cost = &cost
		}
		all = append(all, row)
	}
	if e.json {
		return json.NewEncoder(e.out).Encode(all)
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	first := all[1].Cost
	fmt.Fprintln(w, "keys and values\tbytes/token\tperplexity\tx f32's\tKL, nats/token\tsame top token\tbits per byte")
	fmt.Fprintf(w, "%s\t%d\t%.4f\t\t\t\t%.4f\n", all[0].Type, all[0].Bytes, first.ParentPerplexity.Value, first.ParentBPB)
	for _, c := range all[1:] {
		fmt.Fprintf(w, "%s\t%d\t%.4f\t%s\t%s\t%s\t%.4f\n", c.Type, c.Bytes, c.Cost.Perplexity.Value,
			within("%.5f", c.Cost.Ratio, 1), within("%.6f", c.Cost.KL, 1), within("%.2f%%", c.Cost.Top1, 100), c.Cost.BPB)
	}
	return w.Flush()
}
