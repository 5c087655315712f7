package tokenizer

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// spmFile is a SentencePiece .model: the ModelProto message of
// sentencepiece_model.proto (github.com/google/sentencepiece), as far as it has
// to do with encoding.
type spmFile struct {
	pieces []spmPiece

	// of trainer_spec
	model    uint64 // one of spmUnigram...
	byteful  bool   // byte_fallback
	suffix   bool   // treat_whitespace_as_suffix
	bos, eos string // bos_piece, eos_piece
	unk      string // unk_surface: what the unknown piece decodes to

	// of normalizer_spec
	charsmap []byte
	prefix   bool // add_dummy_prefix
	collapse bool // remove_extra_whitespaces
	escape   bool // escape_whitespaces

	denormalizer []byte // of denormalizer_spec: its charsmap

	// apart says that user-defined symbols are cut out of text before anything
	// else and that pieces out of use may be there, as llama.cpp has it.
	apart bool
}

// spmPiece is one entry of the vocabulary.
type spmPiece struct {
	text  string
	score float32
	kind  uint64 // one of spmNormal...
}

// The kinds of pieces; GGUF's token_type uses the same numbers.
const (
	spmNormal      = 1
	spmUnknown     = 2
	spmControl     = 3
	spmUserDefined = 4
	spmUnused      = 5
	spmByte        = 6
)

// The kinds of models.
const (
	spmUnigram = 1
	spmBPE     = 2
	spmWord    = 3
	spmChar    = 4
)

// readSpm reads a .model. Fields that are missing have the values that the
// format gives them.
func readSpm(data []byte) (*spmFile, error) {
	f := &spmFile{model: spmUnigram, bos: "<s>", eos: "</s>", unk: " ⁇ ", prefix: true, collapse: true, escape: true}
	err := fields(data, func(num protowire.Number, v protoValue) error {
		switch num {
		case 1:
			p := spmPiece{kind: spmNormal}
			err := fields(v.bytes, func(num protowire.Number, v protoValue) error {
				switch num {
				case 1:
					p.text = string(v.bytes)
				case 2:
					p.score = math.Float32frombits(uint32(v.number))
				case 3:
					p.kind = v.number
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("piece %d: %w", len(f.pieces), err)
			}
			if len(f.pieces) >= maxVocab {
				return fmt.Errorf("more than %d pieces: %w", maxVocab, ErrFormat)
			}
			f.pieces = append(f.pieces, p)
		case 2:
			return f.trainer(v.bytes)
		case 3:
			return f.normalizer(v.bytes)
		case 5:
			return fields(v.bytes, func(num protowire.Number, v protoValue) error {
				if num == 2 {
					f.denormalizer = v.bytes
				}
				return nil
			})
		}
		return nil
	})
	if err == nil && len(f.pieces) == 0 {
		err = fmt.Errorf("%w: no pieces", ErrFormat)
	}
	return f, err
}

// trainer reads trainer_spec.
func (f *spmFile) trainer(data []byte) error {
	return fields(data, func(num protowire.Number, v protoValue) error {
		switch num {
		case 3:
			f.model = v.number
		case 24:
			f.suffix = v.number != 0
		case 35:
			f.byteful = v.number != 0
		case 44:
			f.unk = string(v.bytes)
		case 46:
			f.bos = string(v.bytes)
		case 47:
			f.eos = string(v.bytes)
		}
		return nil
	})
}

// normalizer reads normalizer_spec.
func (f *spmFile) normalizer(data []byte) error {
	return fields(data, func(num protowire.Number, v protoValue) error {
		switch num {
		case 2:
			f.charsmap = v.bytes
		case 3:
			f.prefix = v.number != 0
		case 4:
			f.collapse = v.number != 0
		case 5:
			f.escape = v.number != 0
		}
		return nil
	})
}

// protoValue is a field's value, of which one of the two is set.
type protoValue struct {
	number uint64 // a varint, or the bits of a fixed number
	bytes  []byte // a string, bytes or a message
}

// fields calls visit for each field of a protobuf message.
func fields(data []byte, visit func(protowire.Number, protoValue) error) error {
	for at := 0; at < len(data); {
		num, kind, n := protowire.ConsumeTag(data[at:])
		if n < 0 {
			return fmt.Errorf("%w: byte %d: %w", ErrFormat, at, protowire.ParseError(n))
		}
		at += n
		var v protoValue
		switch kind {
		case protowire.VarintType:
			v.number, n = protowire.ConsumeVarint(data[at:])
		case protowire.Fixed32Type:
			var bits uint32
			bits, n = protowire.ConsumeFixed32(data[at:])
			v.number = uint64(bits)
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(data[at:])
		default: // no field that is read here has another type
			n = protowire.ConsumeFieldValue(num, kind, data[at:])
		}
		if n < 0 {
			return fmt.Errorf("%w: field %d at byte %d: %w", ErrFormat, num, at, protowire.ParseError(n))
		}
		at += n
		if err := visit(num, v); err != nil {
			return err
		}
	}
	return nil
}
