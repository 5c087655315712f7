package tokenizer

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// FromLlama2C reads a tokenizer.bin of llama2.c (github.com/karpathy/llama2.c,
// run.c build_tokenizer): an int32 with the longest token, then for each of
// vocab tokens a float32 score, an int32 length and the bytes. vocab is not in
// the file; it is the model's.
//
// Encoding is that of llama2.c on valid UTF-8: a space in front of any text,
// characters or their bytes to start with, then always the neighbours whose
// joint token has the best score, the leftmost of equals. Other bytes stand for
// themselves. Tokens are <unk>, <s>, </s>, the 256 bytes as <0xNN>, and pieces of
// text. The character ▁ (U+2581) in a text is a space, as it is to every program
// that reads the tokenizer.json that this saves.
func FromLlama2C(r io.Reader, vocab int) (*Tokenizer, error) {
	s, err := llama2CSpec(bufio.NewReader(r), vocab)
	var t *Tokenizer
	if err == nil {
		t, err = build(*s)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: llama2.c: %w", err)
	}
	return t, nil
}

// llama2CSize counts the tokens of a file, if it is a tokenizer.bin to its end.
func llama2CSize(data []byte) (vocab int, ok bool) {
	if len(data) < 4 {
		return 0, false
	}
	longest := binary.LittleEndian.Uint32(data)
	for data = data[4:]; len(data) >= 8; vocab++ {
		n := binary.LittleEndian.Uint32(data[4:])
		if n < 1 || n > longest || uint64(n) > uint64(len(data)-8) {
			return 0, false
		}
		data = data[8+n:]
	}
	return vocab, len(data) == 0
}

// firstPiece is the id of the first token behind <unk>, <s>, </s> and the bytes.
const firstPiece = 3 + 256

// llama2CSpec grows its tables as it reads, so that a wrong size costs no memory.
func llama2CSpec(r io.Reader, vocab int) (*spec, error) {
	if vocab < firstPiece || vocab > maxVocab {
		return nil, fmt.Errorf("vocabulary size: got %d, want %d (three markers and 256 bytes) to %d", vocab, firstPiece, maxVocab)
	}
	var longest int32
	if err := binary.Read(r, binary.LittleEndian, &longest); err != nil {
		return nil, fmt.Errorf("header: %w: %w", ErrFormat, err)
	}
	if longest < 1 || longest > maxToken {
		return nil, fmt.Errorf("longest token: got %d bytes, want 1 to %d: %w", longest, maxToken, ErrFormat)
	}
	s := &spec{normalizer: json.RawMessage(spmNormalizer), decoder: json.RawMessage(spmDecoder), modelSpec: modelSpec{unk: unkName, byteful: true, fuse: true}}
	var scores []float32
	for id := range vocab {
		score, text, err := readPiece(r, longest)
		if err != nil {
			return nil, fmt.Errorf("token %d of %d: %w; is the vocabulary size right?", id, vocab, err)
		}
		t, err := pieceToken(id, text)
		if err != nil {
			return nil, err
		}
		s.tokens = append(s.tokens, t)
		scores = append(scores, score)
		if t.kind == special {
			s.added = append(s.added, added{id: int32(id), content: t.text, special: true})
		}
	}
	var err error
	s.postProcessor = s.templateOf(1, -1)
	const worst = -1e10 // run.c merges nothing that scores no better
	s.merges, err = scoreMerges(s, scores, worst)
	return s, err
}

// readPiece reads one token and its score; longest is the file's own bound.
func readPiece(r io.Reader, longest int32) (score float32, text string, err error) {
	var head struct {
		Score float32
		Len   int32
	}
	if err := binary.Read(r, binary.LittleEndian, &head); err != nil {
		return 0, "", fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if head.Len < 1 || head.Len > longest {
		return 0, "", fmt.Errorf("%w: got %d bytes, want 1 to %d", ErrFormat, head.Len, longest)
	}
	if head.Score != head.Score {
		return 0, "", fmt.Errorf("%w: its score is not a number", ErrFormat)
	}
	data := make([]byte, head.Len)
	if _, err := io.ReadFull(r, data); err != nil {
		return 0, "", fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return head.Score, string(data), nil
}

// pieceToken gives a token its kind by its place in the file, and checks that
// it is what belongs there.
func pieceToken(id int, text string) (token, error) {
	markers := []string{unkName, "<s>", "</s>"}
	switch {
	case id < len(markers):
		// llama2.c's export frames the last two with line breaks.
		if name := strings.TrimSpace(text); name == markers[id] {
			return token{text: name, kind: special}, nil
		}
		return token{}, fmt.Errorf("token %d: got %q, want %s: %w", id, text, markers[id], ErrFormat)
	case id < firstPiece:
		b := byte(id - len(markers))
		if text != fallbackName(b) {
			return token{}, fmt.Errorf("token %d: got %q, want %s: %w", id, text, fallbackName(b), ErrFormat)
		}
		return token{text: string([]byte{b}), kind: fallback}, nil
	case !utf8.ValidString(text) || strings.Contains(text, spmSpace):
		return token{}, fmt.Errorf("token %d: %q: %w: want UTF-8 with plain spaces", id, text, ErrFormat)
	}
	if _, ok := fallbackByte(text); ok {
		return token{}, fmt.Errorf("token %d: %q stands behind the bytes: %w", id, text, ErrFormat)
	}
	return token{text: strings.ReplaceAll(text, " ", spmSpace), kind: plain}, nil
}
