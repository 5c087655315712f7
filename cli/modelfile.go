package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"text/template"

	"weft/chat"
	tmpl "weft/text/template"
)

// modelfile is what tells Ollama how to run a GGUF: where it is, how messages are
// written down for it, and where an answer ends. Ollama's templates are Go's; ours
// is found by rendering conversations, and compared with them: what does more than
// frame each message with fixed texts is left out, and said so in the notes.
func modelfile(l *loaded, path, weights string) (text string, notes []string, err error) {
	from, err := relative(path, weights)
	if err != nil {
		return "", nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "FROM %s\n", from)
	if l.tmpl == nil {
		b.WriteString("TEMPLATE \"\"\"{{ .Prompt }}\"\"\"\n")
	} else {
		if t, ok := goTemplate(l.tmpl); ok {
			fmt.Fprintf(&b, "TEMPLATE \"\"\"%s\"\"\"\n", t)
		} else {
			notes = append(notes, "its chat template does more than frame messages: there is no TEMPLATE, and Ollama looks for one of its own")
		}
		for _, id := range l.tmpl.Stop(l.tok) {
			if stop := string(l.tok.Bytes(id)); stop != "" {
				fmt.Fprintf(&b, "PARAMETER stop %q\n", stop)
			}
		}
	}
	fmt.Fprintf(&b, "PARAMETER num_ctx %d\n", l.model.Info().Context)
	return b.String(), notes, nil
}

// relative names a file as seen from the folder of another, as Ollama looks for it.
func relative(path, weights string) (string, error) {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	to, err := filepath.Abs(weights)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(dir, to)
	if err != nil {
		return to, nil // another disk
	}
	rel = filepath.ToSlash(rel)
	if !strings.HasPrefix(rel, "../") {
		rel = "./" + rel
	}
	return rel, nil
}

// frames are the texts around messages of each role, and what opens an answer.
type frames struct {
	before, after map[chat.Role]string
	open          string
}

// goTemplate spells a chat template as one of Ollama's, without BOS, which Ollama
// adds; false if that would not say the same.
func goTemplate(t *tmpl.Template) (string, bool) {
	f, err := framesOf(t)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	b.WriteString("{{- range .Messages }}")
	for i, role := range []chat.Role{chat.System, chat.User, chat.Assistant} {
		word := "{{- else if"
		if i == 0 {
			word = "{{- if"
		}
		fmt.Fprintf(&b, "%s eq .Role %q }}%s{{ .Content }}%s\n", word, role, literal(f.before[role]), literal(f.after[role]))
	}
	b.WriteString("{{- end }}{{- end }}" + literal(f.open))
	text := b.String()
	return text, !strings.Contains(text, `"""`) && rendersAs(text, t)
}

// literal is text inside a Go template. All is quoted that the template would read
// or trim.
func literal(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf("{{ %q }}", text)
}

// Words that no template has, in place of messages.
const word1, word2, word3 = "Wqx1", "Wqx2", "Wqx3"

// framesOf finds the frames by rendering.
func framesOf(t *tmpl.Template) (f frames, err error) {
	render := func(open bool, msgs ...chat.Message) string {
		text, e := t.Text(msgs, tmpl.Options{GenerationPrompt: open})
		if err == nil {
			err = e
		}
		return strings.TrimPrefix(text, t.BOS())
	}
	system := chat.Message{Role: chat.System, Content: word1}
	user, again := chat.Message{Role: chat.User, Content: word2}, chat.Message{Role: chat.User, Content: word1}
	answer := chat.Message{Role: chat.Assistant, Content: word3}
	f.before, f.after = map[chat.Role]string{}, map[chat.Role]string{}
	alone := render(false, user)
	f.before[chat.User], f.after[chat.User], _ = strings.Cut(alone, word2)
	f.open = strings.TrimPrefix(render(true, user), alone)
	_, rest, _ := strings.Cut(render(false, user, answer, again), word2)
	toAnswer, rest, _ := strings.Cut(rest, word3)
	f.before[chat.Assistant] = strings.TrimPrefix(toAnswer, f.after[chat.User])
	f.after[chat.Assistant], _, _ = strings.Cut(rest, f.before[chat.User]+word1)
	var toUser string
	f.before[chat.System], rest, _ = strings.Cut(render(false, system, user), word1)
	toUser, _, _ = strings.Cut(rest, word2)
	f.after[chat.System] = strings.TrimSuffix(toUser, f.before[chat.User])
	return f, err
}

// rendersAs compares a Go template with ours on a conversation that has all roles.
func rendersAs(text string, t *tmpl.Template) bool {
	msgs := []chat.Message{
		{Role: chat.System, Content: "Be kind.\nBe brief."}, {Role: chat.User, Content: "One?"}, {Role: chat.Assistant, Content: "Yes, \"one\"."},
		{Role: chat.User, Content: "And <two>?"}, {Role: chat.Assistant, Content: "Two."}, {Role: chat.User, Content: "Three?"},
	}
	p, err := template.New("").Parse(text)
	if err != nil {
		return false
	}
	for _, list := range [][]chat.Message{msgs, msgs[1:], msgs[5:]} {
		want, err := t.Text(list, tmpl.Options{GenerationPrompt: true})
		if err != nil {
			return false
		}
		type message struct{ Role, Content string }
		var data struct{ Messages []message }
		for _, m := range list {
			data.Messages = append(data.Messages, message{string(m.Role), m.Content})
		}
		var got strings.Builder
		if p.Execute(&got, data) != nil || t.BOS()+got.String() != want {
			return false
		}
	}
	return true
}
