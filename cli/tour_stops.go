package cli

import (
	"strings"
)

// tourStops are the areas in the order in which they build on each other.
// They are made anew each time, so that no package variable holds them. Every number in
// their lines is small enough for seconds on two cores; pick's second one is for tests.
func tourStops() []stop {
	return []stop{
		{"tokenizer", "a tokenizer, learned from text", `A model reads tokens, not letters; byte-level BPE learns them by joining the pairs of pieces
that stand together most often. Here it learns from stories about an invented town, then cuts a sentence into its pieces.`, nil, (*tour).tokenizer},
		{"pretrain", "a model, trained from nothing", `Pretraining teaches random weights to guess the next token. Bits per byte on text held out from
training say how well it guesses: fewer are better, and the curve falls within seconds.`, []string{"tokenizer"}, (*tour).pretrain},
		{"sft", "fine-tuning on conversations", `Supervised fine-tuning shows the model whole conversations and lets it learn the assistant's words only.
The base model is seconds old, so expect the manners of an answer rather than the facts.`, []string{"tokenizer", "pretrain"}, (*tour).sft},
		{"template", "a chat template", `A template writes a conversation as the text that a model sees, and says which of its tokens an assistant learns.
Check renders conversations and reads the answers back: what does not fit between template and tokenizer is named.`, nil, (*tour).template},
		{"sampling", "how the next token is chosen", `At temperature 0 the likeliest token is always taken, so the answer is always the same; above it, tokens are drawn.
A seed makes even that repeatable, and top-p leaves out the unlikely ones.`, nil, (*tour).sampling},
		{"formats", "fewer bits, in a file that other programs read", `Quantising stores the matrices in blocks of few bits; a GGUF holds them in one file, with tokenizer and template.
llama.cpp and Ollama read it, and every command here takes it for a model.`, nil, (*tour).formats},
		{"serve", "serving, with the API that existing tools speak", `One process serves the page and an OpenAI-compatible API, streaming every token as it is made.
A paged cache and continuous batching let many clients share one model without slowing each other to a halt.`, nil, (*tour).serving},
		{"tools", "a tool call", `A client describes its tools as JSON Schema, and the model answers with a call instead of guessing what it cannot know.
The client runs the tool, sends back what it said, and the model answers from that.`, nil, (*tour).tools},
		{"load", "a server under load", `Clients ask all at once, and every wait is counted: for the first token, between tokens, to the end.
The same command measures any server that speaks the API, and finds the load after which more brings little.`, nil, (*tour).load},
		{"world", "the world, and what the model scores in it", `Every fact of the town is generated from a seed, so every question has an exact label, and held-out people and phrasings
were never trained on. The share of right answers comes with its 95 % interval.`, nil, (*tour).world},
		{"machine", "this machine, and what it could do", `Doctor measures the arithmetic and memory speed of this machine; bench holds the model's speed against that roofline.
On a shared machine compare the shares, not the speeds.`, nil, (*tour).machine},
	}
}

// pick is the first value, or on a quick tour the second.
func (t *tour) pick(whole, quick string) string {
	if t.quick {
		return quick
	}
	return whole
}

// tokenizer leaves world.txt and tokenizer.json for the stops behind it.
func (t *tour) tokenizer() error {
	if err := t.save("world.txt", "world", "corpus", "--seed", "1", "--bytes", t.pick("1000000", "60000")); err != nil {
		return err
	}
	if err := t.run("tok", "train", "world.txt", "--vocab", t.pick("1024", "320"), "--out", "tokenizer.json"); err != nil {
		return err
	}
	return t.feed("The baker sells bread on the market.", "tok", "encode", "--tokenizer", "tokenizer.json", "--pieces")
}

// pretrain leaves base. Its learning rate is high: there are seconds, not hours.
func (t *tour) pretrain() error {
	args := []string{"train", "world.txt", "--tokenizer", "tokenizer.json", "--depth", "2", "--dim", "64", "--heads", "2", "--seq", "256", "--context", "2048", "--lr", "0.004", "--out", "base"}
	if err := t.run(append(args, strings.Fields(t.pick("--budget 20s", "--steps 6 --batch-tokens 512"))...)...); err != nil {
		return err
	}
	return t.run("run", "base", "People say that", "--echo", "--max-tokens", "40", "--temperature", "0.5", "--seed", "1")
}

// sft leaves chat.
func (t *tour) sft() error {
	if err := t.save("chats.jsonl", "world", "chats", "--seed", "1", "--n", t.pick("2000", "40")); err != nil {
		return err
	}
	args := []string{"tune", "sft", "--base", "base", "--data", "chats.jsonl", "--lr", "0.002", "--out", "chat"}
	if err := t.run(append(args, strings.Fields(t.pick("--budget 20s", "--steps 4"))...)...); err != nil {
		return err
	}
	return t.run("run", "chat", "Who are you?", "--chat", "--max-tokens", "40", "--temperature", "0")
}

// template needs nothing of the stops before: the embedded model has a template.
func (t *tour) template() error {
	if err := t.run("template", "render", upModel); err != nil {
		return err
	}
	return t.run("template", "check", upModel)
}

// sampling runs the same opening three times, greedy and with two seeds.
func (t *tour) sampling() error {
	const opening = "People say that"
	for _, flags := range []string{"--temperature 0", "--temperature 0.9 --seed 1", "--temperature 0.9 --seed 2 --top-p 0.9"} {
		if err := t.run(append([]string{"run", upModel, opening, "--echo", "--max-tokens", "40"}, strings.Fields(flags)...)...); err != nil {
			return err
		}
	}
	return nil
}

// formats quantises, then runs the file: greedy, to be held beside the tour's other answers.
func (t *tour) formats() error {
	if err := t.run("quantize", upModel, "--out", "small.gguf", "--type", "q4_0"); err != nil {
		return err
	}
	return t.run("run", "small.gguf", "Who are you?", "--chat", "--max-tokens", "40", "--temperature", "0")
}

// load takes three loads, the fewest that have a knee.
func (t *tour) load() error {
	return t.run("load", upModel, "--concurrency", t.pick("1,4,16", "2"), "--requests", t.pick("24", "2"), "--prompt-tokens", "32", "--output-tokens", "16")
}

// world shows items as they are, then scores some of three tasks.
func (t *tour) world() error {
	if err := t.run("world", "qa", "--task", "fact,unknown-person,two-hop", "--split", "held", "--n", "1", "--text"); err != nil {
		return err
	}
	return t.run("world", "score", upModel, "--tasks", "fact,addition,tool", "--n", t.pick("100", "8"))
}

// machine measures, so it comes last: nothing else runs then.
func (t *tour) machine() error {
	if err := t.run("doctor"); err != nil {
		return err
	}
	return t.run("bench", upModel, "-p", t.pick("256", "16"), "-n", t.pick("64", "4"), "-r", t.pick("3", "1"))
}
