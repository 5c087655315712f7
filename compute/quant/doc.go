// Package quant turns rows of float32 into blocks of small integers and back.
//
//	32 values of a row  ->  d = max|x| / 127      kept as float16
//	                        q = round(x * 1/d)    kept as int8
//	               back:    x = q * d             float32
//
// The arithmetic is that of GGUF's Q8_0, value for value. A block costs 34
// bytes, 8.5 bits per value; the error of a value is at most half of d, plus
// what the rounding of d itself adds: 2^-11 of the value.
//
// The package knows slices only. How files lay scales and integers out is the
// business of model/weights.
package quant
