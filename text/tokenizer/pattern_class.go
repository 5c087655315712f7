package tokenizer

import (
	"fmt"
	"strings"
	"unicode"
)

// set is a set of characters on its way into .NET syntax: [items], [^items] or
// [items-[minus]]. What that cannot say, such as a union with a negated set, is
// an atom: an expression that matches one character.
type set struct {
	items string
	neg   bool
	minus string // a class in brackets, or ""
	atom  string
	one   rune // the character, when the set is a single one that may begin a range
	is1   bool
}

// text is the set as an expression.
func (s set) text() string {
	switch {
	case s.atom != "":
		return s.atom
	case s.is1 && !s.neg:
		return quoted(s.one)
	case s.items == "" && s.neg:
		return `[\s\S]`
	case s.items == "":
		return `(?!)`
	}
	text := "["
	if s.neg {
		text += "^"
	}
	text += s.items
	if s.minus != "" {
		text += "-" + s.minus
	}
	return text + "]"
}

// plain says that [items] is all there is to it.
func (s set) plain() bool { return s.atom == "" && s.minus == "" && s.items != "" }

// not is every other character.
func (s set) not() set {
	if s.plain() || s.atom == "" && s.items == "" {
		s.neg, s.is1 = !s.neg, false
		return s
	}
	return set{atom: "(?:(?!" + s.text() + `)[\s\S])`}
}

// or is the union. What is in neither of [^a] and [b] is in a and not in b.
func (s set) or(o set) set {
	switch {
	case s.atom == "" && s.items == "" && !s.neg:
		o.is1 = false
		return o
	case o.atom == "" && o.items == "" && !o.neg:
		return s
	case s.plain() && o.plain() && !s.neg && !o.neg:
		return set{items: s.items + o.items}
	case s.plain() && o.plain() && !s.neg:
		return o.or(s)
	case s.plain() && o.plain():
		return set{items: `\s\S`, minus: set{items: s.items, minus: o.text()}.text()}
	}
	return set{atom: "(?:" + s.text() + "|" + o.text() + ")"}
}

// and is the intersection: A && B is A without what is not B.
func (s set) and(o set) set {
	if s.plain() && o.plain() {
		return set{items: s.items, neg: s.neg, minus: o.not().text()}
	}
	return set{atom: "(?:(?=" + o.text() + ")" + s.text() + ")"}
}

// class reads a class in brackets, with classes inside and && between them,
// which binds less than standing side by side.
func (t *translator) class() (set, error) {
	if t.depth++; t.depth > maxNesting {
		return set{}, fmt.Errorf("classes nested more than %d deep: %w", maxNesting, ErrFormat)
	}
	defer func() { t.depth-- }()
	from := t.pos
	t.pos++
	neg := t.skip("^")
	var all, part set
	var rest []set // what does not simply list what it holds: put to part last
	joined := false
	join := func() {
		for _, s := range rest {
			part = part.or(s)
		}
		if joined {
			part = all.and(part)
		}
		all, part, rest, joined = part, set{}, nil, true
	}
	for first := true; ; first = false {
		switch {
		case t.pos >= len(t.src):
			return set{}, fmt.Errorf("class at byte %d without an end: %w", from, ErrFormat)
		case t.peek("]") && !first:
			t.pos++
			join()
			if neg {
				all = all.not()
			}
			all.is1 = false
			return all, nil
		case t.skip("&&"):
			join()
		default:
			m, err := t.span()
			if err != nil {
				return set{}, err
			}
			if m.plain() && !m.neg {
				part = part.or(m)
			} else {
				rest = append(rest, m)
			}
		}
	}
}

// span reads a member of a class, or a range of characters.
func (t *translator) span() (set, error) {
	if !t.onig && (t.peek("--") || t.peek("~~")) {
		return set{}, t.unsupported("set operator " + t.src[t.pos:t.pos+2])
	}
	low, err := t.member()
	if err != nil || !low.is1 || !t.peek("-") || t.peek("-]") || t.peek("-[") || t.peek("-&&") || !t.onig && t.peek("--") {
		return low, err
	}
	t.pos++
	high, err := t.member()
	switch {
	case err != nil:
		return set{}, err
	case !high.is1 || high.one < low.one:
		return set{}, fmt.Errorf("range %s at byte %d: %w", low.items+"-"+high.items, t.pos, ErrFormat)
	}
	return set{items: low.items + "-" + high.items}, nil
}

// char is the set of one character.
func char(r rune) set { return set{items: quoted(r), one: r, is1: true} }

// member reads one character, one escape or one class.
func (t *translator) member() (set, error) {
	switch {
	case t.depth > 0 && t.skip("[:"):
		name, _, ok := strings.Cut(t.src[t.pos:], ":]")
		if !ok {
			return set{}, t.unsupported("[: without :]")
		}
		t.pos += len(name) + 2
		name, neg := strings.CutPrefix(name, "^")
		return t.posix(name, neg)
	case t.depth > 0 && t.peek("["):
		return t.class()
	case !t.skip(`\`):
		return char(t.next()), nil
	case t.pos >= len(t.src):
		return set{}, fmt.Errorf("backslash at the end: %w", ErrFormat)
	}
	c := t.next()
	switch c {
	case 'd', 'D':
		return set{items: items("Nd"), neg: c == 'D'}, nil
	case 's', 'S':
		return set{items: `\` + string(c)}, nil
	case 'w', 'W':
		s := wordClass(t.onig)
		s.neg = c == 'W'
		return s, nil
	case 'h', 'H':
		return set{items: "0-9A-Fa-f", neg: c == 'H'}, nil
	case 'p', 'P':
		return t.property(c == 'P')
	case 'b':
		return char('\b'), nil // outside of a class it does not come here
	}
	if i := strings.IndexRune("abtnvfre", c); i >= 0 {
		return char(rune("\a\b\t\n\v\f\r\x1b"[i])), nil
	}
	return t.number(c)
}

// number reads the escapes that give a code point, and of the others those that
// stand for themselves.
func (t *translator) number(c rune) (set, error) {
	digits := map[rune]int{'x': 2, 'u': 4}
	if !t.onig {
		digits['U'] = 8
	}
	switch n := digits[c]; {
	case n > 0:
		r, err := t.codePoint(16, n)
		return char(r), err
	case c == '0' && t.onig:
		t.pos--
		r, err := t.codePoint(8, 3)
		return char(r), err
	case ident(string(c)) && c != '_', '0' <= c && c <= '9', !t.onig && (c == '<' || c == '>'):
		return set{}, t.unsupported(`escape \` + string(c))
	}
	return char(c), nil
}

const spaceItems = `\s` // White_Space in regexp2 too

// items is a category, script or property by Go's name for it.
func items(name string) string { return `\p{` + name + `}` + addedItems(name) }

// alphabetic is Unicode's property. Version 16 counts small letters on top of
// others, too, and marks of its own.
func alphabetic() string {
	const marks = "\u0363-\u036f\u0897\u1dd3-\u1de6\U00010d69\U00010efc\U000113b8-\U000113c0\U000113c2\U000113c5\U000113c7-\U000113ca" +
		"\U000113cc\U000113cd\U0001611e-\U0001612e"
	return items("L") + items("Nl") + items("Other_Alphabetic") + marks
}

// wordClass is \w. Oniguruma has six numbers of Latin-1 in it.
func wordClass(onig bool) set {
	list := alphabetic() + items("M") + items("Nd") + items("Pc")
	if onig {
		return set{items: list + "²³¹¼½¾"}
	}
	return set{items: list + items("Join_Control")}
}

// posix is a class such as [:alpha:], which Rust takes for ASCII's.
func (t *translator) posix(name string, neg bool) (set, error) {
	list := map[string]string{
		"alpha": "A-Za-z", "digit": "0-9", "alnum": "0-9A-Za-z", "upper": "A-Z", "lower": "a-z", "space": `\t-\r `,
		"blank": `\t `, "cntrl": `\x00-\x1f\x7f`, "punct": `!-/:-@\[-\x60{-~`, "xdigit": "0-9A-Fa-f", "word": "0-9A-Za-z_",
	}
	if t.onig {
		for _, same := range []string{"alpha", "digit", "alnum", "upper", "lower", "space", "word"} {
			list[same] = properties(true)[same]
		}
		list["blank"], list["cntrl"], list["punct"] = `\t\p{Zs}`, `\p{Cc}`, items("P")+items("S")
	}
	if list[name] == "" {
		return set{}, t.unsupported("[:" + name + ":]")
	}
	return set{items: list[name], neg: neg}, nil
}

// property reads what follows \p or \P: a category, script or property by the
// names of Unicode, in any case.
func (t *translator) property(neg bool) (set, error) {
	name := ""
	switch {
	case t.skip("{"):
		inner, _, ok := strings.Cut(t.src[t.pos:], "}")
		if !ok {
			return set{}, fmt.Errorf("property at byte %d without an end: %w", t.pos, ErrFormat)
		}
		t.pos += len(inner) + 1
		name = inner
	case !t.onig && t.pos < len(t.src):
		name = string(t.next())
	}
	if rest, ok := strings.CutPrefix(name, "^"); ok {
		name, neg = rest, !neg
	}
	fold := strings.NewReplacer(" ", "", "_", "", "-", "")
	key := strings.ToLower(fold.Replace(name))
	if !t.onig {
		for _, kind := range []string{"script=", "sc=", "generalcategory=", "gc="} {
			key = strings.TrimPrefix(key, kind)
		}
	}
	if list := properties(t.onig)[key]; list != "" {
		return set{items: list, neg: neg}, nil
	}
	if alias := aliasOf(key, fold); alias != "" {
		return set{items: items(alias), neg: neg}, nil
	}
	return set{}, t.unsupported(`property \p{` + name + `}`)
}

// properties are those that Go has by no name, or that have another one too.
func properties(onig bool) map[string]string {
	upper, lower := items("Lu")+items("Other_Uppercase"), items("Ll")+items("Other_Lowercase")
	return map[string]string{
		"any": `\s\S`, "ascii": `\x00-\x7f`, "alpha": alphabetic(), "alphabetic": alphabetic(), "space": spaceItems, "whitespace": spaceItems,
		"digit": items("Nd"), "alnum": alphabetic() + items("Nd"), "upper": upper, "uppercase": upper, "lower": lower, "lowercase": lower,
		"punct": items("P"), "word": wordClass(onig).items,
	}
}

// aliasOf finds the name by which Go knows a property.
func aliasOf(key string, fold *strings.Replacer) string {
	same := func(name string) bool { return strings.ToLower(fold.Replace(name)) == key }
	for alias, name := range unicode.CategoryAliases {
		if same(alias) {
			return name
		}
	}
	for _, tables := range []map[string]*unicode.RangeTable{unicode.Categories, unicode.Scripts, unicode.Properties} {
		for name := range tables {
			if same(name) {
				return name
			}
		}
	}
	return ""
}
