package corpus

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// contents reads every file of a folder.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(data)
	}
	return all
}

// texts decodes a data set back into its documents.
func texts(d *Dataset, tok Encoder) (all []string) {
	for s, doc := range d.all() {
		var text []byte
		for i := s.offset(doc); i < s.offset(doc+1); i++ {
			if id := s.id(i); !tok.IsSpecial(id) {
				text = append(text, tok.Bytes(id)...)
			}
		}
		all = append(all, string(text))
	}
	return all
}

func mustWrite(t testing.TB, dir string, tok Encoder, o ShardOptions, docs ...string) Stats {
	t.Helper()
	s, err := WriteShards(t.Context(), dir, tok, slice(docs...), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestShardsHoldTheText(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		docs := rapid.SliceOfN(rapid.String(), 1, 20).Filter(func(s []string) bool { return strings.Join(s, "") != "" }).Draw(r, "docs")
		tok := byteTok{pairs: rapid.Bool().Draw(r, "pairs"), vocab: rapid.SampledFrom([]int{514, 1<<16 + 1}).Draw(r, "vocab")}
		o := ShardOptions{MaxTokens: rapid.IntRange(40, 400).Draw(r, "max"), Workers: rapid.IntRange(1, 4).Draw(r, "workers")}
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			r.Fatal(err)
		}
		stats, err := WriteShards(t.Context(), dir, tok, slice(docs...), o)
		if err != nil {
			r.Fatal(err)
		}
		d, err := Open(dir, tok.Hash())
		if err != nil {
			r.Fatal(err)
		}
		defer d.Close()
		want := slices.DeleteFunc(slices.Clone(docs), func(s string) bool { return s == "" })
		if got := texts(d, tok); !slices.Equal(got, want) {
			r.Fatalf("got %q, want %q", got, want)
		}
		if diff := cmp.Diff(stats, d.Stats()); diff != "" || d.Bytes() != int64(len(strings.Join(docs, ""))) {
			r.Fatalf("%d bytes; %s", d.Bytes(), diff)
		}
		if int(stats.Empty) != len(docs)-len(want) {
			r.Fatalf("%d empty documents, want %d", stats.Empty, len(docs)-len(want))
		}
		memory, err := Build(t.Context(), tok, slice(docs...), o)
		if err != nil || memory.ID() != d.ID() {
			r.Fatalf("in memory %s, on disk %s, %v", memory.ID(), d.ID(), err)
		}
	})
}

func TestShardsDoNotDependOnWorkers(t *testing.T) {
	docs := numbered(3000, 1500) // several groups per worker
	var first map[string]string
	for _, workers := range []int{1, 2, 7} {
		dir := t.TempDir()
		mustWrite(t, dir, byteTok{}, ShardOptions{MaxTokens: 1 << 19, Workers: workers}, docs...)
		if got := contents(t, dir); first == nil {
			first = got
		} else if diff := cmp.Diff(first, got); diff != "" {
			t.Fatalf("%d workers write other files", workers)
		}
	}
	if len(first) < 4 {
		t.Errorf("%d files: the test wants several shards", len(first))
	}
}

func TestDocumentsWithoutMarkers(t *testing.T) {
	d := build(t, byteTok{bare: true}, ShardOptions{}, "abc", "d")
	b, err := d.Loader(LoaderOptions{SeqLen: 2, Pack: true}).Next()
	if err != nil || !slices.Equal(b.IDs, []int32{'a', 'b'}) || !slices.Equal(b.Targets, []int32{'b', 'c'}) || b.Bytes != 2 {
		t.Errorf("%+v, %v", b, err)
	}
	_, err = Build(t.Context(), byteTok{}, slice("a"), ShardOptions{End: "<|stop|>"})
	wantError(t, err, "<|stop|>")
	swapped := build(t, byteTok{}, ShardOptions{Begin: "<|end|>", End: "<|bos|>"}, "a")
	if b, _ := swapped.Loader(LoaderOptions{SeqLen: 2}).Next(); !slices.Equal(b.IDs, []int32{257, 'a'}) || !slices.Equal(b.Targets, []int32{'a', 256}) {
		t.Errorf("%+v", b)
	}
}

// failing yields documents and then an error.
func failing(n int, docs ...string) iter.Seq2[Doc, error] {
	return func(yield func(Doc, error) bool) {
		for d, err := range slice(docs[:n]...) {
			if !yield(d, err) {
				return
			}
		}
		yield(Doc{}, errors.New("the power is out"))
	}
}

func TestInterruptedWritingGoesOn(t *testing.T) {
	docs := numbered(60, 50)
	o := ShardOptions{MaxTokens: 200}
	whole := t.TempDir()
	stats := mustWrite(t, whole, byteTok{}, o, docs...)
	want := contents(t, whole)
	for n := 1; n < len(docs); n += 7 {
		dir := t.TempDir()
		_, err := WriteShards(t.Context(), dir, byteTok{}, failing(n, docs...), o)
		wantError(t, err, "power")
		if _, err := Open(dir, byteTok{}.Hash()); err == nil {
			t.Fatal("an unfinished set opened")
		} else {
			wantError(t, err, "never finished")
		}
		left := len(contents(t, dir))
		if err := os.WriteFile(filepath.Join(dir, ".shard-00000.bin.123"), nil, 0o600); err != nil {
			t.Fatal(err) // what a kill leaves
		}
		var encoded atomic.Int64
		tok := byteTok{onEncode: func() { encoded.Add(1) }}
		again := mustWrite(t, dir, tok, o, docs...)
		if diff := cmp.Diff(want, contents(t, dir)); diff != "" {
			t.Fatalf("interrupted after %d documents: %s", n, diff)
		}
		if again.Reused != left || again.Docs != stats.Docs {
			t.Fatalf("reused %d shards of %d; %d documents, want %d", again.Reused, left, again.Docs, stats.Docs)
		}
		if left > 0 && encoded.Load() == stats.Docs {
			t.Fatal("everything was tokenised again")
		}
	}
}

func TestChangedTextIsTokenisedAgain(t *testing.T) {
	docs := numbered(60, 50)
	o := ShardOptions{MaxTokens: 200}
	for _, change := range []func([]string) []string{
		func(d []string) []string { d[30] += "!"; return d },
		func(d []string) []string { return d[:20] },
		func(d []string) []string { return append(d, "one more") },
		func(d []string) []string { d[0], d[1] = d[0]+d[1][:1], d[1][1:]; return d }, // a border moved
	} {
		dir, fresh := t.TempDir(), t.TempDir()
		mustWrite(t, dir, byteTok{}, o, docs...)
		changed := change(slices.Clone(docs))
		mustWrite(t, dir, byteTok{}, o, changed...)
		mustWrite(t, fresh, byteTok{}, o, changed...)
		d, err := Open(dir, byteTok{}.Hash())
		if err != nil {
			t.Fatal(err)
		}
		if got := texts(d, byteTok{}); !slices.Equal(got, changed) {
			t.Errorf("shards hold %d documents, want %d, or other text", len(got), len(changed))
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnotherTokenizerIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, dir, byteTok{}, ShardOptions{}, "some text")
	_, err := Open(dir, "other")
	if !errors.Is(err, ErrTokenizer) {
		t.Errorf("got %v, want ErrTokenizer", err)
	}
	wantError(t, err, "fake", "other", dir)
	_, err = WriteShards(t.Context(), dir, byteTok{hash: "2"}, slice("some text"), ShardOptions{})
	if !errors.Is(err, ErrTokenizer) {
		t.Errorf("got %v, want ErrTokenizer", err)
	}
}

func TestWriteErrors(t *testing.T) {
	_, err := WriteShards(t.Context(), t.TempDir(), byteTok{}, slice("", ""), ShardOptions{})
	if !errors.Is(err, ErrEmpty) {
		t.Errorf("got %v, want ErrEmpty", err)
	}
	_, err = WriteShards(t.Context(), t.TempDir(), byteTok{}, slice("hello"), ShardOptions{SeqLen: 100})
	if !errors.Is(err, ErrTooSmall) {
		t.Errorf("got %v, want ErrTooSmall", err)
	}
	wantError(t, err, "6 tokens", "100", "add text")
	ctx, cancel := context.WithCancel(t.Context())
	endless := func(yield func(Doc, error) bool) {
		for yield(Doc{Text: strings.Repeat("x", 1<<16)}, nil) {
		}
	}
	o := ShardOptions{Progress: func(p Progress) {
		if p.Bytes > 1<<21 {
			cancel()
		}
	}}
	if _, err := WriteShards(ctx, t.TempDir(), byteTok{}, endless, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestProgressEndsWithEverything(t *testing.T) {
	var last Progress
	docs := numbered(3000, 1500)
	s := mustWrite(t, t.TempDir(), byteTok{}, ShardOptions{Progress: func(p Progress) {
		if p.Docs < last.Docs || p.Tokens < last.Tokens || p.Bytes <= last.Bytes {
			t.Errorf("progress went from %+v to %+v", last, p)
		}
		last = p
	}}, docs...)
	if want := (Progress{s.Docs, s.Tokens, s.Bytes}); last != want {
		t.Errorf("last progress %+v, want %+v", last, want)
	}
}

// aShard is a small valid file.
func aShard(t testing.TB) []byte {
	dir := t.TempDir()
	mustWrite(t, dir, byteTok{}, ShardOptions{}, "hello", "you", "x")
	return []byte(contents(t, dir)[shardName(0)])
}

// resum makes the checksums right again after a change.
func resum(data []byte) []byte {
	binary.LittleEndian.PutUint32(data[144:], crc32.Checksum(data[headerLen:], castagnoli))
	binary.LittleEndian.PutUint32(data[148:], crc32.Checksum(data[:148], castagnoli))
	return data
}

func TestDamagedShardsAreRefused(t *testing.T) {
	good := aShard(t)
	if _, err := parseShard("good", good); err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if _, err := parseShard("cut", good[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
		if n >= 152 && n < headerLen {
			continue // padding of the header
		}
		flipped := slices.Clone(good)
		flipped[n] ^= 0x10
		if _, err := parseShard("flipped", flipped); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d flipped: %v", n, err)
		}
	}
	if _, err := parseShard("long", append(slices.Clone(good), 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a byte too many: %v", err)
	}
	ids, docs := 9+2*3, 3
	offsets := headerLen + int(pad8(uint64(2*ids)))
	for name, change := range map[string]func(b []byte){
		"huge ids":      func(b []byte) { binary.LittleEndian.PutUint64(b[16:], 1<<63) },
		"huge docs":     func(b []byte) { binary.LittleEndian.PutUint64(b[24:], 1<<61-1) },
		"huge vocab":    func(b []byte) { binary.LittleEndian.PutUint32(b[40:], 1<<32-1) },
		"width":         func(b []byte) { binary.LittleEndian.PutUint32(b[12:], 3) },
		"begin":         func(b []byte) { binary.LittleEndian.PutUint32(b[44:], 300) },
		"version":       func(b []byte) { binary.LittleEndian.PutUint32(b[8:], 2) },
		"id":            func(b []byte) { binary.LittleEndian.PutUint16(b[headerLen:], 258) },
		"first offset":  func(b []byte) { binary.LittleEndian.PutUint64(b[offsets:], 1) },
		"offset order":  func(b []byte) { binary.LittleEndian.PutUint64(b[offsets+8:], 14) },
		"offset beyond": func(b []byte) { binary.LittleEndian.PutUint64(b[offsets+16:], 1<<40) },
		"offset minus":  func(b []byte) { binary.LittleEndian.PutUint64(b[offsets+8:], 1<<63) },
		"last offset":   func(b []byte) { binary.LittleEndian.PutUint64(b[offsets+8*docs:], 14) },
	} {
		bad := slices.Clone(good)
		change(bad)
		if _, err := parseShard(name, resum(bad)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
		}
	}
}

func TestOpenNamesTheDamage(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"cut short":    func(dir string) error { return os.Truncate(filepath.Join(dir, shardName(1)), 170) },
		"less than":    func(dir string) error { return os.Truncate(filepath.Join(dir, shardName(1)), 0) },
		"no such file": func(dir string) error { return os.Remove(filepath.Join(dir, shardName(1))) },
		manifestName:   func(dir string) error { return os.WriteFile(filepath.Join(dir, manifestName), []byte("{"), 0o644) },
		"shards hold": func(dir string) error {
			return os.Rename(filepath.Join(dir, shardName(1)), filepath.Join(dir, shardName(0)))
		},
		"never finish":  func(dir string) error { return os.Remove(filepath.Join(dir, manifestName)) },
		"another token": func(dir string) error { return rehash(filepath.Join(dir, manifestName)) },
	} {
		dir := t.TempDir()
		mustWrite(t, dir, byteTok{}, ShardOptions{MaxTokens: 20}, numbered(6, 20)...)
		if err := damage(dir); err != nil {
			t.Fatal(err)
		}
		if name == "shards hold" {
			if err := os.Link(filepath.Join(dir, shardName(0)), filepath.Join(dir, shardName(1))); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Open(dir, byteTok{}.Hash())
		want := name
		switch name {
		case "less than":
			want = "0 bytes, want at least"
		case "another token":
			want = ErrTokenizer.Error()
		case "cut short":
			want = "was it cut short?"
		}
		wantError(t, err, want)
	}
}

// rehash changes the tokenizer's hash in a manifest.
func rehash(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, bytes.Replace(data, []byte("fake"), []byte("hoax"), 1), 0o644)
}

func TestSplit(t *testing.T) {
	many := numbered(1000, 40)
	s, err := PlanSplit(slice(many...), 0)
	if err != nil || s.Method != SplitHash {
		t.Fatalf("%+v, %v", s, err)
	}
	train, _ := collect(s.Train(slice(many...)), "")
	val, _ := collect(s.Val(slice(many...)), "")
	if len(train)+len(val) != 1000 || len(val) < 70 || len(val) > 130 {
		t.Errorf("%d to train on, %d held out, of 1000", len(train), len(val))
	}
	few, err := PlanSplit(slice("0123456789", "äöüß", "x"), 0.5)
	if err != nil || few.Method != SplitTail || few.Docs != 3 {
		t.Fatalf("%+v, %v", few, err)
	}
	train, _ = collect(few.Train(slice("0123456789", "äöüß", "x")), "")
	val, _ = collect(few.Val(slice("0123456789", "äöüß", "x")), "")
	if fmt.Sprint(train) != "[{01234 0} {äö 1}]" || fmt.Sprint(val) != "[{56789 0} {üß 1} {x 2}]" {
		t.Errorf("train %v, val %v", train, val)
	}
	wantWords := map[string]Split{"1000 %": {Method: SplitHash, Fraction: 10}, "of 3 document(s)": few, "none": {Method: SplitNone}}
	for words, s := range wantWords {
		if !strings.Contains(s.String(), words) {
			t.Errorf("%q lacks %q", s, words)
		}
	}
	if _, err := PlanSplit(slice("a"), 0.7); err == nil {
		t.Error("70 % held out passed")
	}
	if _, err := PlanSplit(failing(0), 0); err == nil {
		t.Error("an error of reading was lost")
	}
}

func TestPrepare(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "disk": t.TempDir()} {
		text := strings.Repeat("abcdefghij", 100)
		d, err := Prepare(t.Context(), byteTok{}, slice(text), PrepareOptions{Dir: dir, ShardOptions: ShardOptions{SeqLen: 64}})
		if err != nil {
			t.Fatal(err)
		}
		if d.Train.Bytes() != 900 || d.Val.Bytes() != 100 || d.Split.Method != SplitTail {
			t.Errorf("%s: %d and %d bytes, %v", name, d.Train.Bytes(), d.Val.Bytes(), d.Split)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	none, err := Prepare(t.Context(), byteTok{}, slice("text"), PrepareOptions{Val: -1})
	if err != nil || none.Val != nil || none.Close() != nil {
		t.Errorf("%+v, %v", none, err)
	}
	_, err = Prepare(t.Context(), byteTok{}, slice("text"), PrepareOptions{ShardOptions: ShardOptions{SeqLen: 64}})
	if !errors.Is(err, ErrTooSmall) {
		t.Errorf("got %v, want ErrTooSmall", err)
	}
}

func FuzzShard(f *testing.F) {
	good := aShard(f)
	f.Add(good)
	f.Add(good[:headerLen])
	f.Add([]byte(shardMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		// With the sums set right, the other checks are reached too.
		for _, d := range [][]byte{data, slices.Clone(data)} {
			if len(d) >= headerLen && &d[0] != &data[0] {
				resum(d)
			}
			s, err := parseShard("fuzz", d)
			if err != nil {
				if !errors.Is(err, ErrCorrupt) {
					t.Fatalf("%v does not wrap ErrCorrupt", err)
				}
				continue
			}
			set := newDataset([]*shard{s})
			var n int64
			for b, err := range set.Eval(EvalOptions{Rows: 2, SeqLen: 3}) {
				if err == nil {
					wellFormed(t, b, 3)
				}
				n += int64(len(b.IDs))
			}
			if n != set.Predictions() {
				t.Fatalf("%d predictions, want %d", n, set.Predictions())
			}
		}
	})
}
