package kernel

import (
	"fmt"
	"os"
)

// tier is how much of the instruction set the kernels use. Each operation has
// its own choice by tier; all of them ask level.
type tier uint8

const (
	generic tier = iota // plain Go
	avx2                // AVX2, FMA and F16C, 256-bit vectors
	avx512              // AVX-512 F, BW, DQ and VL, 512-bit vectors
)

// String returns the name that WEFT_KERNEL understands.
func (t tier) String() string {
	switch t {
	case avx512:
		return "avx512"
	case avx2:
		return "avx2"
	}
	return "generic"
}

// active is chosen once, before main, and never written again.
var active = pick(os.Getenv("WEFT_KERNEL"), best())

// level returns the tier in use: the best that the processor offers, or the
// one that the environment variable WEFT_KERNEL=avx512|avx2|generic names. It
// is read once at the start and is meant for tests and comparisons.
func level() tier { return active }

// pick returns the tier named want, or have when want is empty. It panics when
// the processor lacks what was asked for: there is no caller to tell yet, and
// a figure measured on another kernel than the one asked for would be a lie.
func pick(want string, have tier) tier {
	if want == "" {
		return have
	}
	for t := generic; t <= avx512; t++ {
		if t.String() == want {
			if t > have {
				panic(fmt.Sprintf("kernel: WEFT_KERNEL=%s, but this build and processor offer %s: unset it or name that", want, have))
			}
			return t
		}
	}
	panic(fmt.Sprintf("kernel: WEFT_KERNEL=%q is not one of avx512, avx2, generic", want))
}

// Name returns the chosen tier: "avx512", "avx2" or "generic".
func Name() string { return active.String() }
