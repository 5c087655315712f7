package engine

import (
	"sort"

	"weft/compute/kernel"
	"weft/infer/kv"
	"weft/internal/sysmem"
	"weft/model"
)

// fill replaces zeros by defaults for a model, given the bytes of one page and
// the free memory of the machine.
func (o Options) fill(info model.Info, page, free int64) Options {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	set(&o.PageLen, kernel.BlockLen)
	set(&o.MaxBatch, 16)
	set(&o.Chunk, 256)
	set(&o.Queue, 64)
	set(&o.DraftLen, 8)
	if o.Warn == nil {
		o.Warn = func(error) {}
	}
	context := info.Context
	if context <= 0 {
		context = 2048
	}
	whole := o.MaxBatch * ((context + o.PageLen - 1) / o.PageLen)
	set(&o.Pages, max(1, min(whole, int(free/2/page))))
	return o
}

// pages is what a cache is made with: room to write a chunk of a prompt, or a
// token and guesses, between two calls of Slide.
func (o Options) pages() kv.Options {
	return kv.Options{Pages: o.Pages, PageLen: o.PageLen, Chunk: o.Chunk + o.DraftLen, Type: o.KVType, Poison: o.poison}
}

// pageBytes is the size of a page, all layers; never 0: kv.New names a model
// without state.
func pageBytes(states []model.State, o Options) int64 { return max(1, kv.PageBytes(states, o.pages())) }

// freeMemory is what the cache may be sized by; 4 GiB where the system does
// not say.
func freeMemory() int64 {
	if free := sysmem.Free(); free > 0 {
		return free
	}
	return 4 << 30
}

// longest is the number of positions that one request may take: the model's
// context, or as many as the cache has room for at a time. Layers with a window
// need few.
func longest(states []model.State, o kv.Options, context int) int {
	if context <= 0 {
		return o.Pages * o.PageLen
	}
	total := kv.MostPages(states, o, 1) * o.Pages // a page per group of layers, each
	return sort.Search(context, func(n int) bool { return kv.MostPages(states, o, n+1) > total })
}
