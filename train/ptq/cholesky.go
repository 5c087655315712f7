package ptq

import (
	"fmt"
	"math"

	"weft/compute/par"
)

// inverseFactor returns the upper triangular U [n, n] with U^T U = (C + e I)^-1,
// where C [n, n] is symmetric and positive semidefinite, its rows and columns
// taken in the given order, and e is damp times the mean of its diagonal. It is
// what GPTQ feeds errors back with (Frantar 2022, step 3). U[i][j] / U[i][i] says
// how much of an error in column i column j takes over.
//
// With the matrix turned around, L L^T = C', the inverse of L turned back is U:
// one factorisation and one triangular inverse, all in float64, none of the full
// inverse.
func inverseFactor(pool *par.Pool, c []float32, n int, order []int, damp float64) ([]float64, error) {
	var mean float64 // of the diagonal, the unit of damp: moments have no scale of their own
	for i := range n {
		mean += float64(c[i*n+i]) / float64(n)
	}
	if !(mean >= 0 && mean <= math.MaxFloat32) {
		return nil, fmt.Errorf("ptq: second moments have a mean of %g on the diagonal", mean)
	}
	add := damp * mean
	if mean == 0 { // nothing was ever seen: every column is as good as another
		add = 1
	}
	a := make([]float64, n*n) // C', the last step first; only its lower triangle is read
	for i := range n {
		from := order[n-1-i]
		for j := range i + 1 {
			a[i*n+j] = float64(c[from*n+order[n-1-j]])
		}
		a[i*n+i] += add
	}
	if i := cholesky(pool, a, n); i >= 0 {
		return nil, fmt.Errorf("ptq: second moments are not positive definite at column %d of %d, damped by %g: raise the damping", order[n-1-i], n, damp)
	}
	m := invertLower(pool, a, n)
	for i := range n * n / 2 { // turn back: element k changes places with n*n-1-k
		m[i], m[n*n-1-i] = m[n*n-1-i], m[i]
	}
	return m, nil
}

// triangleChunk is how many rows or columns of a triangle a worker takes.
const triangleChunk = 32

// cholesky replaces the lower triangle of a [n, n] by L with L L^T = a, column by
// column (the left-looking form: each element is one dot product of two rows, so
// threads change no bit). It returns the first row whose pivot is not positive, or
// -1. n^3/3 multiplications.
func cholesky(pool *par.Pool, a []float64, n int) int {
	for j := range n {
		row := a[j*n : j*n+j+1]
		pivot := row[j] - dot(row[:j], row[:j])
		if !(pivot > 0) {
			return j
		}
		row[j] = math.Sqrt(pivot)
		below := n - j - 1
		pool.Run((below+triangleChunk-1)/triangleChunk, func(k int) {
			from := j + 1 + k*triangleChunk
			for i := from; i < min(n, from+triangleChunk); i++ {
				other := a[i*n : i*n+j+1]
				other[j] = (other[j] - dot(other[:j], row[:j])) / row[j]
			}
		})
	}
	return -1
}

// invertLower is the inverse of a lower triangular matrix l [n, n], by forward
// substitution: row i of the inverse is what is left of the unit row when the rows
// above have been taken off. Columns are independent of each other, a worker has a
// stripe of them.
func invertLower(pool *par.Pool, l []float64, n int) []float64 {
	m := make([]float64, n*n)
	pool.Run((n+triangleChunk-1)/triangleChunk, func(c int) {
		from, to := c*triangleChunk, min(n, (c+1)*triangleChunk)
		for i := from; i < n; i++ {
			row := m[i*n+from : i*n+to]
			for k := from; k < i; k++ {
				f := l[i*n+k]
				for j, v := range m[k*n+from : k*n+to] {
					row[j] -= f * v
				}
			}
			if i < to { // the unit row; nothing was taken off on the diagonal yet
				row[i-from] = 1
			}
			for j := range row {
				row[j] /= l[i*n+i]
			}
		}
	})
	return m
}

// dot adds in four chains, which hide the latency of an addition; the same four
// for every caller.
func dot(a, b []float64) float64 {
	var s0, s1, s2, s3 float64
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + (s2 + s3)
}
