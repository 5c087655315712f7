package quant_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"weft/compute/quant"
)

// reference is testdata/quant/expected.json: what ggml makes of the inputs
// below. See README.md beside it.
type reference struct {
	Inputs  map[string]string
	Formats map[string]struct {
		ID, Values, Bytes int
		First             string
		Decode            []string
		Encode            map[string]encoded
	}
}

// encoded is the hash of bytes and the error of what they decode to.
type encoded struct {
	Hash  string
	Error float64
}

func (e *encoded) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&e.Hash, &e.Error})
}

func expected(t *testing.T) (r reference) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/quant/expected.json")
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// words is n numbers of splitmix64.
func words(seed uint64, n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		z := seed + uint64(i+1)*0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		out[i] = z ^ z>>31
	}
	return out
}

// randomBlocks is n blocks of a format, any bytes; for formats of 16 bits, all
// patterns in order.
func randomBlocks(f quant.Format, n int) []byte {
	var out []byte
	if f == quant.F16 || f == quant.BF16 {
		for i := range n {
			out = binary.LittleEndian.AppendUint16(out, uint16(i))
		}
		return out
	}
	for _, w := range words(100+uint64(f), n*f.BlockBytes()/8+1) {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out[:n*f.BlockBytes()]
}

// plain is the bits of values, all NaN as one.
func plain(y []float32) []byte {
	var out []byte
	for _, v := range y {
		bits := math.Float32bits(v)
		if v != v {
			bits = 0x7fc00000
		}
		out = binary.LittleEndian.AppendUint32(out, bits)
	}
	return out
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func TestDecodeIsThePublishedFormat(t *testing.T) {
	r := expected(t)
	if len(r.Formats) != len(quant.Formats()) {
		t.Errorf("the reference has %d formats, we have %v", len(r.Formats), quant.Formats())
	}
	for name, want := range r.Formats {
		t.Run(name, func(t *testing.T) {
			f, err := quant.Parse(name)
			if err != nil {
				t.Fatal(err)
			}
			if got := [3]int{int(f), f.BlockLen(), f.BlockBytes()}; got != [3]int{want.ID, want.Values, want.Bytes} {
				t.Fatalf("id, values and bytes of a block are %v, want %d %d %d", got, want.ID, want.Values, want.Bytes)
			}
			n := 4096
			if f.BlockLen() == 1 {
				n = 1 << 16
			}
			src, y := randomBlocks(f, n), make([]float32, n*f.BlockLen())
			f.Decode(y, src)
			var first strings.Builder
			for _, v := range y[:f.BlockLen()] {
				fmt.Fprintf(&first, "%08x", math.Float32bits(v))
			}
			if first.String() != want.First {
				t.Errorf("the first block became %s, want %s", first.String(), want.First)
			}
			for i, hash := range want.Decode {
				part := len(y) / len(want.Decode)
				if got := digest(plain(y[i*part : (i+1)*part])); got != hash {
					t.Errorf("values of part %d of %d: hash %s, want %s", i, len(want.Decode), got, hash)
				}
			}
		})
	}
}
