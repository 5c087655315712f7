package ptq_test

import (
	"context"
	"testing"

	"weft/compute/kernel"
	"weft/train/ptq"
)

// TestCompareKV: on a trained model, whose heads are 16 wide, 8 bits of keys and
// values cost next to nothing, 4 bits something; float32 costs nothing at all.
func TestCompareKV(t *testing.T) {
	_, held := texts(t, 0, 2048)
	m := load(t, "tiny-s")
	most := map[kernel.KVType]float64{kernel.KVF32: 1e-9, kernel.KVF16: 1e-5, kernel.KVBF16: 3e-4, kernel.KVQ8: 1e-3, kernel.KVQ4: 0.2}
	for _, kind := range kernel.KVTypes() {
		cost, err := ptq.CompareKV(context.Background(), m, kind, held, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%v: KL %.7f [%.7f, %.7f], same top token %.4f, perplexity times %.5f [%.5f, %.5f]", kind,
			cost.KL.Value, cost.KL.Low, cost.KL.High, cost.Top1.Value, cost.Ratio.Value, cost.Ratio.Low, cost.Ratio.High)
		if cost.KL.Value > most[kind] {
			t.Errorf("%v diverges by %.3g nats per token, want at most %.3g", kind, cost.KL.Value, most[kind])
		}
	}
}
