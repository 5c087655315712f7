package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"weft/internal/atomicfile"
)

// partEnd and journalEnd are what follows a blob's name while it is incomplete.
// Other tools use other endings for their own, so that nobody appends to a file
// that has holes.
const (
	partEnd    = ".weft-part"
	journalEnd = ".weft-part.json"
)

// maxSegments bounds a journal, in ranges.
const maxSegments = 1 << 20

// errNoRange says that a server sends whole files only.
var errNoRange = permanent{errors.New("the server knows no ranges")}

// journal says which bytes of a part file are there. It is written after they
// are on the disk.
type journal struct {
	Size    int64   `json:"size"`    // bytes of the file
	Segment int64   `json:"segment"` // bytes of a range; the last is shorter
	Done    []int64 `json:"done"`    // bytes there of each range, from its start
}

// download is one blob on its way.
type download struct {
	c     *Client
	item  *Item
	moved *atomic.Int64 // bytes there of the whole plan
	file  *os.File
	disk  io.WriterAt

	mu   sync.Mutex // guards what follows
	j    journal
	next int // the first range that nobody has taken
}

// fetch makes the item's blob: whole and checked, or not at all.
func (c *Client) fetch(ctx context.Context, it *Item, moved *atomic.Int64) error {
	if err := os.MkdirAll(filepath.Dir(it.blob), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(it.blob+partEnd, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := lock(f); err != nil {
		return err
	}
	if there(it.blob, it.Size) { // another process finished it meanwhile
		return os.Remove(f.Name())
	}
	d := &download{c: c, item: it, moved: moved, file: f, disk: c.disk(f)}
	if err := d.resume(); err != nil {
		return err
	}
	err = d.parallel(ctx)
	if errors.Is(err, errNoRange) {
		err = d.persistWhole(ctx)
	}
	if err != nil {
		return explain(err)
	}
	return d.finish(ctx)
}

// explain adds what to do.
func explain(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: the disk is full; make room and pull again: what is there is kept", err)
	}
	return err
}

// resume takes up what an earlier run left, if its journal fits.
func (d *download) resume() error {
	data, err := os.ReadFile(d.item.blob + journalEnd)
	if err == nil && json.Unmarshal(data, &d.j) == nil && d.j.sound(d.item.Size) {
		if st, err := d.file.Stat(); err == nil && st.Size() == d.item.Size {
			d.moved.Add(d.j.total())
			return nil
		}
	}
	size := max(d.c.o.Segment, (d.item.Size+maxSegments-1)/maxSegments)
	d.j = journal{Size: d.item.Size, Segment: size, Done: make([]int64, (d.item.Size+size-1)/size)}
	return d.file.Truncate(d.item.Size)
}

// sound says whether a journal can be one of a file of size bytes.
func (j *journal) sound(size int64) bool {
	if j.Size != size || j.Segment <= 0 || int64(len(j.Done)) != (size+j.Segment-1)/j.Segment {
		return false
	}
	for i, n := range j.Done {
		if from, to := j.bounds(i); n < 0 || n > to-from {
			return false
		}
	}
	return true
}

// bounds is range i, [from, to).
func (j *journal) bounds(i int) (from, to int64) {
	from = int64(i) * j.Segment
	return from, min(from+j.Segment, j.Size)
}

func (j *journal) total() (n int64) {
	for _, done := range j.Done {
		n += done
	}
	return n
}

// parallel fetches all ranges, several at once, and keeps the journal. On error
// what is there is noted.
func (d *download) parallel(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var workers, saver sync.WaitGroup
	ended := make(chan struct{})
	saver.Go(func() {
		for tick := time.NewTicker(d.c.o.Save); ; {
			select {
			case <-ended:
				tick.Stop()
				return
			case <-tick.C:
				if err := d.save(); err != nil {
					stop(err)
				}
			}
		}
	})
	for range min(d.c.o.Jobs, len(d.j.Done)) {
		workers.Go(func() {
			if err := d.work(ctx); err != nil {
				stop(err)
			}
		})
	}
	workers.Wait()
	close(ended)
	saver.Wait()
	err := context.Cause(ctx)
	if err != nil && !errors.Is(err, errNoRange) {
		_ = d.save() // where it fails too, the last note stays true
	}
	return err
}

// work takes ranges until none is left.
func (d *download) work(ctx context.Context) error {
	for {
		d.mu.Lock()
		i := d.next
		d.next++
		d.mu.Unlock()
		if i >= len(d.j.Done) {
			return nil
		}
		err := d.c.persist(ctx, func() int64 { return d.at(i) }, func() error { return d.stream(ctx, i) })
		if err != nil {
			return err
		}
	}
}

// at is how many bytes of range i are there.
func (d *download) at(i int) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.j.Done[i]
}

// stream fetches what is missing of range i.
func (d *download) stream(ctx context.Context, i int) error {
	from, to := d.j.bounds(i)
	from += d.at(i)
	if from == to {
		return nil
	}
	s := span{from, to, d.j.Size}
	r, err := d.c.get(ctx, d.item.url, s, "")
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if err := s.check(r); err != nil {
		return err
	}
	return d.copy(r.Body, from, to, func(n int64) {
		d.mu.Lock()
		d.j.Done[i] += n
		d.mu.Unlock()
	})
}

// check holds the head of an answer against the range that was asked for.
func (s span) check(r *http.Response) error {
	if r.StatusCode == http.StatusOK {
		if s.from != 0 || s.to != s.size {
			return errNoRange
		}
		if r.ContentLength >= 0 && r.ContentLength != s.size {
			return s.lie(r.ContentLength)
		}
		return nil
	}
	var from, to, size int64
	if _, err := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &size); err != nil || from != s.from {
		return permanent{fmt.Errorf("%w: bytes %d to %d were asked for, Content-Range is %.100q", ErrListing, s.from, s.to-1, r.Header.Get("Content-Range"))}
	}
	if size != s.size {
		return s.lie(size)
	}
	return nil
}

func (s span) lie(got int64) error {
	return permanent{fmt.Errorf("%w: the list says %d bytes, the server %d: the file changed, or the mirror is out of step; pull again", ErrSize, s.size, got)}
}

// copy writes bytes [from, to) from body into the part.
func (d *download) copy(body io.Reader, from, to int64, advance func(int64)) error {
	buf := make([]byte, 256<<10)
	for from < to {
		n, err := body.Read(buf[:min(int64(len(buf)), to-from)])
		if n > 0 {
			if _, err := d.disk.WriteAt(buf[:n], from); err != nil {
				return permanent{fmt.Errorf("write %s at byte %d of %d: %w", d.file.Name(), from, d.j.Size, err)}
			}
			from += int64(n)
			advance(int64(n))
			d.moved.Add(int64(n))
		}
		if err != nil && from < to {
			if err == io.EOF {
				err = fmt.Errorf("the connection ended %d bytes early: %w", to-from, io.ErrUnexpectedEOF)
			}
			return err
		}
	}
	return nil
}

// persistWhole fetches the file in one piece, again from its start each time.
func (d *download) persistWhole(ctx context.Context) error {
	s := span{0, d.j.Size, d.j.Size}
	here := d.j.total()
	return d.c.persist(ctx, func() int64 { return 0 }, func() error {
		d.moved.Add(-here)
		here = 0
		r, err := d.c.get(ctx, d.item.url, span{}, "")
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if err := s.check(r); err != nil {
			return err
		}
		return d.copy(r.Body, 0, d.j.Size, func(n int64) { here += n })
	})
}

// save notes what is there, once it is on the disk.
func (d *download) save() error {
	d.mu.Lock()
	data, err := json.Marshal(d.j)
	d.mu.Unlock()
	if err == nil {
		err = d.file.Sync()
	}
	if err == nil {
		err = atomicfile.WriteBytes(d.item.blob+journalEnd, data)
	}
	return err
}

// finish checks the part and gives it its name.
func (d *download) finish(ctx context.Context) error {
	got, err := d.sum(ctx)
	if err != nil {
		return err
	}
	journal := d.item.blob + journalEnd
	if want := d.item.Digest.Hex; got != want {
		os.Remove(journal)
		os.Remove(d.file.Name())
		d.moved.Add(-d.item.Size)
		return fmt.Errorf("%w: %s of %d bytes is %s, want %s: the download was thrown away; pull again, and if it stays so the mirror is broken",
			ErrChecksum, d.item.Digest.Algorithm, d.j.Size, got, want)
	}
	if err := d.file.Sync(); err != nil {
		return explain(err)
	}
	if err := os.Rename(d.file.Name(), d.item.blob); err != nil {
		return err
	}
	os.Remove(journal)
	return atomicfile.SyncDir(filepath.Dir(d.item.blob))
}

// sum reads the part through the item's checksum.
func (d *download) sum(ctx context.Context) (string, error) {
	var h hash.Hash = sha256.New()
	if d.item.Digest.Algorithm == gitName {
		h = sha1.New()
		fmt.Fprintf(h, "blob %d\x00", d.j.Size)
	}
	buf := make([]byte, 1<<20)
	for at := int64(0); at < d.j.Size && ctx.Err() == nil; {
		n, err := d.file.ReadAt(buf[:min(int64(len(buf)), d.j.Size-at)], at)
		if h.Write(buf[:n]); err != nil && err != io.EOF {
			return "", err
		}
		at += int64(n)
	}
	return hex.EncodeToString(h.Sum(nil)), ctx.Err()
}

// there says whether path is a file of size bytes, through links.
func there(path string, size int64) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Size() == size
}
