package pretrain_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"weft/text/corpus/world"
	"weft/train"
	"weft/train/pretrain"
)

// A text at hand becomes a model folder.
func ExampleRun() {
	dir, err := os.MkdirTemp("", "weft")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	res, err := pretrain.Run(context.Background(), pretrain.Options{
		Docs:    world.New(1).Docs(20_000),
		Out:     filepath.Join(dir, "run"),
		Depth:   1,
		SeqLen:  32,
		Options: train.Options{Steps: 20},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(res.Steps, "steps; fewer bits per byte than before:", res.After.BPB < res.Before.BPB)
	// Output: 20 steps; fewer bits per byte than before: true
}
