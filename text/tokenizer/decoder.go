package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// sink takes the tokens of a text one by one, in their names, and hands text on.
// After flush it is as new.
type sink interface {
	push(token string)
	pause()  // hand on what is held back: more tokens follow, but somebody looks now
	flush()  // no more tokens come
	resume() // some text stands in front of the first token
}

// decodeStep makes one step of a decoder in front of the next.
type decodeStep func(next sink) sink

// decoding is the decoder section.
type decoding struct {
	steps []decodeStep
	// restarts says that text in front of the first token is dropped, which
	// should happen again behind a token that begins a text.
	restarts bool
	bytes    bool // nothing but ByteLevel: tokens stand for their bytes, wherever they are
}

// chain puts the steps in front of last.
func (d *decoding) chain(last sink) sink {
	for i := len(d.steps) - 1; i >= 0; i-- {
		last = d.steps[i](last)
	}
	return last
}

// readDecoding reads the decoder section. Behind a step that makes one text of all
// tokens, later ones see that: Strip does so bit by bit, others at the end. late
// hears of patterns that give up on a token.
func readDecoding(n node, late *overrun) (d decoding, err error) {
	if n.null() {
		d.steps = []decodeStep{func(next sink) sink { return &spaced{next: next, first: true} }}
		return d, nil
	}
	steps, err := n.steps("decoders")
	if err != nil {
		return d, err
	}
	fused := false
	for _, s := range steps {
		kind, err := s.kind()
		if err != nil {
			return d, err
		}
		step, err := readDecodeStep(s, kind, fused, late)
		if err != nil {
			return d, err
		}
		if fused && kind != "Strip" && kind != "Fuse" {
			d.steps = append(d.steps, func(next sink) sink { return &gathered{next: next} })
		}
		d.steps = append(d.steps, step)
		fused = fused || kind == "Fuse" || kind == "ByteLevel"
		d.restarts = d.restarts || kind == "Strip" || kind == "Metaspace"
		d.bytes = kind == "ByteLevel" && len(steps) == 1
	}
	return d, nil
}

// readDecodeStep reads one step.
func readDecodeStep(n node, kind string, fused bool, late *overrun) (decodeStep, error) {
	var p struct {
		Type string `json:"type"`
	}
	switch kind {
	case "ByteLevel":
		var b byteLevelJSON
		return each(bytesOrSelf), n.read(&b)
	case "ByteFallback":
		return each(func(name string) string {
			if b, ok := fallbackByte(name); ok {
				return string([]byte{b})
			}
			return name
		}), n.read(&p)
	case "Fuse":
		return each(func(name string) string { return name }), n.read(&p)
	case "Metaspace":
		return readMetaspaceDecoder(n)
	case "Replace":
		f, err := readReplace(n)
		return each(func(name string) string { return f(strand{text: name, late: late}).text }), err
	case "Strip":
		return readStrip(n, fused)
	case "WordPiece":
		return readWordPieceDecoder(n)
	case "BPEDecoder":
		return readBPEDecoder(n)
	case "CTC":
		return readCTC(n)
	}
	return nil, n.unknown(kind, "ByteLevel", "ByteFallback", "Fuse", "Metaspace", "Replace", "Strip", "WordPiece", "BPEDecoder", "CTC", "Sequence")
}

// bytesOrSelf undoes the spelling of bytes where all of a name is one.
func bytesOrSelf(name string) string {
	if text, ok := bytesOf(name); ok {
		return text
	}
	return name
}

// mapped changes each token by itself.
type mapped struct {
	next sink
	to   func(string) string
}

func each(to func(string) string) decodeStep {
	return func(next sink) sink { return &mapped{next, to} }
}

func (m *mapped) push(token string) { m.next.push(m.to(token)) }
func (m *mapped) pause()            { m.next.pause() }
func (m *mapped) flush()            { m.next.flush() }
func (m *mapped) resume()           { m.next.resume() }

// firstly changes the first token in another way than those behind it.
type firstly struct {
	next  sink
	to    func(token string, first bool) string
	begun bool
}

func (f *firstly) push(token string) {
	f.next.push(f.to(token, !f.begun))
	f.begun = true
}

func (f *firstly) pause() { f.next.pause() }

func (f *firstly) flush() {
	f.begun = false
	f.next.flush()
}

func (f *firstly) resume() {
	f.begun = true
	f.next.resume()
}

// spaced is what happens without a decoder: a space between tokens.
type spaced struct {
	next  sink
	first bool
}

func (s *spaced) push(token string) {
	if !s.first {
		s.next.push(" ")
	}
	s.first = false
	s.next.push(token)
}

func (s *spaced) pause() { s.next.pause() }

func (s *spaced) flush() {
	s.first = true
	s.next.flush()
}

func (s *spaced) resume() {
	s.first = false
	s.next.resume()
}

// gathered holds everything back until the end.
type gathered struct {
	next sink
	text strings.Builder
}

func (g *gathered) push(token string) { g.text.WriteString(token) }

func (g *gathered) pause() {
	g.next.push(g.text.String())
	g.text.Reset()
	g.next.pause()
}

func (g *gathered) flush() {
	g.next.push(g.text.String())
	g.text.Reset()
	g.next.flush()
}

func (g *gathered) resume() { g.next.resume() }

// readMetaspaceDecoder reads the step that makes spaces of the visible
// character; in the first token it is dropped where the pre-tokenizer adds it.
func readMetaspaceDecoder(n node) (decodeStep, error) {
	m, err := parseMetaspace(n)
	mark := string(rune(m.Replacement))
	return func(next sink) sink {
		return &firstly{next: next, to: func(token string, first bool) string {
			if first && m.Scheme != "never" {
				return strings.ReplaceAll(token, mark, "")
			}
			return strings.ReplaceAll(token, mark, " ")
		}}
	}, err
}

// readWordPieceDecoder reads the step that puts spaces between words.
func readWordPieceDecoder(n node) (decodeStep, error) {
	var p struct {
		Type    string `json:"type"`
		Prefix  string `json:"prefix"`
		Cleanup bool   `json:"cleanup"`
	}
	err := n.read(&p)
	return func(next sink) sink {
		return &firstly{next: next, to: func(token string, first bool) string {
			if !first {
				if rest, inside := strings.CutPrefix(token, p.Prefix); inside {
					token = rest
				} else {
					token = " " + token
				}
			}
			if p.Cleanup {
				token = cleanUp(token)
			}
			return token
		}}
	}, err
}

// cleanUp takes spaces away that English does not write, as transformers does.
func cleanUp(text string) string {
	for _, p := range [][2]string{{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"},
		{" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}} {
		text = strings.ReplaceAll(text, p[0], p[1])
	}
	return text
}

// lastly makes spaces of the ends of words, but for the last token, which it
// therefore holds back.
type lastly struct {
	next   sink
	suffix string
	held   string
	have   bool
}

func (l *lastly) push(token string) {
	l.inside()
	l.held, l.have = token, true
}

// inside hands the token on that is held, which is not the last.
func (l *lastly) inside() {
	if l.have {
		l.next.push(strings.ReplaceAll(l.held, l.suffix, " "))
	}
	l.have = false
}

func (l *lastly) pause() {
	l.inside()
	l.next.pause()
}

func (l *lastly) flush() {
	if l.have {
		l.next.push(strings.ReplaceAll(l.held, l.suffix, ""))
	}
	l.have = false
	l.next.flush()
}

func (l *lastly) resume() { l.next.resume() }

func readBPEDecoder(n node) (decodeStep, error) {
	p := struct {
		Type   string `json:"type"`
		Suffix string `json:"suffix"`
	}{Suffix: "</w>"}
	err := n.read(&p)
	if err == nil && p.Suffix == "" {
		err = n.field(".suffix").errorf("empty: %w", ErrUnsupported)
	}
	return func(next sink) sink { return &lastly{next: next, suffix: p.Suffix} }, err
}

// ctc drops repetitions and padding, as speech models need it (Graves et al. 2006).
type ctc struct {
	next    sink
	pad     string
	space   string
	cleanup bool
	last    string
	have    bool
}

func (c *ctc) push(token string) {
	if c.have && c.last == token {
		return
	}
	c.last, c.have = token, true
	token = strings.ReplaceAll(token, c.pad, "")
	if c.cleanup {
		token = strings.ReplaceAll(cleanUp(token), c.space, " ")
	}
	if token != "" {
		c.next.push(token)
	}
}

func (c *ctc) pause() { c.next.pause() }

func (c *ctc) flush() {
	c.have = false
	c.next.flush()
}

func (c *ctc) resume() { c.next.resume() }

func readCTC(n node) (decodeStep, error) {
	var p struct {
		Type    string `json:"type"`
		Pad     string `json:"pad_token"`
		Space   string `json:"word_delimiter_token"`
		Cleanup bool   `json:"cleanup"`
	}
	err := n.read(&p)
	if err == nil && (p.Pad == "" || p.Space == "") {
		err = n.errorf("%w: pad_token %q, word_delimiter_token %q; want neither empty", ErrFormat, p.Pad, p.Space)
	}
	return func(next sink) sink { return &ctc{next: next, pad: p.Pad, space: p.Space, cleanup: p.Cleanup} }, err
}

// stripped takes a number of one character off both ends of all text, in as many
// pushes as it comes.
type stripped struct {
	next        sink
	cut         rune
	start, stop int
	left        int // still to be taken off at the start; -1 when something else stood there
	held        int // characters that may be the end
}

func (s *stripped) push(text string) {
	for s.left > 0 && text != "" {
		r, n := utf8.DecodeRuneInString(text)
		if r != s.cut {
			s.left = 0
			break
		}
		text = text[n:]
		s.left--
	}
	if text == "" {
		return
	}
	s.left = 0
	rest := strings.TrimRight(text, string(s.cut))
	tail := utf8.RuneCountInString(text[len(rest):])
	if rest != "" {
		rest = strings.Repeat(string(s.cut), s.held) + rest
		s.held = 0
	}
	s.held += tail
	if more := s.held - s.stop; more > 0 {
		rest += strings.Repeat(string(s.cut), more)
		s.held = s.stop
	}
	if rest != "" {
		s.next.push(rest)
	}
}

func (s *stripped) pause() {
	if s.held > 0 {
		s.next.push(strings.Repeat(string(s.cut), s.held))
		s.held = 0
	}
	s.next.pause()
}

func (s *stripped) flush() {
	s.left, s.held = s.start, 0
	s.next.flush()
}

func (s *stripped) resume() {
	s.left = 0
	s.next.resume()
}

// readStrip reads the step for tokens one by one or, when fused, for all of them.
func readStrip(n node, fused bool) (decodeStep, error) {
	var p struct {
		Type    string    `json:"type"`
		Content character `json:"content"`
		Start   int       `json:"start"`
		Stop    int       `json:"stop"`
	}
	err := n.read(&p)
	if err == nil && (p.Start < 0 || p.Stop < 0 || p.Content == 0) {
		err = n.errorf("%w: start %d, stop %d, content %q", ErrFormat, p.Start, p.Stop, rune(p.Content))
	}
	cut := string(rune(p.Content))
	if fused {
		return func(next sink) sink {
			return &stripped{next: next, cut: rune(p.Content), start: p.Start, stop: p.Stop, left: p.Start}
		}, err
	}
	return each(func(name string) string {
		for i := 0; i < p.Start && strings.HasPrefix(name, cut); i++ {
			name = name[len(cut):]
		}
		for i := 0; i < p.Stop && strings.HasSuffix(name, cut); i++ {
			name = name[:len(name)-len(cut)]
		}
		return name
	}), err
}
