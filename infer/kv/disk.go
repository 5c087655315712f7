package kv

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// DiskOptions is a folder where kept pages live on when they leave memory, and
// when the process ends.
type DiskOptions struct {
	Dir   string      // made if it is not there; "" is no disk tier
	Key   string      // all that the bits depend on: weights, tokenizer, program, kernels; required
	Bytes int64       // of the files, at most; 4 GiB
	Warn  func(error) // told of a damaged file, and of the first write that fails; nobody
}

// Validate names the first option that makes no sense.
func (o DiskOptions) Validate() error {
	switch {
	case o.Dir != "" && o.Key == "":
		return errors.New("kv: a folder for prefixes wants a key that names the model")
	case o.Bytes < 0:
		return fmt.Errorf("kv: Bytes of the disk tier is %d, want 0 (the default) or more", o.Bytes)
	}
	return nil
}

// A file is one page, named by the hash of everything before its end: DiskOptions.Key,
// space, and all tokens up to it, and its group of layers. So whoever knows a prefix knows the names of
// its pages, and finding all of them is finding the prefix.
//
//	8 bytes        32 bytes    4*n bytes                       4 bytes
//	[diskMagic  ] [its name ] [floats of the page, as in memory] [CRC-32C of what is before]
const (
	diskMagic = 0x31766b7466657701 // in the byte order of the machine; changes with the layout
	diskHead  = 8 + len(diskName{})
	diskTail  = 4
	diskExt   = ".kv"
)

// diskName is SHA-256 of the name before and the tokens of a page.
type diskName [sha256.Size]byte

func (n diskName) file(dir string) string {
	return filepath.Join(dir, hex.EncodeToString(n[:])+diskExt)
}

// next is the name of the page of these tokens behind page n.
func (n diskName) next(tokens []int32) diskName {
	h := sha256.New()
	h.Write(n[:])
	_ = binary.Write(h, binary.LittleEndian, tokens)
	return diskName(h.Sum(nil))
}

// part is the name of a group's page among those of the same tokens.
func (n diskName) part(g int) diskName {
	if g == 0 {
		return n
	}
	return sha256.Sum256(fmt.Appendf(n[:], "%d", g))
}

// disk is the second tier. Reading is the scheduler's, writing a goroutine's of
// its own.
type disk struct {
	o     DiskOptions
	shape string // what else the bits of a page depend on
	page  int    // bytes of a page

	mu     sync.Mutex
	files  map[diskName]int64 // size of each
	order  []diskName         // oldest first; may name files that are gone
	bytes  int64
	broken bool // a write has failed: no more of them

	queue chan diskPage
	done  sync.WaitGroup
}

// diskPage is a page on its way to its file.
type diskPage struct {
	name diskName
	data []byte
}

// diskQueue is how many pages may wait to be written while requests run; more
// are not kept.
const diskQueue = 64

// openDisk reads which pages are there.
func openDisk(o DiskOptions, shape string, page int) (*disk, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Bytes == 0 {
		o.Bytes = 4 << 30
	}
	if o.Warn == nil {
		o.Warn = func(error) {}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("kv: folder for prefixes: %w", err)
	}
	d := &disk{o: o, shape: shape, page: page, files: map[diskName]int64{}, queue: make(chan diskPage, diskQueue)}
	if err := d.scan(); err != nil {
		return nil, fmt.Errorf("kv: folder for prefixes: %w", err)
	}
	d.done.Go(func() {
		for p := range d.queue {
			d.write(p)
		}
	})
	return d, nil
}

// scan lists the files, oldest first, and removes what a write left unfinished.
func (d *disk) scan() error {
	entries, err := os.ReadDir(d.o.Dir)
	if err != nil {
		return err
	}
	times := map[diskName]time.Time{}
	for _, e := range entries {
		text, ok := strings.CutSuffix(e.Name(), diskExt)
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if strings.HasPrefix(text, ".") && strings.Contains(text, diskExt) && time.Since(info.ModTime()) > time.Hour {
			os.Remove(filepath.Join(d.o.Dir, e.Name()))
		}
		raw, err := hex.DecodeString(text)
		if !ok || err != nil || len(raw) != sha256.Size {
			continue
		}
		name := diskName(raw)
		d.files[name], times[name] = info.Size(), info.ModTime()
		d.order = append(d.order, name)
		d.bytes += info.Size()
	}
	slices.SortFunc(d.order, func(a, b diskName) int {
		return cmp.Or(times[a].Compare(times[b]), slices.Compare(a[:], b[:]))
	})
	return nil
}

// root is the name in front of the first page of a space.
func (d *disk) root(space string) diskName {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q %q", d.o.Key, d.shape, space))
}

func (d *disk) has(name diskName) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.files[name]
	return ok
}

// read fills a page. A file that is not what it should be is reported, removed
// and not there.
func (d *disk) read(name diskName, page []float32) bool {
	path := name.file(d.o.Dir)
	raw, err := readAtMost(path, diskHead+d.page+diskTail)
	if err == nil {
		err = check(raw, name, diskHead+d.page+diskTail)
	}
	if err != nil {
		d.forget(name)
		if !errors.Is(err, fs.ErrNotExist) { // another process may have removed it
			os.Remove(path)
			d.o.Warn(fmt.Errorf("kv: a stored prefix is ignored: %s: %w", path, err))
		}
		return false
	}
	copy(bytesOf(page), raw[diskHead:])
	return true
}

// readAtMost reads a file that should have n bytes; of a longer one, n+1.
func readAtMost(path string, n int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw := make([]byte, n+1)
	have := 0
	for have < len(raw) {
		got, err := f.Read(raw[have:])
		if have += got; err != nil {
			break // its end, or what check will find missing
		}
	}
	return raw[:have], nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// check proves that the bytes of a file are page name, whole.
func check(raw []byte, name diskName, want int) error {
	switch {
	case len(raw) != want:
		return fmt.Errorf("it has %d bytes or more, want %d", len(raw), want)
	case binary.NativeEndian.Uint64(raw) != diskMagic:
		return errors.New("it is no page of this version and byte order")
	case diskName(raw[8:diskHead]) != name:
		return errors.New("it is another page than its name says")
	case crc32.Checksum(raw[:want-diskTail], castagnoli) != binary.NativeEndian.Uint32(raw[want-diskTail:]):
		return errors.New("its checksum is wrong")
	}
	return nil
}

// put hands a page to the writer; a full queue drops it unless wait.
func (d *disk) put(name diskName, page []float32, wait bool) {
	d.mu.Lock()
	_, known := d.files[name]
	broken := d.broken
	d.mu.Unlock()
	if known || broken {
		return
	}
	if !wait && len(d.queue) == cap(d.queue) {
		return
	}
	raw := make([]byte, 0, diskHead+d.page+diskTail)
	raw = binary.NativeEndian.AppendUint64(raw, diskMagic)
	raw = append(raw, name[:]...)
	raw = append(raw, bytesOf(page)...)
	raw = binary.NativeEndian.AppendUint32(raw, crc32.Checksum(raw, castagnoli))
	d.queue <- diskPage{name, raw}
}

// write puts one page into place under a temporary name first. It is not
// synced: what a crash of the machine tears has a wrong checksum.
func (d *disk) write(p diskPage) {
	if int64(len(p.data)) > d.o.Bytes || d.has(p.name) {
		return
	}
	d.shrink(d.o.Bytes - int64(len(p.data)))
	path := p.name.file(d.o.Dir)
	f, err := os.CreateTemp(d.o.Dir, "."+filepath.Base(path)+".*")
	if err == nil {
		_, err = f.Write(p.data)
		err = cmp.Or(err, f.Close())
		if err == nil {
			err = os.Rename(f.Name(), path)
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		if !d.broken {
			d.o.Warn(fmt.Errorf("kv: no more prefixes are stored: %w", err))
		}
		d.broken = true
		return
	}
	d.files[p.name] = int64(len(p.data))
	d.order = append(d.order, p.name)
	d.bytes += int64(len(p.data))
}

// shrink removes the oldest files until at most so many bytes are left.
func (d *disk) shrink(most int64) {
	for {
		d.mu.Lock()
		if d.bytes <= most || len(d.order) == 0 {
			d.mu.Unlock()
			return
		}
		name := d.order[0]
		d.order = d.order[1:]
		d.mu.Unlock()
		d.forget(name)
		os.Remove(name.file(d.o.Dir))
	}
}

// forget takes a file off the books.
func (d *disk) forget(name diskName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bytes -= d.files[name]
	delete(d.files, name)
}

// close waits for the last write.
func (d *disk) close() {
	close(d.queue)
	d.done.Wait()
}

// bytesOf is the memory of a page.
func bytesOf(page []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(page))), 4*len(page))
}
