package world

// The tasks of skill: what is asked for can be worked out, looked up with a
// tool, or must be declined.
const (
	Addition       Task = "addition" // with written steps, as the next three
	Subtraction    Task = "subtraction"
	Multiplication Task = "multiplication"
	Division       Task = "division"
	AdditionDirect Task = "addition-direct" // the number alone
	Units          Task = "units"           // units of measure, scaled recipes
	WordProblem    Task = "word-problem"    // a little story, the answer with what is counted
	UseTool        Task = "tool"            // tools are offered and one must be called
	ToolAnswer     Task = "tool-answer"     // the call and its result are there: say it
	NoTool         Task = "no-tool"         // tools are offered and none is needed
	Refusal        Task = "refusal"         // the one forbidden topic
	Lookalike      Task = "lookalike"       // harmless, and looks like it
	Smalltalk      Task = "smalltalk"
)

// skillSpecs are the tasks of skill.
func skillSpecs() []spec {
	return []spec{
		{Addition, makeSum(plus), 120, true},
		{Subtraction, makeSum(minus), 20, true},
		{Multiplication, makeSum(times), 20, true},
		{Division, makeSum(over), 10, true},
		{AdditionDirect, makeAdditionDirect, 10, true},
		{Units, makeUnits, 20, true},
		{WordProblem, makeWordProblem, 30, true},
		{UseTool, makeTool, 130, false},
		{ToolAnswer, makeToolAnswer, 40, false},
		{NoTool, makeNoTool, 50, false},
		{Refusal, makeRefusal, 70, true},
		{Lookalike, makeLookalike, 80, true},
		{Smalltalk, makeSmalltalk, 50, true},
	}
}

// accept is the label of an answer that must have one of the texts.
func accept(texts ...string) Label { return Label{Kind: KindAnswer, Accept: texts} }
