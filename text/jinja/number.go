package jinja

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// maxBits bounds the ints that a template can make; Python refuses to print
// ints of more than 4300 digits, which is about this many bits.
const maxBits = 1 << 14

// normal is z as int64 if it fits.
func normal(z *big.Int) value {
	if z.IsInt64() {
		return z.Int64()
	}
	return z
}

// number is v as int64, *big.Int or float64; a bool counts as 0 or 1.
func number(v value) (value, bool) {
	switch v := v.(type) {
	case int64, *big.Int, float64:
		return v, true
	case bool:
		if v {
			return int64(1), true
		}
		return int64(0), true
	}
	return nil, false
}

// integer is v as int64 or *big.Int if it is a whole number by type.
// 1.0 is not one, though it equals 1.
func integer(v value) (value, bool) {
	n, ok := number(v)
	if _, float := n.(float64); float {
		return nil, false
	}
	return n, ok
}

// v must be an int64 or a *big.Int.
func toBig(v value) *big.Int {
	if n, ok := v.(int64); ok {
		return big.NewInt(n)
	}
	return v.(*big.Int)
}

// toFloat fails where an int is beyond all floats.
func (m *machine) toFloat(v value) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	}
	f, _ := new(big.Float).SetInt(v.(*big.Int)).Float64()
	if math.IsInf(f, 0) {
		m.fail("int too large to convert to float")
	}
	return f
}

// arithmetic computes a op b for two numbers.
// Ints stay ints but for "/", and a float on either side makes the result one.
func (m *machine) arithmetic(op string, a, b value) value {
	_, fa := a.(float64)
	_, fb := b.(float64)
	if fa || fb || op == "/" {
		return m.floatArithmetic(op, m.toFloat(a), m.toFloat(b))
	}
	if x, ok := a.(int64); ok {
		if y, ok := b.(int64); ok {
			if v, ok := smallArithmetic(op, x, y); ok {
				return v
			}
		}
	}
	return m.bigArithmetic(op, toBig(a), toBig(b))
}

// smallArithmetic computes on int64; ok is false where the result may not fit
// or the divisor is zero.
// Go divides towards zero, Python downwards: -7 // 2 is -4, and the rest has the sign of
// the divisor.
func smallArithmetic(op string, x, y int64) (value, bool) {
	switch op {
	case "+":
		// It fits if the sum moved the way that y points.
		z := x + y
		return z, (z > x) == (y > 0)
	case "-":
		z := x - y
		return z, (z < x) == (y > 0)
	case "*":
		hi, lo := bits.Mul64(magnitude(x), magnitude(y))
		return x * y, hi == 0 && lo < 1<<63
	case "//", "%":
		// The least int64 by -1 does not fit; zero is bigArithmetic's error.
		if y == 0 || y == -1 {
			return nil, false
		}
		q, r := x/y, x%y
		if r != 0 && (r < 0) != (y < 0) {
			q, r = q-1, r+y
		}
		if op == "//" {
			return q, true
		}
		return r, true
	}
	return nil, false
}

// magnitude is |x|, also of the least int64, which has no positive twin.
func magnitude(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}

// bigArithmetic computes on ints of any size up to maxBits.
func (m *machine) bigArithmetic(op string, x, y *big.Int) value {
	z := new(big.Int)
	// Work grows with the length: a step for every 128 bytes of operands.
	m.spend((x.BitLen() + y.BitLen()) / 8)
	switch op {
	case "+":
		z.Add(x, y)
	case "-":
		z.Sub(x, y)
	case "*":
		z.Mul(x, y)
	case "//", "%":
		if y.Sign() == 0 {
			m.fail("integer division or modulo by zero")
		}
		// big.Int divides towards zero or Euclid's way; Python floors.
		q, r := new(big.Int).QuoRem(x, y, new(big.Int))
		if r.Sign() != 0 && r.Sign() != y.Sign() {
			q.Sub(q, big.NewInt(1))
			r.Add(r, y)
		}
		z = q
		if op == "%" {
			z = r
		}
	// A negative exponent gives a float. What the result would have in bits is asked
	// before it is computed.
	case "**":
		if y.Sign() < 0 {
			return m.floatArithmetic(op, m.toFloat(normal(x)), m.toFloat(normal(y)))
		}
		if x.BitLen() > 1 && (!y.IsInt64() || y.Int64() > maxBits || int64(x.BitLen()-1)*y.Int64() > maxBits) {
			m.limit("an int of more than %d bits", maxBits)
		}
		if x.BitLen() <= 1 && y.Sign() > 0 { // 0, 1 or -1
			// Only whether the exponent is odd counts.
			y = big.NewInt(2 - int64(y.Bit(0)))
		}
		z.Exp(x, y, nil)
	}
	if z.BitLen() > maxBits {
		m.limit("an int of more than %d bits", maxBits)
	}
	return normal(z)
}

// floatArithmetic computes on floats; where Python raises, it fails.
// Go gives infinities and NaN where Python raises an error.
func (m *machine) floatArithmetic(op string, x, y float64) value {
	if y == 0 && (op == "/" || op == "//" || op == "%") {
		m.fail("division by zero")
	}
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "/":
		return x / y
	case "//":
		return math.Round((x - floorMod(x, y)) / y) // whole but for rounding
	case "%":
		return floorMod(x, y)
	}
	if x == 0 && y < 0 {
		m.fail("0.0 cannot be raised to a negative power")
	}
	z := math.Pow(x, y)
	if math.IsNaN(z) && !math.IsNaN(x) && !math.IsNaN(y) {
		m.fail("a negative number to a fraction is a complex number, which templates do not have")
	}
	if math.IsInf(z, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		m.fail("numerical result out of range")
	}
	return z
}

// floorMod is Python's % of floats: the result has the sign of y.
// A zero has the sign of y too, which repr shows.
func floorMod(x, y float64) float64 {
	r := math.Mod(x, y)
	if r != 0 && (r < 0) != (y < 0) {
		return r + y
	}
	if r == 0 {
		return math.Copysign(0, y)
	}
	return r
}

// compareNumbers returns -1, 0 or 1; ok is false if one is not a number (NaN).
// An int beyond 2^53 and a float are compared exactly, as Python does, so that neither
// is rounded on the way.
func compareNumbers(a, b value) (c int, ok bool) {
	x, isX := a.(int64)
	y, isY := b.(int64)
	if isX && isY {
		switch {
		case x < y:
			return -1, true
		case x > y:
			return 1, true
		}
		return 0, true
	}
	f, g := exact(a), exact(b)
	if f == nil || g == nil {
		return 0, false
	}
	return f.Cmp(g), true
}

// exact is a number without loss; nil for NaN.
func exact(v value) *big.Float {
	if f, ok := v.(float64); ok {
		if math.IsNaN(f) {
			return nil
		}
		return big.NewFloat(f)
	}
	return new(big.Float).SetInt(toBig(v))
}

// formatFloat is repr() of a float: the shortest digits that read back the
// same, in plain notation from 1e-4 up to 1e16.
// Go's and Python's shortest digits are the same: both round-trip with the fewest.
func formatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	exp, _ := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	if exp < -4 || exp >= 16 {
		return s
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// formatInt is str() of an int.
func formatInt(v value) string {
	if n, ok := v.(int64); ok {
		return strconv.FormatInt(n, 10)
	}
	return v.(*big.Int).String()
}

// parseInt is int(s, base) of Python; base 0 goes by the prefix.
func parseInt(s string, base int) (value, bool) {
	s = strings.ToLower(strings.TrimFunc(s, isSpace))
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = strings.TrimPrefix(s[:1], "+"), s[1:]
	}
	if len(s) > 2 && s[0] == '0' {
		// A prefix is also allowed where base says the same.
		for b, c := range [...]byte{2: 'b', 8: 'o', 16: 'x'} {
			if c != 0 && s[1] == c && (base == 0 || base == b) {
				s, base = strings.TrimPrefix(s[2:], "_"), b
				break
			}
		}
	}
	if base == 0 {
		// int("010", 0) is an error in Python: it could be meant as octal.
		if base = 10; strings.Trim(s, "0_") != "" && s[0] == '0' {
			return nil, false
		}
	}
	if s == "" || s[0] == '_' || s[0] == '-' || s[0] == '+' || strings.HasSuffix(s, "_") || strings.Contains(s, "__") || len(s) > 4300 || base < 2 || base > 36 {
		return nil, false
	}
	z, ok := new(big.Int).SetString(sign+strings.ReplaceAll(asciiDigits(s), "_", ""), base)
	if !ok || z.BitLen() > maxBits {
		return nil, false
	}
	return normal(z), true
}

// parseFloat is float(s) of Python.
// Python allows single underscores between digits and no hexadecimal.
func parseFloat(s string) (float64, bool) {
	s = asciiDigits(strings.TrimFunc(s, isSpace))
	if strings.ContainsAny(s, "xXpP") || strings.Contains(s, "__") || strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	// float("1e999") is inf, no error.
	if e, ok := err.(*strconv.NumError); ok && e.Err == strconv.ErrRange {
		return f, true
	}
	return f, err == nil
}
