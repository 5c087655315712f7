package ptq

import (
	"fmt"

	"weft/model/weights/gguf"
)

// metaPrefix begins the keys under which a file says what quantising it cost.
const metaPrefix = "weft.quantize."

// Meta is a report as metadata of a GGUF, with the method that was used. What has
// an interval is an array: value, low, high.
func (r Report) Meta(m Method) []gguf.KV {
	all := []gguf.KV{
		{Key: metaPrefix + "method", Value: m.String()},
		{Key: metaPrefix + "tokens", Value: uint64(r.Tokens)},
	}
	for _, e := range []struct {
		name string
		Estimate
	}{
		{"perplexity", r.Perplexity}, {"parent_perplexity", r.ParentPerplexity}, {"perplexity_ratio", r.Ratio},
		{"kl_divergence", r.KL}, {"top1_agreement", r.Top1},
	} {
		all = append(all, gguf.KV{Key: metaPrefix + e.name, Value: []float64{e.Value, e.Low, e.High}})
	}
	if r.BPB > 0 {
		all = append(all,
			gguf.KV{Key: metaPrefix + "bits_per_byte", Value: r.BPB},
			gguf.KV{Key: metaPrefix + "parent_bits_per_byte", Value: r.ParentBPB})
	}
	return all
}

// Text is Meta as the metadata of a safetensors file, where all values are text.
func (r Report) Text(m Method) map[string]string {
	all := map[string]string{}
	for _, kv := range r.Meta(m) {
		all[kv.Key] = fmt.Sprint(kv.Value)
	}
	return all
}
