//go:build !amd64 || purego

package kernel

func halfTile(_ tier, f HalfFormat, x *halfArgs) { halfTileGeneric(f, x) }
