package corpus

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// someExamples are n conversations: prompt 100+i, then i%5+1 answer tokens.
func someExamples(t testing.TB, n int) *Examples {
	t.Helper()
	var list []Example
	for i := range n {
		x := Example{IDs: []int32{1, int32(100 + i)}, Mask: []bool{false, false}}
		for j := range i%5 + 1 {
			x.IDs, x.Mask = append(x.IDs, int32(j)), append(x.Mask, true)
		}
		list = append(list, x)
	}
	e, err := NewExamples(list, ExampleOptions{Rows: 3, SeqLen: 8})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestExamplesComeOncePerEpochWithTheirMask(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seqLen := rapid.IntRange(2, 20).Draw(t, "seq")
		var list []Example
		learned := 0
		for i := range rapid.IntRange(1, 20).Draw(t, "n") {
			mask := rapid.SliceOfN(rapid.Bool(), 2, seqLen+1).Draw(t, "mask")
			mask[len(mask)-1] = true
			x := Example{Mask: mask}
			for j := range mask {
				x.IDs = append(x.IDs, int32(100*i+j))
				if j > 0 && mask[j] {
					learned++
				}
			}
			list = append(list, x)
		}
		e, err := NewExamples(list, ExampleOptions{Rows: rapid.IntRange(1, 4).Draw(t, "rows"), SeqLen: seqLen})
		if err != nil {
			t.Fatal(err)
		}
		l, seen, counted := e.Loader(), map[int32]bool{}, 0
		for l.Cursor().Epoch == 0 {
			b, err := l.Next()
			if err != nil {
				t.Fatal(err)
			}
			wellFormed(t, b, seqLen)
			counted += b.Counted
			for _, r := range b.Docs {
				first := b.IDs[r.Row]
				x := list[first/100]
				if seen[first] || r.Len != len(x.IDs)-1 {
					t.Fatalf("example %d twice or cut: %d rows of %d", first/100, r.Len, len(x.IDs)-1)
				}
				seen[first] = true
				for i := range r.Len {
					if got := b.Targets[r.Row+i]; x.Mask[i+1] && got != x.IDs[i+1] || !x.Mask[i+1] && got != -1 {
						t.Fatalf("example %d row %d: target %d", first/100, i, got)
					}
				}
			}
		}
		if len(seen) != len(list) || counted != learned {
			t.Fatalf("%d of %d examples, %d of %d learned tokens", len(seen), len(list), counted, learned)
		}
		evaluated := 0
		for b, err := range e.Eval() {
			if err != nil {
				t.Fatal(err)
			}
			wellFormed(t, b, seqLen)
			evaluated += b.Counted
		}
		if evaluated != learned {
			t.Fatalf("eval counts %d, want %d", evaluated, learned)
		}
	})
}

func TestExamplesAreRefusedOrCutWhenAsked(t *testing.T) {
	long := Example{Name: "chats.jsonl:7", IDs: []int32{1, 2, 3, 4, 5, 6}, Mask: []bool{false, true, false, false, true, true}}
	late := Example{Name: "chats.jsonl:8", IDs: []int32{1, 2, 3, 4, 5, 6}, Mask: []bool{false, false, false, false, true, true}}
	_, err := NewExamples([]Example{long}, ExampleOptions{SeqLen: 3})
	if !errors.Is(err, ErrTooLong) {
		t.Fatalf("got %v, want ErrTooLong", err)
	}
	wantError(t, err, "chats.jsonl:7", "5 tokens", "takes 3")

	e, err := NewExamples([]Example{long, late}, ExampleOptions{SeqLen: 3, Truncate: true})
	if err != nil {
		t.Fatal(err)
	}
	if e.Len() != 1 || e.Truncated != 2 || e.Dropped != 1 {
		t.Errorf("%d kept, %d cut, %d dropped; want 1, 2, 1", e.Len(), e.Truncated, e.Dropped)
	}
	b, err := e.Loader().Next()
	if err != nil || !slices.Equal(b.IDs, []int32{1, 2, 3}) || !slices.Equal(b.Targets, []int32{2, -1, -1}) {
		t.Errorf("got %v -> %v, %v", b.IDs, b.Targets, err)
	}
	_, err = NewExamples([]Example{{Name: "x", IDs: []int32{1, 2}, Mask: []bool{true, false}}}, ExampleOptions{})
	wantError(t, err, "x:", "assistant")
	_, err = NewExamples([]Example{{IDs: []int32{1, 2}, Mask: []bool{true}}}, ExampleOptions{})
	wantError(t, err, "example 0", "mask of 1")
	_, err = NewExamples([]Example{late}, ExampleOptions{SeqLen: 3, Truncate: true})
	if !errors.Is(err, ErrEmpty) {
		t.Errorf("got %v, want ErrEmpty", err)
	}
	_, err = NewExamples(nil, ExampleOptions{})
	if !errors.Is(err, ErrEmpty) {
		t.Errorf("got %v, want ErrEmpty", err)
	}
}
