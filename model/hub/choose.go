package hub

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Variant is one way in which a repository offers its weights.
type Variant struct {
	Select  string `json:"select"`         // what names it behind the colon; empty: safetensors
	Main    string `json:"main,omitempty"` // the file to open; empty: the folder
	Bytes   int64  `json:"bytes"`          // of all its files
	weights []File
}

const (
	configFile = "config.json"
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
	ggufExt    = ".gguf"
)

// beside are the files of a repository that say how to use its safetensors.
func beside(p string) bool {
	switch p {
	case configFile, "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
		"added_tokens.json", "tokenizer.model", "vocab.json", "merges.txt", "vocab.txt", "tekken.json",
		"chat_template.jinja", "chat_template.json", "README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE":
		return true
	}
	return path.Dir(p) == "additional_chat_templates" && path.Ext(p) == ".jinja"
}

// part is the name of one file of several: prefix, number, count.
var part = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})(\.gguf|\.safetensors)$`)

// quant is the format that a GGUF's name tells, between marks. The last counts.
var quant = regexp.MustCompile(`(?i)(?:^|[-._/])((?:UD-)?(?:I?Q\d+(?:_[A-Z0-9]+)*|(?:B?F|FP)(?:16|32)|MXFP4(?:_MOE)?|TQ\d_0))(?:[-._/]|$)`)

// variants lists what can be loaded: safetensors first, then GGUFs, the smallest
// first. Sets that lack a part are left out.
func variants(files []File) []Variant {
	var all []Variant
	if v, ok := safetensorsOf(files); ok {
		all = append(all, v)
	}
	groups := map[string][]File{}
	for _, f := range files {
		if base := strings.ToLower(path.Base(f.Path)); path.Ext(base) != ggufExt || strings.HasPrefix(base, "mmproj") || strings.Contains(base, "imatrix") {
			continue // the eyes of a model, or what it was quantised by
		}
		stem := strings.TrimSuffix(f.Path, ggufExt)
		if m := part.FindStringSubmatch(f.Path); m != nil {
			stem = m[1] + "-of-" + m[3]
		}
		groups[stem] = append(groups[stem], f)
	}
	var ggufs []Variant
	labels := map[string]int{}
	for _, stem := range slices.Sorted(maps.Keys(groups)) {
		v := Variant{weights: groups[stem]}
		slices.SortFunc(v.weights, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
		if v.Main = v.weights[0].Path; !whole(v.weights) {
			continue
		}
		v.Select = label(v.Main)
		labels[v.Select]++
		ggufs = append(ggufs, v)
	}
	for i := range ggufs {
		if v := &ggufs[i]; v.Select == "" || labels[v.Select] > 1 {
			v.Select = v.Main
		}
		ggufs[i].Bytes = bytesOf(ggufs[i].weights)
	}
	slices.SortStableFunc(ggufs, func(a, b Variant) int { return cmp.Compare(a.Bytes, b.Bytes) })
	return append(all, ggufs...)
}

// label is the format in a GGUF's name.
func label(p string) (format string) {
	s := strings.TrimSuffix(p, path.Ext(p))
	for s != "" { // marks are shared by neighbours, so matches are sought one by one
		m := quant.FindStringSubmatchIndex(s)
		if m == nil {
			break
		}
		format, s = strings.ToUpper(s[m[2]:m[3]]), s[m[3]:]
	}
	return format
}

// safetensorsOf is the set that stands at the root, with its config.
func safetensorsOf(files []File) (Variant, bool) {
	var v Variant
	config, index := false, false
	for _, f := range files {
		config = config || f.Path == configFile
		index = index || f.Path == indexFile
	}
	for _, f := range files {
		m := part.FindStringSubmatch(f.Path)
		if f.Path == singleFile || index && (f.Path == indexFile || m != nil && m[1] == "model" && m[4] == ".safetensors") {
			v.weights = append(v.weights, f)
		}
	}
	if i := slices.IndexFunc(v.weights, func(f File) bool { return f.Path == singleFile }); i >= 0 {
		v.weights = v.weights[i : i+1] // one file serves; shards beside it are the same again
	}
	v.Bytes = bytesOf(v.weights)
	return v, config && whole(v.weights)
}

// whole says whether files, sorted or not, are all parts of what their names
// count, or one file that is not a part.
func whole(files []File) bool {
	seen, count := 0, 1
	for _, f := range files {
		m := part.FindStringSubmatch(f.Path)
		switch {
		case m != nil:
			seen++
			count, _ = strconv.Atoi(m[3])
		case f.Path != indexFile:
			seen++
		}
	}
	return seen == count
}

func bytesOf(files []File) (n int64) {
	for _, f := range files {
		n += f.Size
	}
	return n
}

// choose picks the variant that a name means, and the files to have for it.
func choose(n Name, files []File) (Variant, []File, error) {
	all := variants(files)
	var hits []Variant
	for _, v := range all {
		if v.means(n.Select) {
			hits = append(hits, v)
		}
	}
	switch {
	case len(all) == 0:
		return Variant{}, nil, fmt.Errorf("%s: %w: %s", n, ErrChoice, unloadable(files))
	case n.Select == "" && all[0].Main == "": // safetensors, unless a GGUF is asked for
		hits = all[:1]
	case len(hits) != 1:
		what := "there are several"
		if n.Select != "" {
			what = fmt.Sprintf("%d of them match %q", len(hits), n.Select)
		}
		return Variant{}, nil, fmt.Errorf("%s: %w: %s; name one:%s", n, ErrChoice, what, n.list(all))
	}
	v := hits[0]
	picked := []File{}
	for _, f := range files {
		if v.Main == "" && beside(f.Path) {
			picked = append(picked, f)
		}
	}
	return v, append(picked, v.weights...), nil
}

// means says whether sel, behind the colon of a name, is this variant.
func (v Variant) means(sel string) bool {
	if sel == "" || strings.EqualFold(sel, v.Select) || sel == "safetensors" && v.Main == "" {
		return true
	}
	if l := label(v.Main); v.Main != "" && (strings.EqualFold(sel, l) || strings.EqualFold("UD-"+sel, l)) {
		return true
	}
	return slices.ContainsFunc(v.weights, func(f File) bool { return f.Path == sel || f.Path == sel+ggufExt })
}

// list shows variants as names to type.
func (n Name) list(all []Variant) string {
	const most = 40
	var s strings.Builder
	for i, v := range all {
		if i == most {
			fmt.Fprintf(&s, "\n  and %d more", len(all)-most)
			break
		}
		n.Select = cmp.Or(v.Select, "safetensors")
		fmt.Fprintf(&s, "\n  %s  (%.2f GB)", n, float64(v.Bytes)/1e9)
	}
	return s.String()
}

// unloadable says why nothing of a repository can be loaded.
func unloadable(files []File) string {
	has := func(match func(string) bool) bool {
		return slices.ContainsFunc(files, func(f File) bool { return match(f.Path) })
	}
	switch {
	case has(func(p string) bool { return p == "adapter_config.json" }):
		return "it holds an adapter, not a model: pull the model that it was made for"
	case has(func(p string) bool { return strings.HasSuffix(p, ".bin") || strings.HasSuffix(p, ".pth") }):
		return "its weights are pickles, which can run code and are not read: look for a revision or a copy with safetensors or GGUF"
	case has(func(p string) bool { return strings.HasSuffix(p, ".safetensors") || strings.HasSuffix(p, ggufExt) }):
		return "no set of its weights is whole: want config.json with model.safetensors or with " + indexFile + " and all shards, or all parts of a GGUF"
	}
	return fmt.Sprintf("none of its %d files are weights: want model.safetensors with config.json, or a GGUF", len(files))
}
