package world

import "strings"

// withA puts the indefinite article before a noun phrase: "an apple pie".
func withA(s string) string {
	if vowelSound(s) {
		return "an " + s
	}
	return "a " + s
}

// vowelSound tells whether a word is spoken with a vowel first.
func vowelSound[T string | []byte](s T) bool {
	if len(s) == 0 {
		return false
	}
	word := string(s[:min(len(s), 4)])
	switch {
	case strings.HasPrefix(word, "hour"), strings.HasPrefix(word, "hone"): // honest, but not honey
		return word != "hone"
	case strings.HasPrefix(word, "uni"), strings.HasPrefix(word, "use"), strings.HasPrefix(word, "one"):
		return false
	}
	return strings.IndexByte("aeiouAEIOU", word[0]) >= 0
}

// plural makes the plural of a good: "jars of honey", "rye loaves".
func plural(s string) string {
	if head, rest, ok := strings.Cut(s, " of "); ok {
		return plural(head) + " of " + rest
	}
	switch {
	case strings.HasSuffix(s, "loaf"), strings.HasSuffix(s, "scarf"):
		return s[:len(s)-1] + "ves"
	case strings.HasSuffix(s, "knife"):
		return s[:len(s)-2] + "ves"
	case strings.HasSuffix(s, "y") && !strings.HasSuffix(s, "ay") && !strings.HasSuffix(s, "ey") && !strings.HasSuffix(s, "oy"):
		return s[:len(s)-1] + "ies"
	case strings.HasSuffix(s, "s"), strings.HasSuffix(s, "x"), strings.HasSuffix(s, "ch"), strings.HasSuffix(s, "sh"):
		return s + "es"
	}
	return s + "s"
}

// title makes the first letter a capital.
func title(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// unknownSays are the sentences of which an answer that does not know has one.
var unknownSays = [...]string{"i don't know", "i do not know"}

// IsUnknown tells whether a reply says that it does not know.
func IsUnknown(text string) bool {
	text = strings.ToLower(strings.ReplaceAll(text, "’", "'"))
	for _, s := range unknownSays {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}
