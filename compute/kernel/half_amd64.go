//go:build amd64 && !purego

package kernel

//go:generate go run -C _asm ./half -out ../half_amd64.s -stubs ../half_stubs_amd64.go -pkg kernel

// halfTile computes some rows of a panel.
func halfTile(t tier, f HalfFormat, x *halfArgs) {
	switch {
	case t == generic:
		halfTileGeneric(f, x)
	case f == HalfBF16:
		bf16rows(x.rows, x.k, x.a, 4*x.rs, x.b, &x.c[0], 4*x.ldc, x.add)
	default:
		f16rows(x.rows, x.k, x.a, 4*x.rs, x.b, &x.c[0], 4*x.ldc, x.add)
	}
}
