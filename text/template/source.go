package template

// Texts are the template's Jinja texts, as a model's files hold them: the one for
// conversations, and the one for those with tools where that is another; "".
func (t *Template) Texts() (plain, tools string) {
	if t.script != nil {
		return t.jinja, t.script.Tools
	}
	return t.jinja, ""
}
