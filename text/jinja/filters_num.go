package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
)

// numberFilters are the filters about numbers.
// A default is what the filter gives for what is no number, not what it begins with.
func numberFilters() map[string]*filter {
	return map[string]*filter{
		"abs": apply("", func(m *machine, v value, a []value) value {
			n, ok := number(v)
			if !ok {
				m.defined(v)
				m.fail("abs: want a number, got %s", typeName(v))
			}
			// abs keeps the type: of an int it is an int, of any size.
			if f, ok := n.(float64); ok {
				return math.Abs(f)
			}
			return normal(new(big.Int).Abs(toBig(n)))
		}),
		"int":            apply("default? base?", filterInt),
		"float":          apply("default?", filterFloat),
		"round":          apply("precision? method?", filterRound),
		"filesizeformat": apply("binary?", fileSize),
	}
}

// filterInt is int: "42.9" is 42, and what is no number the default.
// A base only counts for texts.
func filterInt(m *machine, v value, a []value) value {
	m.defined(v)
	switch v := v.(type) {
	case *str:
		m.spend(len(v.s))
		var base value = int64(10)
		if a[1] != nil {
			base, _ = integer(a[1])
		}
		if b, ok := base.(int64); ok {
			if n, ok := parseInt(v.s, int(min(max(b, -1), 99))); ok {
				return n
			}
		}
		// Jinja tries int(float(v)) where int(v) fails.
		if f, ok := parseFloat(v.s); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return truncate(f)
		}
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return truncate(v)
		}
		if math.IsInf(v, 0) {
			m.fail("int: cannot convert float infinity to integer")
		}
	default:
		if n, ok := number(v); ok {
			return n
		}
	}
	if a[0] != nil {
		return a[0]
	}
	return int64(0)
}

// truncate is int(f): towards zero, of any size.
func truncate(f float64) value {
	z, _ := big.NewFloat(f).Int(nil)
	return normal(z)
}

// filterFloat is float, with a default for what is no number.
// "inf" and "nan" are numbers, as float() reads them.
func filterFloat(m *machine, v value, a []value) value {
	m.defined(v)
	if t, ok := v.(*str); ok {
		m.spend(len(t.s))
		if f, ok := parseFloat(t.s); ok {
			return f
		}
	} else if n, ok := number(v); ok {
		return m.toFloat(n)
	}
	if a[0] != nil {
		return a[0]
	}
	return 0.0
}

// filterRound is round: "common" is Python's round, halves to even, and leaves
// ints alone; "ceil" and "floor" give floats.
func filterRound(m *machine, v value, a []value) value {
	prec := m.int("round", a[0], 0)
	method := "common"
	if a[1] != nil {
		method = m.str(a[1]).s
	}
	// True rounds to 1, as Python's True is one.
	n, ok := number(v)
	if !ok {
		m.defined(v)
		m.fail("round: want a number, got %s", typeName(v))
	}
	// A float has 308 decimals at most; this keeps powers of ten small.
	if prec > 400 || prec < -400 {
		m.fail("round: precision %d is out of range", prec)
	}
	switch method {
	case "common":
		if f, ok := n.(float64); ok {
			return roundFloat(f, prec)
		}
		return m.roundInt(n, prec)
	case "ceil", "floor":
	default:
		m.fail("round: method must be common, ceil or floor")
	}
	// As Jinja computes it: value times ten to the precision, rounded, divided again.
	scale := m.arithmetic("**", int64(10), int64(prec))
	x := m.arithmetic("*", n, scale)
	if f, ok := x.(float64); ok {
		if f = math.Floor(f); method == "ceil" {
			f = math.Ceil(x.(float64))
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			m.fail("round: cannot convert %s to an int", formatFloat(f))
		}
		x = truncate(f)
	}
	return m.arithmetic("/", x, scale)
}

// roundFloat rounds the exact value of f to decimals, halves to even.
func roundFloat(f float64, prec int) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return f
	}
	if prec >= 0 {
		// Through decimal digits, which round exactly; multiplying by 10^prec would round twice.
		g, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', prec, 64), 64)
		return g
	}
	scale := math.Pow(10, float64(-prec))
	return math.RoundToEven(f/scale) * scale
}

// roundInt rounds an int to tens, hundreds, ..., halves to even.
func (m *machine) roundInt(n value, prec int) value {
	if prec >= 0 {
		return n
	}
	scale := m.arithmetic("**", int64(10), int64(-prec))
	rest := m.arithmetic("%", n, scale)
	down := m.arithmetic("-", n, rest)
	// Twice the rest against the unit: more than half, or half and an odd digit, goes up.
	c, _ := compareNumbers(m.arithmetic("*", rest, int64(2)), scale)
	odd := m.arithmetic("%", m.arithmetic("//", down, scale), int64(2)) == int64(1)
	if c > 0 || c == 0 && odd {
		return m.arithmetic("+", down, scale)
	}
	return down
}

// fileSize is filesizeformat: bytes in units of 1000 or 1024.
// f below the base is shown in whole bytes, and above YB everything is in YB.
func fileSize(m *machine, v value, a []value) value {
	f, ok := filterFloat(m, v, []value{none{}}).(float64)
	if !ok {
		m.fail("filesizeformat: want a number, got %s", typeName(v))
	}
	base, suffix := 1000.0, []string{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"}
	if a[0] != nil && truth(a[0]) {
		base, suffix = 1024, []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}
	}
	switch {
	case f == 1:
		return author("1 Byte")
	case f < base:
		return author(fmt.Sprintf("%d Bytes", int64(f)))
	}
	unit := base
	for i, s := range suffix {
		unit *= base
		if f < unit || i == len(suffix)-1 {
			return author(strconv.FormatFloat(base*f/unit, 'f', 1, 64) + " " + s)
		}
	}
	return nil
}
