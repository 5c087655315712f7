package optim_test

import (
	"fmt"

	"weft/train/optim"
)

// The rate rises for 100 steps and falls along half a cosine to a tenth.
func ExampleSchedule() {
	s := optim.Schedule{Peak: 1e-3}.Defaults()
	plan := optim.NewPlan(100, 2000)
	for _, step := range []int{0, 99, 100, 1050, 2000} {
		fmt.Printf("step %4d: %.6f\n", step, s.LR(plan, step))
	}
	// Output:
	// step    0: 0.000010
	// step   99: 0.000990
	// step  100: 0.001000
	// step 1050: 0.000550
	// step 2000: 0.000100
}
