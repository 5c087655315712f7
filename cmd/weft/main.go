// Command weft is one binary for the whole life of a language model: train a
// tokenizer, pretrain, fine-tune, serve, chat. See `weft help`.
package main

import (
	"os"

	"weft/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
