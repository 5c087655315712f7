package tokenizer

import (
	"fmt"
	"strconv"
	"strings"
)

// fallbackByte reads the name of a byte, "<0x0A>".
func fallbackByte(name string) (byte, bool) {
	if len(name) != 6 || name[:3] != "<0x" || name[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(name[3:5], 16, 8)
	return byte(b), err == nil && name == fallbackName(byte(b))
}

// fallbackName is how SentencePiece vocabularies spell the token of a byte.
func fallbackName(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

// bytesOf reads GPT-2's printable spelling of bytes (bytes_to_unicode in its
// encoder.py): printable Latin-1 is itself, the rest is shifted to U+0100 on.
func bytesOf(name string) (string, bool) {
	out := make([]byte, 0, len(name))
	for _, r := range name {
		switch {
		case r < 0x100 && printable(byte(r)):
			out = append(out, byte(r))
		case 0x100 <= r && r < 0x100+68:
			out = append(out, hidden(int(r-0x100)))
		default:
			return "", false
		}
	}
	return string(out), true
}

// nameOf is the reverse of bytesOf.
func nameOf(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteRune(byteRune(text[i]))
	}
	return b.String()
}

// byteRune is the character that a byte is spelled as.
func byteRune(c byte) rune {
	switch {
	case printable(c):
		return rune(c)
	case c <= ' ':
		return 0x100 + rune(c)
	case c == 0xad:
		return 0x100 + 67
	}
	return 0x100 + 0x21 + rune(c-0x7f)
}

// printable bytes stand for themselves: all of Latin-1 that has ink, so not the
// spaces and not the soft hyphen.
func printable(b byte) bool {
	return '!' <= b && b <= '~' || 0xa1 <= b && b <= 0xac || 0xae <= b
}

// hidden is the n-th byte, counted from 0, that is not printable.
func hidden(n int) byte {
	switch {
	case n <= 0x20:
		return byte(n)
	case n < 0x20+1+0xa1-0x7f:
		return byte(n - 0x21 + 0x7f)
	}
	return 0xad
}
