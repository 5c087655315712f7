package corpus

import (
	"context"
	"fmt"
	"testing"
)

// Two documents become one batch: ranges never cross from one to the other.
func ExampleDataset_Loader() {
	data, _ := Build(context.Background(), byteTok{}, ParseText("hi<|endoftext|>you", "notes"), ShardOptions{})
	b, _ := data.Loader(LoaderOptions{SeqLen: 7, Pack: true, Seed: 2}).Next()
	fmt.Println(b.IDs)
	fmt.Println(b.Targets)
	fmt.Println(b.Docs, b.Bytes, "bytes")
	// Output:
	// [256 121 111 117 256 104 105]
	// [121 111 117 257 104 105 257]
	// [{0 4 0} {4 3 0}] 5 bytes
}

func BenchmarkLoader(b *testing.B) {
	d := build(b, byteTok{}, ShardOptions{}, numbered(2000, 900)...)
	for name, l := range modes(d, 32, 256, 1) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := l.Next(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(32*256*float64(b.N)/b.Elapsed().Seconds(), "tok/s")
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := mustWrite(b, dir, byteTok{}, ShardOptions{}, someText(16<<20))
	b.SetBytes(2 * s.Tokens)
	for b.Loop() {
		d, err := Open(dir, byteTok{}.Hash())
		if err != nil {
			b.Fatal(err)
		}
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
