package tokenizer

import (
	"encoding/json"
	"fmt"
	"iter"
)

// ByT5 returns the tokenizer without a vocabulary of ByT5 (Xue et al. 2022,
// arXiv:2105.13626): <pad>, </s> and <unk> have the ids 0 to 2, byte b has b+3,
// and special tokens of the given names follow. Texts end in </s> where markers
// are asked for. Any text has ids, as many as it has bytes, and comes back.
func ByT5(special ...string) (*Tokenizer, error) {
	s := spec{preTokenizer: json.RawMessage(`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`),
		decoder: json.RawMessage(byteLevelDecoder)}
	s = s.withSpecials([]string{"<pad>", "</s>", unkName})
	for b := range 256 {
		s.tokens = append(s.tokens, token{text: string([]byte{byte(b)}), kind: plain})
	}
	s = s.withSpecials(special)
	s.postProcessor = s.templateOf(-1, 1)
	t, err := build(s)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: byt5: %w", err)
	}
	return t, nil
}

// PatchOptions says where Patches cuts. The zero value is the default.
type PatchOptions struct {
	// Size is the bytes of a patch, at most; 8, as in MEGABYTE (Yu et al. 2023,
	// arXiv:2305.07185), and with Words no bound.
	Size int
	// Words cuts where words begin, as SpaceByte does (Slagle 2024,
	// arXiv:2404.14408): behind a byte that is no ASCII letter, no digit and no
	// continuation of a UTF-8 character, unless such a byte stands in front of it.
	Words bool
}

const megabytePatch = 8 // bytes

// Patches yields the patches of a text, for models that read bytes in groups: a
// large network sees one vector per patch, a small one the bytes inside. They
// are all of the text, in order, and only the last may be short. Cuts are
// between bytes, not characters.
func Patches(text string, o PatchOptions) iter.Seq[string] {
	size := o.Size
	switch {
	case size <= 0 && o.Words:
		size = max(1, len(text))
	case size <= 0:
		size = megabytePatch
	}
	return func(yield func(string) bool) {
		from, space := 0, false // space: the byte in front is like a space
		for i := range len(text) {
			was := space
			space = spaceLike(text[i])
			if end := i + 1; end-from >= size || o.Words && space && !was {
				if !yield(text[from:end]) {
					return
				}
				from = end
			}
		}
		if from < len(text) {
			yield(text[from:])
		}
	}
}

// spaceLike says whether a byte ends a word for SpaceByte. The first byte of a
// character beyond ASCII does.
func spaceLike(b byte) bool {
	letter := 'a' <= b|0x20 && b|0x20 <= 'z'
	return !letter && !('0' <= b && b <= '9') && b&0xc0 != 0x80
}
