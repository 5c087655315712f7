package hub

import (
	"encoding/json"
	"fmt"
	"strings"

	"weft/model/weights/gguf"
)

// Shape is what the memory of a model that answers depends on, beside its
// weights. Zero means that its description does not say.
type Shape struct {
	Family  string // model_type, or general.architecture
	Context int    // positions that the model was made for
	Values  int64  // keys and values of one position, all layers
	Widened int64  // bytes in memory for each byte of weights
}

// ShapeOfConfig reads a config.json. Half-precision weights are held in float32.
func ShapeOfConfig(data []byte) (Shape, error) {
	var c struct {
		ModelType string `json:"model_type"`
		Hidden    int64  `json:"hidden_size"`
		Layers    int64  `json:"num_hidden_layers"`
		Heads     int64  `json:"num_attention_heads"`
		KVHeads   int64  `json:"num_key_value_heads"`
		HeadDim   int64  `json:"head_dim"`
		Context   int    `json:"max_position_embeddings"`
		Dtype     string `json:"dtype"`
		TorchType string `json:"torch_dtype"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return Shape{}, fmt.Errorf("%s: %w", configFile, err)
	}
	s := Shape{Family: c.ModelType, Context: c.Context, Widened: 1}
	if t := c.Dtype + c.TorchType; strings.Contains(t, "float16") {
		s.Widened = 2
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 && c.Heads > 0 {
		c.HeadDim = c.Hidden / c.Heads
	}
	s.Values = 2 * product(c.Layers, c.KVHeads, c.HeadDim)
	return s, nil
}

// ShapeOfGGUF reads what the first bytes of a GGUF say.
func ShapeOfGGUF(head []byte) (Shape, error) {
	values, err := gguf.Head(head)
	if err != nil {
		return Shape{}, err
	}
	family, _ := values["general.architecture"].(string)
	number := func(key string) int64 {
		n, _ := gguf.Int(values[family+"."+key])
		return n
	}
	s := Shape{Family: family, Context: int(number("context_length")), Widened: 1}
	heads := number("attention.head_count")
	kv := number("attention.head_count_kv")
	if kv == 0 {
		kv = heads
	}
	k, v := number("attention.key_length"), number("attention.value_length")
	if k == 0 && heads > 0 {
		k = number("embedding_length") / heads
	}
	if v == 0 {
		v = k
	}
	s.Values = product(number("block_count"), kv, k+v)
	return s, nil
}

// maxValues bounds what one position may take, far above any model, so that bytes
// of a context do not overflow.
const maxValues = 1 << 34

// product multiplies sizes; what is no size of a model makes it zero.
func product(sizes ...int64) int64 {
	p := int64(1)
	for _, n := range sizes {
		if n <= 0 || n > 1<<20 || p > maxValues/n {
			return 0
		}
		p *= n
	}
	return p
}
