package world

import "testing"

func BenchmarkCorpus(b *testing.B) {
	w := New(1)
	b.SetBytes(1 << 20)
	for b.Loop() {
		n := 0
		for d := range w.Corpus(1 << 20) {
			n += len(d)
		}
	}
}

func BenchmarkGrounded(b *testing.B) {
	w := New(1)
	for b.Loop() {
		for range w.Items(Grounded, Train, 100) {
		}
	}
}
