package nn

import (
	"fmt"
	"reflect"
	"strings"
)

// Walker is anything with leaves: a model.
type Walker interface{ Walk(fn func(Leaf)) }

// Named is a parameter with its names in files.
type Named struct {
	Name string // Hugging Face tensor name
	GGUF string // GGUF tensor name
	*Param
}

// holder is a Linear that has parameters of its own.
type holder interface {
	Each(fn func(suffix string, p *Param))
}

// freezer is a Linear that can be packed for serving.
type freezer interface {
	Freeze()
	Thaw()
}

// Params lists every parameter once, in Walk's order.
func Params(m Walker) []Named {
	var all []Named
	m.Walk(func(l Leaf) {
		if l.Tied {
			return
		}
		if l.Param != nil {
			all = append(all, Named{l.Name, l.GGUF, l.Param})
			return
		}
		h, ok := (*l.Linear).(holder)
		if !ok {
			return
		}
		name, gguf := strings.TrimSuffix(l.Name, ".weight"), strings.TrimSuffix(l.GGUF, ".weight")
		h.Each(func(suffix string, p *Param) {
			all = append(all, Named{name + suffix, gguf + suffix, p})
		})
	})
	return all
}

// Count is the number of weights, tied ones once.
func Count(m Walker) (n int64) {
	for _, p := range Params(m) {
		n += int64(p.Len())
	}
	return n
}

// Bytes is the memory that the weights take, in the form they are held in and
// without the packed copies of Freeze.
func Bytes(m Walker) (n int64) {
	for _, p := range Params(m) {
		n += int64(p.Bytes())
	}
	return n
}

// Freeze packs every Dense matrix for serving, the tied head too.
func Freeze(m Walker) { matrices(m, freezer.Freeze) }

// Thaw undoes Freeze. Call it after changing weights by hand; a training pass
// does so by itself.
func Thaw(m Walker) { matrices(m, freezer.Thaw) }

func matrices(m Walker, fn func(freezer)) {
	for _, l := range Linears(m) {
		if f, ok := (*l.Linear).(freezer); ok {
			fn(f)
		}
	}
}

// WalkTags visits the leaves of a struct of weights in field order. Fields of
// type *Embedding, *RMSNorm, *Param and Linear carry their names without
// ".weight" in the tags hf and gguf; a slice of structs carries the prefix of
// its elements, with %d for the index; the tag tied:"true" marks a Linear
// whose weight another leaf owns. Nil fields are skipped.
func WalkTags(m any, fn func(Leaf)) { walk(reflect.ValueOf(m).Elem(), "", "", fn) }

func walk(v reflect.Value, hf, gguf string, fn func(Leaf)) {
	for i := range v.NumField() {
		f, t := v.Field(i), v.Type().Field(i)
		tag, ok := t.Tag.Lookup("hf")
		if !ok {
			continue
		}
		name, short := hf+tag, gguf+t.Tag.Get("gguf")
		if f.Kind() == reflect.Slice {
			for j := range f.Len() {
				walk(f.Index(j), fmt.Sprintf(name, j), fmt.Sprintf(short, j), fn)
			}
			continue
		}
		if f.IsNil() {
			continue
		}
		leaf := Leaf{Name: name + ".weight", GGUF: short + ".weight", Tied: t.Tag.Get("tied") == "true"}
		switch x := f.Addr().Interface().(type) {
		case **Embedding:
			leaf.Param = &(*x).Param
		case **RMSNorm:
			leaf.Param = &(*x).Param
		case **Param:
			leaf.Param = *x
		case *Linear:
			leaf.Linear = x
		default:
			panic(fmt.Sprintf("nn: field %s of type %s is tagged hf but is no leaf", t.Name, t.Type))
		}
		fn(leaf)
	}
}
