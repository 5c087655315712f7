//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

// best returns the highest tier that the processor and operating system offer.
func best() tier {
	x := &cpu.X86
	switch {
	case x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX2 && x.HasFMA && x.HasF16C:
		return avx512
	case x.HasAVX2 && x.HasFMA && x.HasF16C:
		return avx2
	}
	return generic
}

// Features lists the instruction sets that matter to weft and that this
// processor and operating system offer, used by today's kernels or not.
func Features() []string {
	x := &cpu.X86
	var list []string
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"avx", x.HasAVX}, {"avx2", x.HasAVX2}, {"fma", x.HasFMA}, {"f16c", x.HasF16C},
		{"avx512f", x.HasAVX512F}, {"avx512bw", x.HasAVX512BW}, {"avx512dq", x.HasAVX512DQ},
		{"avx512vl", x.HasAVX512VL}, {"avx512vnni", x.HasAVX512VNNI}, {"avx512bf16", x.HasAVX512BF16},
	} {
		if f.has {
			list = append(list, f.name)
		}
	}
	return list
}
