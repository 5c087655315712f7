package tokenizer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// prePatterns is what a GGUF means by tokenizer.ggml.pre. Text is cut by each
// expression in turn, inside the pieces of the one before; what matches is a
// piece, and so is what lies between.
type prePatterns struct {
	cuts  []string // regular expressions, as in a tokenizer.json; "gpt2" is ByteLevel's own
	whole bool     // ignore_merges
	bos   bool     // a BOS token is put in front unless the file says otherwise
	chars bool     // merges start from characters with visible spaces, not from bytes
}

// digitCut sets each digit apart; it is also a step of its own.
const digitCut = `\p{N}`

// prePattern finds the patterns of a name, as llama.cpp defines them
// (src/llama-vocab.cpp), in the spelling of the tokenizer.json that each comes
// from where that is known.
func prePattern(name string) (prePatterns, error) {
	table := map[string]prePatterns{}
	for names, p := range preTable() {
		for n := range strings.FieldsSeq(names) {
			table[n] = p
		}
	}
	if p, ok := table[name]; ok {
		return p, nil
	}
	known := slices.Sorted(maps.Keys(table))
	return prePatterns{}, fmt.Errorf("tokenizer.ggml.pre %q: %w; known are %s", name, ErrUnsupported, strings.Join(known, ", "))
}

// preTable lists the patterns, by the names that stand for them.
func preTable() map[string]prePatterns {
	const (
		gpt2    = "gpt2"
		fold    = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
		words   = `|[^\r\n\p{L}\p{N}]?\p{L}+|`
		symbols = `| ?[^\s\p{L}\p{N}]+[\r\n]*`
		ends    = `|\s*[\r\n]+|\s+(?!\S)|\s+`
		head    = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`
		tail    = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
		slashed = `| ?[^\s\p{L}\p{N}]+[\r\n/]*`
		llama3  = fold + words + `\p{N}{1,3}` + symbols + ends
		qwen2   = fold + words + `\p{N}` + symbols + ends
		o200k   = tail + fold + `?|` + head + fold + `?|\p{N}{1,3}` + slashed + ends
		ascii   = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"
		cjk     = `[一-龥぀-ゟ゠-ヿ]+`
		marks   = `[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+`
		deep3   = ascii + `[A-Za-z]+|` + marks + `| ?[\p{P}\p{S}]+[\r\n]*` + ends
		bloom   = ` ?[^(\s|.,!?…。，、।۔،)]+`
		lines   = `[^\n]+|[\n]+`
	)
	one := func(cuts ...string) prePatterns { return prePatterns{cuts: cuts} }
	return map[string]prePatterns{
		"gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert jina-v1-en jina-v2-code roberta-bpe mpt olmo jais trillion granite-docling exaone4": one(gpt2),
		"starcoder refact command-r smollm codeshell exaone minerva-7b mellum2":                                                                                                    one(digitCut, gpt2),
		"llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano":                                                                                           {cuts: []string{llama3}, whole: true, bos: true},
		"dbrx smaug-bpe glm4 chatglm-bpe":                                                 one(llama3),
		"qwen2 deepseek-r1-qwen kormo f2llmv2 stablelm2 megrez hunyuan solar-open grok-2": one(qwen2),
		"qwen35": one(fold + `|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*` + ends),
		"gpt-4o llama4 kanana2 talkie minimax-m2": one(o200k),
		"granite-embed-multi-97m":                 {cuts: []string{o200k}, whole: true},
		"tekken":                                  {cuts: []string{tail + `|` + head + `|\p{N}` + slashed + ends}, whole: true, bos: true},
		"deepseek-llm": one(`[\r\n]`, `\s?[`+deepseekLetters+`]+`, `\s?[!-/:-~！-／：-～‘-‟　-。]+`,
			`\s+$`, `[一-龥ࠀ-一가-퟿]+`, `\p{N}+`),
		"deepseek-coder": one(`[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, `[一-龥ࠀ-一가-퟿]+`, `\p{N}`),
		"deepseek-v3 hunyuan-dense joyai-llm hy_v4": one(`\p{N}{1,3}`, cjk, deep3),
		"spark2_5": one(`\p{N}{1,3}`, cjk, ascii+`[A-Za-z]+|`+marks+`| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+`, `\p{N}`),
		"youtu": {whole: true, cuts: []string{`[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|` + cjk,
			tail + fold + `?|` + head + fold + `?|\p{N}` + slashed + ends}},
		"falcon":                       one("[\\p{P}\\$\\+<=>\\^~\\|`]+", gpt2, `[0-9][0-9][0-9]`),
		"bloom poro-chat gpt3-finnish": one(bloom),
		"viking":                       one(bloom, `\p{N}`),
		"jais-2": one(fold + words + `\p{N}{1,3}` + symbols + `|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|` +
			`\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}`),
		"chameleon": {bos: true, cuts: []string{`<sentinel:[0-9]+>`, `(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z`, `([\t\n]|    |  )`,
			`\p{N}`, "[\\p{P}!-/:-@\\[-`{-~]", gpt2}},
		"tiny_aya cohere2moe": one(`\d{1,3}(?=(?:\d{3})*\b)`, o200k),
		"kimi-k2": one(`[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+` + fold +
			`?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*` + fold + `?|\p{N}{1,3}` + symbols + ends),
		"superbpe":                         one(`\p{N}+`, `(?=(\d{3})+(?!\d))`),
		"bailingmoe bailingmoe2 llada-moe": one(`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`),
		"seed-coder":                       one(fold + words + `\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+` + ends),
		"ufakzeka":                         one(`[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}` + symbols + ends),
		"laguna":                           one(lines, qwen2),
		"exaone-moe":                       one(fold + `|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+`),
		"minicpm5":                         {cuts: []string{`\p{N}{1,3}`, fold + words + `\p{N}+` + symbols + ends}, whole: true},
		"gemma4 granite-embed-multi-311m":  {cuts: []string{lines}, chars: true, bos: true},
		"sarvam-moe":                       {cuts: []string{lines}, chars: true},
		"default":                          one(`[\p{P}\$\+<=>\^~\|]+`, gpt2, `\p{N}+`, `[0-9][0-9][0-9]`),
	}
}

// deepseekLetters is the class of letters that DeepSeek LLM's tokenizer.json
// spells out. Some of them would become others in a composed normal form.
const deepseekLetters = "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376" +
	"\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-" +
	"\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a" +
	"\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4" +
	"\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc" +
	"\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f" +
	"\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b" +
	"\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a" +
	"\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2" +
	"\U000118a0-\U000118df\U0001e900-\U0001e943"

// normalizer makes spaces visible where merges start from characters.
func (p prePatterns) normalizer() json.RawMessage {
	if !p.chars {
		return nil
	}
	return json.RawMessage(spmReplace)
}

// preTokenizer spells the cuts as steps of a tokenizer.json.
func (p prePatterns) preTokenizer() json.RawMessage {
	own := false // ByteLevel cuts, and bytes are spelled, in the last step
	var steps []any
	for i, c := range p.cuts {
		if c == "gpt2" {
			if own = i == len(p.cuts)-1; own {
				break
			}
			c = gpt2Regex
		}
		if c == digitCut {
			steps = append(steps, json.RawMessage(digitsJSON))
			continue
		}
		split := splitJSON{Type: "Split", Behavior: "Isolated"}
		split.Pattern.Regex = &c
		steps = append(steps, split)
	}
	if !p.chars {
		steps = append(steps, byteLevelJSON{Type: "ByteLevel", TrimOffsets: true, UseRegex: &own})
	}
	if len(steps) == 1 {
		return mustJSON(steps[0])
	}
	return mustJSON(orderedJSON{{"type", "Sequence"}, {"pretokenizers", steps}})
}

// decoder undoes the spelling.
func (p prePatterns) decoder() json.RawMessage {
	if p.chars {
		return json.RawMessage(spmBareDecoder)
	}
	return json.RawMessage(byteLevelDecoder)
}
