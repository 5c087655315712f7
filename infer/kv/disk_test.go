package kv

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// stored opens a cache over a folder; its warnings go to the list.
func stored(t *testing.T, pages int, o DiskOptions, warnings *[]string) *Cache {
	t.Helper()
	if o.Key == "" {
		o.Key = "model"
	}
	o.Warn = func(err error) { *warnings = append(*warnings, err.Error()) }
	return open(t, Options{Pages: pages, Poison: true, Disk: o})
}

func numbered(first, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(first + i)
	}
	return ids
}

// fillIn writes a sequence whose values tell space and position, and keeps it.
func fillIn(t *testing.T, c *Cache, space string, ids []int32) naive {
	t.Helper()
	seq := c.Match(space, ids)
	from, n := c.Len(seq), naive{}
	if err := c.Grow(seq, len(ids)); err != nil {
		t.Fatal(err)
	}
	for p, id := range ids {
		if n[p] = float32(int(id) + 1000*len(space)); p >= from {
			put(c, naive{}, seq, p, n[p])
		}
	}
	c.Keep(space, seq, ids)
	c.Free(seq)
	return n
}

// TestDiskOutlivesTheCache: what one cache kept, the next one finds; another
// key or space does not, and every value is what it was.
func TestDiskOutlivesTheCache(t *testing.T) {
	var warnings []string
	o := DiskOptions{Dir: filepath.Join(t.TempDir(), "new", "folder")}
	first := stored(t, 8, o, &warnings)
	ids := numbered(0, 40)
	want := fillIn(t, first, "a", ids)
	first.Close()

	second := stored(t, 8, o, &warnings)
	if n := second.Len(second.Match("b", ids)); n != 0 {
		t.Errorf("another space finds %d positions", n)
	}
	seq := second.Match("a", append(ids[:35:35], 99))
	if n := second.Len(seq); n != 32 || second.Loaded() != 2 {
		t.Fatalf("%d positions found and %d pages loaded after a new start, want 32 and 2", n, second.Loaded())
	}
	same(t, second, want.fork(32), seq)
	if err := second.Check(); err != nil {
		t.Error(err)
	}
	// A match that ends inside a page of the disk shares it as one of memory.
	third := stored(t, 8, o, &warnings)
	if n := third.Len(third.Match("a", ids[:31])); n != 16 {
		t.Errorf("%d of 31 positions found, want the whole page", n)
	}
	o.Key = "another model"
	if other := stored(t, 8, o, &warnings); other.Len(other.Match("a", ids)) != 0 {
		t.Error("another key finds the prefix")
	}
	if len(warnings) > 0 {
		t.Error(warnings)
	}
}

// TestDiskTakesWhatMemoryGivesUp: evicted pages come back from disk.
func TestDiskTakesWhatMemoryGivesUp(t *testing.T) {
	var warnings []string
	c := stored(t, 4, DiskOptions{Dir: t.TempDir()}, &warnings)
	want := fillIn(t, c, "", numbered(0, 64))
	fillIn(t, c, "", numbered(500, 64)) // takes every page
	for range 1000 {                    // the writer is a goroutine of its own
		c.disk.mu.Lock()
		n := len(c.disk.files)
		c.disk.mu.Unlock()
		if n == 4 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	seq := c.Match("", numbered(0, 64))
	if n := c.Len(seq); n != 64 {
		t.Fatalf("%d positions came back, want 64", n)
	}
	same(t, c, want, seq)
	if err := c.Check(); err != nil || len(warnings) > 0 {
		t.Error(err, warnings)
	}
}

// TestDiskIsBounded: the oldest files make room.
func TestDiskIsBounded(t *testing.T) {
	var warnings []string
	dir := t.TempDir()
	c := stored(t, 8, DiskOptions{Dir: dir}, &warnings)
	size := int64(diskHead + c.PageBytes() + diskTail)
	c.disk.o.Bytes = 3 * size
	fillIn(t, c, "", numbered(0, 64))
	fillIn(t, c, "", numbered(500, 32))
	c.Close()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%d files, %v, want 3", len(entries), err)
	}
	c = stored(t, 8, DiskOptions{Dir: dir}, &warnings)
	if a, b := c.Len(c.Match("", numbered(0, 64))), c.Len(c.Match("", numbered(500, 32))); a != 16 || b != 32 {
		t.Errorf("%d and %d positions found, want the first page of the older and all of the newer", a, b)
	}
}

// TestDamagedFiles: every kind of damage is told, and the page is computed
// again; nothing else is lost.
func TestDamagedFiles(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"empty":    func(b []byte) []byte { return nil },
		"cut":      func(b []byte) []byte { return b[:len(b)-1] },
		"longer":   func(b []byte) []byte { return append(b, 0) },
		"a bit":    func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
		"version":  func(b []byte) []byte { b[0] ^= 1; return b },
		"its name": func(b []byte) []byte { b[9] ^= 1; return b },
	} {
		var warnings []string
		o := DiskOptions{Dir: t.TempDir()}
		c := stored(t, 8, o, &warnings)
		fillIn(t, c, "", numbered(0, 48))
		name2 := c.disk.root("").next(numbered(0, 16)).next(numbered(16, 16))
		c.Close()
		path := name2.file(o.Dir)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, damage(raw), 0o600); err != nil {
			t.Fatal(err)
		}
		c = stored(t, 8, o, &warnings)
		if n := c.Len(c.Match("", numbered(0, 48))); n != 16 {
			t.Errorf("%s: %d positions found, want the first page", name, n)
		}
		if len(warnings) != 1 || !strings.Contains(warnings[0], "is ignored") {
			t.Errorf("%s: warnings %q", name, warnings)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: the file is still there", name)
		}
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDiskOptions(t *testing.T) {
	if err := (DiskOptions{Dir: "x"}).Validate(); err == nil || !strings.Contains(err.Error(), "wants a key") {
		t.Errorf("no key: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(states, Options{Pages: 1, Disk: DiskOptions{Dir: file, Key: "k"}}); err == nil {
		t.Error("a file instead of a folder is taken")
	}
}

// FuzzDiskFile: any bytes are a whole page or an error.
func FuzzDiskFile(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte(fmt.Sprintf("%0100d", 1)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if check(raw, diskName{1}, diskHead+64+diskTail) == nil && len(raw) != diskHead+64+diskTail {
			t.Error("a file of another size is accepted")
		}
	})
}
