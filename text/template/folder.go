package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"weft/internal/atomicfile"
	"weft/internal/mapfile"
)

// Files of the Hugging Face layout that may carry a template, and our key.
const (
	configFile = "tokenizer_config.json"
	jinjaFile  = "chat_template.jinja"
	nameKey    = "weft_template"
)

// plainChatML are the widely published Jinja texts that render as the built-in
// "chatml" does (they check less: any role passes).
var plainChatML = [...]string{
	"{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
	"{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
}

// plainWeft is the text of the built-in "weft" from before there were tools.
const plainWeft = `{%- if not messages %}
    {{- raise_exception('no messages') }}
{%- endif %}
{{- bos_token }}
{%- for message in messages %}
    {%- if message['role'] not in ['system', 'user', 'assistant', 'tool'] %}
        {{- raise_exception('unknown role ' + message['role']) }}
    {%- endif %}
    {{- '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|assistant|>' }}
{%- endif %}`

// Save writes the template into tokenizer_config.json of a model folder:
// chat_template (Jinja), bos_token, eos_token and our name of it. Other keys
// of an existing file stay.
func (t *Template) Save(dir string) error {
	path := filepath.Join(dir, configFile)
	config := map[string]any{}
	data, err := os.ReadFile(path)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber() // so that numbers of other programs come back as they were
		if err := d.Decode(&config); err != nil {
			return fmt.Errorf("save template %s: %s is not a JSON object: %w", t.name, path, err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("save template %s: %w", t.name, err)
	}
	if t.script != nil {
		t.script.save(config)
	} else {
		config["chat_template"] = t.jinja
		config["eos_token"] = t.end
		config["bos_token"] = nil
		if t.bos != "" {
			config["bos_token"] = t.bos
		}
		config[nameKey] = t.name
	}
	if _, ok := config["tokenizer_class"]; !ok {
		config["tokenizer_class"] = "PreTrainedTokenizerFast"
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(config); err != nil {
		return fmt.Errorf("save template %s: %w", t.name, err)
	}
	return atomicfile.WriteBytes(path, out.Bytes())
}

// LoadFS finds the template of a model folder: chat_template.jinja or the
// chat_template of tokenizer_config.json, which a built-in template is known by
// (or by our name of it, in tokenizer_config.json). A folder without a chat
// template (a base model) gives nil and no error.
//
// Of several named templates, "default" is for conversations and "tool_use" for
// those with tools; they stand in tokenizer_config.json as a list or in the
// folder additional_chat_templates.
func LoadFS(dir fs.FS) (*Template, error) {
	name, s, err := readSource(dir)
	if err != nil {
		return nil, err
	}
	if name != "" {
		t, err := Named(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", mapfile.Path(dir, configFile), nameKey, err)
		}
		if s.Jinja != "" && !t.renders(s.Jinja) {
			return nil, fmt.Errorf("%s: %s says %q, but the chat_template beside it is another one: remove the one that is wrong", s.Where, nameKey, name)
		}
		return t, nil
	}
	if strings.TrimSpace(s.Jinja) == "" {
		return nil, nil
	}
	return FromJinja(s)
}

// renders reports whether a Jinja text is known to be this template.
func (t *Template) renders(jinja string) bool {
	jinja = strings.TrimSuffix(jinja, "\n")
	return jinja == t.jinja || slices.Contains(t.known, jinja)
}

// readSource returns our template name and what the files of a folder say of
// its template; both are empty when they say nothing.
func readSource(dir fs.FS) (name string, s Source, err error) {
	s = Source{Tokens: map[string]string{}, Where: mapfile.Path(dir, configFile)}
	var config struct {
		Name  string          `json:"weft_template"`
		Jinja json.RawMessage `json:"chat_template"`
	}
	if err := readJSONFile(dir, configFile, &config, s.Tokens); err != nil {
		return "", s, err
	}
	if len(s.Tokens) == 0 { // as older folders have it
		if err := readJSONFile(dir, "special_tokens_map.json", nil, s.Tokens); err != nil {
			return "", s, err
		}
	}
	var generation struct {
		EOS any `json:"eos_token_id"`
	}
	if err := readJSONFile(dir, "generation_config.json", &generation, nil); err != nil {
		return "", s, err
	}
	s.EOS = tokenIDs(generation.EOS)
	if err := s.texts(config.Jinja); err != nil {
		return "", s, err
	}
	for _, f := range []struct {
		file string
		text *string
	}{{jinjaFile, &s.Jinja}, {"additional_chat_templates/tool_use.jinja", &s.Tools}} {
		data, err := fs.ReadFile(dir, f.file)
		if err == nil {
			*f.text = string(data)
			s.Where = mapfile.Path(dir, f.file)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", s, fmt.Errorf("chat template: %w", err)
		}
	}
	return config.Name, s, nil
}

// readJSONFile reads a JSON object, if the file is there, into v and the
// special tokens that it names into tokens; both may be nil.
func readJSONFile(dir fs.FS, file string, v any, tokens map[string]string) error {
	data, err := fs.ReadFile(dir, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var all map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err == nil && v != nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return fmt.Errorf("chat template: %s: %w", mapfile.Path(dir, file), err)
	}
	for key, raw := range all {
		if tokens == nil || !strings.HasSuffix(key, "_token") {
			continue
		}
		var text string
		var full struct{ Content string } // with its flags
		if json.Unmarshal(raw, &text) == nil && text != "" {
			tokens[key] = text
		} else if json.Unmarshal(raw, &full) == nil && full.Content != "" {
			tokens[key] = full.Content
		}
	}
	return nil
}

// tokenIDs reads one id or a list of them.
func tokenIDs(v any) []int32 {
	var ids []int32
	switch v := v.(type) {
	case float64:
		ids = append(ids, int32(v))
	case []any:
		for _, x := range v {
			ids = append(ids, tokenIDs(x)...)
		}
	}
	return ids
}

// texts reads a chat_template: a text, or a list of named ones.
func (s *Source) texts(raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" || json.Unmarshal(raw, &s.Jinja) == nil {
		return nil
	}
	var named []struct{ Name, Template string }
	if err := json.Unmarshal(raw, &named); err != nil {
		return fmt.Errorf("chat template: %s: chat_template is neither a text nor a list of named texts", s.Where)
	}
	for _, n := range named {
		switch n.Name {
		case "default":
			s.Jinja = n.Template
		case "tool_use":
			s.Tools = n.Template
		}
	}
	if s.Jinja == "" {
		return fmt.Errorf("chat template: %s: chat_template is a list of %d without one named \"default\"", s.Where, len(named))
	}
	return nil
}

// FromGGUF finds the template in the metadata of a GGUF file: value gives what
// stands under a key. A file without one gives nil and no error.
func FromGGUF(value func(key string) (any, bool)) (*Template, error) {
	const prefix = "tokenizer."
	s := Source{Tokens: map[string]string{}, Where: "GGUF: tokenizer.chat_template"}
	text := func(key string) string {
		v, _ := value(prefix + key)
		s, _ := v.(string)
		return s
	}
	s.Jinja, s.Tools = text("chat_template"), text("chat_template.tool_use")
	if strings.TrimSpace(s.Jinja) == "" {
		return nil, nil
	}
	list, _ := value(prefix + "ggml.tokens")
	tokens, _ := list.([]string)
	for _, key := range []string{"bos", "eos", "eot", "eom", "unknown", "padding"} {
		v, ok := value(prefix + "ggml." + key + "_token_id")
		if !ok {
			continue
		}
		id, err := strconv.ParseInt(fmt.Sprint(v), 10, 32)
		if err != nil || id < 0 || int(id) >= len(tokens) {
			continue // llama.cpp writes -1 for none
		}
		switch key {
		case "eos", "eot", "eom":
			s.EOS = append(s.EOS, int32(id))
		}
		if name := map[string]string{"unknown": "unk", "padding": "pad"}[key]; name != "" {
			key = name
		}
		s.Tokens[key+"_token"] = tokens[id]
	}
	return FromJinja(s)
}
