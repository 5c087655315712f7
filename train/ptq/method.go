package ptq

import (
	"fmt"
	"slices"
	"strings"
)

// Method is a way to quantise: what is done to the columns before, and how values
// are rounded. The zero value rounds each value to nearest (RTN).
type Method struct {
	Scale Scale
	Round Round
}

// Scale moves what is hard to round between activations and weights, by factors
// that are folded into the norm or matrix before. The model computes the same.
type Scale uint8

// The scalings.
const (
	Plain       Scale = iota
	AWQ               // salient columns get finer steps (Lin 2023)
	SmoothQuant       // outliers of activations move into weights (Xiao 2022); for integer activations
)

// Round is how values become codes.
type Round uint8

// The roundings.
const (
	Nearest  Round = iota // each to the nearest of the best scale
	Weighted              // the same, columns weighted by the mean square of what they multiply
	GPTQ                  // column after column, later ones make up for errors (Frantar 2022)
)

// named is a method and what it is called.
type named struct {
	name string
	Method
}

// methods lists those that have a name, the cheapest first. Others of the nine
// combinations work too, but nobody has asked for one.
func methods() []named {
	return []named{
		{"rtn", Method{}}, {"imatrix", Method{Plain, Weighted}}, {"gptq", Method{Plain, GPTQ}},
		{"awq", Method{AWQ, Weighted}}, {"awq+gptq", Method{AWQ, GPTQ}},
		{"smoothquant", Method{SmoothQuant, Nearest}}, {"smoothquant+gptq", Method{SmoothQuant, GPTQ}},
	}
}

// MethodNames lists what ParseMethod takes.
func MethodNames() (names []string) {
	for _, m := range methods() {
		names = append(names, m.name)
	}
	return names
}

// ParseMethod finds a method by its name, in upper or lower case. The error wraps
// ErrMethod.
func ParseMethod(name string) (Method, error) {
	for _, m := range methods() {
		if strings.EqualFold(m.name, name) {
			return m.Method, nil
		}
	}
	return Method{}, fmt.Errorf("%w: %q; known are %s", ErrMethod, name, strings.Join(MethodNames(), " "))
}

// String is the method's name.
func (m Method) String() string {
	for _, n := range methods() {
		if n.Method == m {
			return n.name
		}
	}
	return fmt.Sprintf("method(%d, %d)", m.Scale, m.Round)
}

// cross says that the products of columns are needed, [in, in] for every input:
// by GPTQ to hand on errors, by AWQ to tell what a try loses.
func (m Method) cross() bool { return m.Scale == AWQ || m.Round == GPTQ }

// Calibrates says that the method looks at what matrices are applied to: it needs
// text, or for imatrix an Importance.
func (m Method) Calibrates() bool { return m != Method{} }

// sortBy orders indices by falling weight, equal ones as they stand.
func sortBy(order []int, weight []float32) {
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case weight[a] > weight[b]:
			return -1
		case weight[a] < weight[b]:
			return 1
		}
		return 0
	})
}
