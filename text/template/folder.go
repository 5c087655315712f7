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
	config["chat_template"] = t.jinja
	config["eos_token"] = t.end
	config["bos_token"] = nil
	if t.bos != "" {
		config["bos_token"] = t.bos
	}
	config[nameKey] = t.name
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

// Load finds the template of a model folder: by our name in
// tokenizer_config.json, or by its Jinja text when it is one we know. A folder
// without a chat template (a base model) gives nil and no error. A Jinja text
// we do not know is an error that wraps ErrUnknown.
func Load(dir string) (*Template, error) { return LoadFS(mapfile.Dir(dir)) }

// LoadFS is Load for a folder wherever it lies, such as in the binary.
func LoadFS(dir fs.FS) (*Template, error) {
	path := mapfile.Path(dir, configFile)
	name, jinja, err := readConfig(dir, path)
	if err != nil {
		return nil, err
	}
	if jinja == "" {
		path = mapfile.Path(dir, jinjaFile)
		data, err := fs.ReadFile(dir, jinjaFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("chat template: %w", err)
		}
		jinja = string(data)
	}
	if name != "" {
		t, err := Named(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, nameKey, err)
		}
		if jinja != "" && !t.renders(jinja) {
			return nil, fmt.Errorf("%s: %s says %q, but the chat_template beside it is another one: remove the one that is wrong", path, nameKey, name)
		}
		return t, nil
	}
	if strings.TrimSpace(jinja) == "" {
		return nil, nil
	}
	for _, t := range builtins() {
		if t.renders(jinja) {
			return t, nil
		}
	}
	return nil, fmt.Errorf("%s: %w: templates written in Jinja come with a later version; until then choose a built-in one, %s, by its name under %q in %s, and remove the chat_template there (the model must have been trained with it)",
		path, ErrUnknown, strings.Join(Names(), " or "), nameKey, configFile)
}

// renders reports whether a Jinja text is known to be this template.
func (t *Template) renders(jinja string) bool {
	jinja = strings.TrimSuffix(jinja, "\n")
	return jinja == t.jinja || slices.Contains(t.known, jinja)
}

// readConfig returns our template name and the Jinja text of the
// tokenizer_config.json at path; both are empty when it is absent or has none.
func readConfig(dir fs.FS, path string) (name, jinja string, err error) {
	data, err := fs.ReadFile(dir, configFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("chat template: %w", err)
	}
	var config struct {
		Name  string          `json:"weft_template"`
		Jinja json.RawMessage `json:"chat_template"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return "", "", fmt.Errorf("chat template: %s: %w", path, err)
	}
	if len(config.Jinja) == 0 || string(config.Jinja) == "null" {
		return config.Name, "", nil
	}
	if json.Unmarshal(config.Jinja, &jinja) == nil {
		return config.Name, jinja, nil
	}
	var named []struct{ Name, Template string } // several, for chat and for tools
	if err := json.Unmarshal(config.Jinja, &named); err != nil {
		return "", "", fmt.Errorf("chat template: %s: chat_template is neither a text nor a list of named texts", path)
	}
	for _, n := range named {
		if n.Name == "default" {
			return config.Name, n.Template, nil
		}
	}
	return "", "", fmt.Errorf("chat template: %s: chat_template is a list of %d without one named \"default\"", path, len(named))
}
