package kernel

import "unsafe"

// tileGeneric is the micro-kernel's contract in plain Go.
func tileGeneric(x *tileArgs) {
	for j := 0; j < x.cols; j += 2 {
		for i := 0; i < x.rows; i += 3 {
			tile3x2(x, [3]int{i, min(i+1, x.rows-1), min(i+2, x.rows-1)}, [2]int{j, min(j+1, x.cols-1)})
		}
	}
}

// tile3x2 computes the elements of three rows and two columns in registers. At
// an edge the last row or column comes more than once: so every element goes
// through this one piece of code, and its bits cannot depend on where it lies.
// The conversions keep the compiler from fusing on some processors only.
func tile3x2(x *tileArgs, i [3]int, j [2]int) {
	c00, c01 := offset(x.c, i[0]*x.ldc+j[0]), offset(x.c, i[0]*x.ldc+j[1])
	c10, c11 := offset(x.c, i[1]*x.ldc+j[0]), offset(x.c, i[1]*x.ldc+j[1])
	c20, c21 := offset(x.c, i[2]*x.ldc+j[0]), offset(x.c, i[2]*x.ldc+j[1])
	var s00, s01, s10, s11, s20, s21 float32
	if x.add {
		s00, s01, s10, s11, s20, s21 = *c00, *c01, *c10, *c11, *c20, *c21
	}
	a0, a1, a2 := offset(x.a, i[0]*x.rs), offset(x.a, i[1]*x.rs), offset(x.a, i[2]*x.rs)
	b0, b1 := offset(x.b, j[0]), offset(x.b, j[1])
	for l, at, bt := 0, 0, 0; l < x.k; l, at, bt = l+1, at+x.cs, bt+x.bs {
		y0, y1 := *offset(b0, bt), *offset(b1, bt)
		x0, x1, x2 := *offset(a0, at), *offset(a1, at), *offset(a2, at)
		s00 += float32(x0 * y0)
		s01 += float32(x0 * y1)
		s10 += float32(x1 * y0)
		s11 += float32(x1 * y1)
		s20 += float32(x2 * y0)
		s21 += float32(x2 * y1)
	}
	*c00, *c01, *c10, *c11, *c20, *c21 = s00, s01, s10, s11, s20, s21
}

// offset returns the address n floats after p.
func offset(p *float32, n int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), 4*n)) }

func address(p *float32) uintptr { return uintptr(unsafe.Pointer(p)) }
