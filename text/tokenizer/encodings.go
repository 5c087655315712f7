package tokenizer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// rankEncoding is what a file of ranks does not hold: how text is cut into the
// pieces that merges never cross, and which tokens are special.
type rankEncoding struct {
	name     string
	pattern  string // a name of Patterns
	ranks    int    // how many tokens the file has
	specials map[string]int32
}

// rankEncodings lists the encodings that are published with a program instead of a
// file: OpenAI's (tiktoken_ext/openai_public.py), and those of Llama 3
// (meta-llama/llama-models, tokenizer.py), Qwen (tokenization_qwen.py) and Kimi
// K2 (tokenization_kimi.py).
func rankEncodings() []rankEncoding {
	return []rankEncoding{
		{"r50k_base", "gpt2", 50256, map[string]int32{endOfText: 50256}},
		{"p50k_base", "gpt2", 50280, map[string]int32{endOfText: 50256}},
		{"p50k_edit", "gpt2", 50280, map[string]int32{endOfText: 50256, "<|fim_prefix|>": 50281, "<|fim_middle|>": 50282, "<|fim_suffix|>": 50283}},
		{"cl100k_base", "tiktoken", 100256, map[string]int32{endOfText: 100257, "<|fim_prefix|>": 100258, "<|fim_middle|>": 100259,
			"<|fim_suffix|>": 100260, "<|endofprompt|>": 100276}},
		{"o200k_base", "o200k", 199998, map[string]int32{endOfText: 199999, "<|endofprompt|>": 200018}},
		{"o200k_harmony", "o200k", 199998, harmonySpecials()},
		{"llama3", "cl100k", 128000, llama3Specials()},
		{"qwen", "qwen2", 151643, reserved(151643, 205, "<|extra_%d|>", 0, endOfText, "<|im_start|>", "<|im_end|>")},
		{"kimi-k2", "kimi-k2", 163584, kimiSpecials()},
	}
}

const endOfText = "<|endoftext|>"

// reserved numbers names from first on, then n placeholders, whose own numbers
// begin with from.
func reserved(first int32, n int, placeholder string, from int, names ...string) map[string]int32 {
	out := make(map[string]int32, len(names)+n)
	for _, name := range names {
		out[name] = first
		first++
	}
	for i := range n {
		out[fmt.Sprintf(placeholder, from+i)] = first
		first++
	}
	return out
}

func harmonySpecials() map[string]int32 {
	return reserved(199998, 201088-200013, "<|reserved_%d|>", 200013, "<|startoftext|>", endOfText, "<|reserved_200000|>",
		"<|reserved_200001|>", "<|return|>", "<|constrain|>", "<|reserved_200004|>", "<|channel|>", "<|start|>", "<|end|>",
		"<|message|>", "<|reserved_200009|>", "<|reserved_200010|>", "<|reserved_200011|>", "<|call|>")
}

func llama3Specials() map[string]int32 {
	return reserved(128000, 244, "<|reserved_special_token_%d|>", 2, "<|begin_of_text|>", "<|end_of_text|>",
		"<|reserved_special_token_0|>", "<|reserved_special_token_1|>", "<|finetune_right_pad_id|>", "<|step_id|>",
		"<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>", "<|image|>")
}

// kimiSpecials names all ids alike; tokenizer_config.json names some of them.
func kimiSpecials() map[string]int32 {
	return reserved(163584, 256, "<|reserved_token_%d|>", 163584)
}

// encodingOf finds the encoding of a file of ranks: by its name, which may be the
// file's, such as cl100k_base.tiktoken, otherwise by how many ranks there are.
// When several have as many, the first of the list is meant.
func encodingOf(name string, ranks int) (rankEncoding, error) {
	all := rankEncodings()
	byName := func(e rankEncoding) bool { return e.name == strings.TrimSuffix(name, ".tiktoken") }
	if i := slices.IndexFunc(all, byName); i >= 0 {
		return all[i], nil
	}
	if i := slices.IndexFunc(all, func(e rankEncoding) bool { return e.ranks == ranks }); i >= 0 {
		return all[i], nil
	}
	var names []string
	for _, e := range all {
		names = append(names, fmt.Sprintf("%s (%d)", e.name, e.ranks))
	}
	return rankEncoding{}, fmt.Errorf("tokenizer: %d ranks: %w: the file does not hold its pattern, and no known encoding has as many: %s",
		ranks, ErrUnsupported, strings.Join(names, ", "))
}

// isRanks says whether data begins as a file of tiktoken ranks does, and how many
// lines it has.
func isRanks(data []byte) (ranks int, ok bool) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	if _, _, err := readRank(line); err != nil {
		return 0, false
	}
	return bytes.Count(bytes.TrimRight(data, "\r\n"), []byte("\n")) + 1, true
}
