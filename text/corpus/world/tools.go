package world

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"weft/chat"
)

// The names of the tools.
const (
	toolCalculator = "calculator"
	toolPrice      = "price"
	toolHours      = "hours"
)

// Tools returns the three tools that the world can execute: calculator, price
// and hours.
func Tools() []chat.Tool {
	return []chat.Tool{
		{Name: toolCalculator, Description: "Works out an expression of numbers with + - * / and parentheses.",
			Parameters: json.RawMessage(`{"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]}`)},
		{Name: toolPrice, Description: "Looks up what an item costs, at one shop or at all.",
			Parameters: json.RawMessage(`{"type": "object", "properties": {"item": {"type": "string"}, "shop": {"type": "string"}}, "required": ["item"]}`)},
		{Name: toolHours, Description: "Looks up when a shop is open on a day of the week.",
			Parameters: json.RawMessage(`{"type": "object", "properties": {"shop": {"type": "string"}, "day": {"type": "string"}}, "required": ["shop", "day"]}`)},
	}
}

// notFound is the result of a lookup of what the lists do not have.
const notFound = "not found"

// CallTool executes a call of one of Tools and returns its result as text:
//
//	calculator  a number, rounded to four places: "391"
//	price       at a shop "4 coins"; at all "4 coins at the Golden Crumb, 6 coins at the Blue Owl"; or "not found"
//	hours       "from 8 o'clock to 5 o'clock", "closed" or "not found"
//
// Names are found in any case, with or without their article. A shop that is in
// neither town is one of the market if its name is a family's ("Balanden's") or
// an adjective and a noun ("the Golden Vilten"). A tool that does
// not exist and arguments that do not fit its schema are errors.
func (w *World) CallTool(call chat.ToolCall) (string, error) {
	args, err := arguments(call)
	if err != nil {
		return "", err
	}
	switch call.Name {
	case toolCalculator:
		return Calculate(args["expression"])
	case toolPrice:
		return w.lookUpPrice(bare(args["item"]), bare(args["shop"])), nil
	default:
		return w.lookUpHours(bare(args["shop"]), args["day"])
	}
}

// arguments reads those of a call and holds them against the tool's schema, all
// of whose properties are strings.
func arguments(call chat.ToolCall) (map[string]string, error) {
	list := Tools()
	at := slices.IndexFunc(list, func(t chat.Tool) bool { return t.Name == call.Name })
	if at < 0 {
		return nil, fmt.Errorf("there is no tool %q: want calculator, price or hours", call.Name)
	}
	var schema struct {
		Properties map[string]any
		Required   []string
	}
	if err := json.Unmarshal(list[at].Parameters, &schema); err != nil {
		panic(err) // it stands above
	}
	var args map[string]string
	if err := json.Unmarshal([]byte(call.Arguments), &args); err != nil {
		return nil, fmt.Errorf("tool %s: arguments %s: want an object of strings: %w", call.Name, call.Arguments, err)
	}
	for name := range args {
		if _, ok := schema.Properties[name]; !ok {
			return nil, fmt.Errorf("tool %s: it has no argument %q, as given in %s", call.Name, name, call.Arguments)
		}
	}
	for _, name := range schema.Required {
		if _, ok := args[name]; !ok {
			return nil, fmt.Errorf("tool %s: argument %q is missing in %s", call.Name, name, call.Arguments)
		}
	}
	return args, nil
}

// bare is a name without its article.
func bare(name string) string {
	for _, article := range []string{"the ", "a ", "an "} {
		if len(name) > len(article) && strings.EqualFold(name[:len(article)], article) {
			return name[len(article):]
		}
	}
	return name
}

// lookUpPrice finds an item at a shop, or at all shops of the town of Train and
// at the market for the shop "".
func (w *World) lookUpPrice(item, shop string) string {
	if shop == "" {
		return w.lookUpEverywhere(item)
	}
	if s := w.shopNamed(shop); s != nil {
		for _, g := range s.goods {
			if strings.EqualFold(g.name, item) {
				return coins(g.price)
			}
		}
		return notFound
	}
	if name, ok := marketName(shop); ok && isAnyGood(strings.ToLower(item)) {
		if price, sold := w.marketPrice(strings.ToLower(item), name); sold {
			return coins(price)
		}
	}
	return notFound
}

func (w *World) lookUpEverywhere(item string) string {
	var found []string
	for _, s := range w.train.shops {
		for _, g := range s.goods {
			if strings.EqualFold(g.name, item) {
				found = append(found, coins(g.price)+" at "+s.name)
			}
		}
	}
	if isMarketGood(strings.ToLower(item)) {
		price, _ := w.marketPrice(strings.ToLower(item), "")
		found = append(found, coins(price)+" at the market")
	}
	if found == nil {
		return notFound
	}
	return strings.Join(found, ", ")
}

// lookUpHours finds the hours of a shop on a day; an unknown day is an error.
func (w *World) lookUpHours(shop, day string) (string, error) {
	at := slices.IndexFunc(weekdays[:], func(name string) bool { return strings.EqualFold(name, day) })
	if at < 0 {
		return "", fmt.Errorf("tool hours: there is no day %q: want one of %s", day, strings.Join(weekdays[:], ", "))
	}
	var h span
	if s := w.shopNamed(shop); s != nil {
		h = s.hours[at]
	} else if name, ok := marketName(shop); ok {
		h = w.marketHours(name, at)
	} else {
		return notFound, nil
	}
	if h.closed() {
		return "closed", nil
	}
	return "from " + clock(h.open) + " to " + clock(h.close), nil
}

// shopNamed finds a shop of either town by its name without the article.
func (w *World) shopNamed(name string) *shop {
	for _, t := range []*town{w.train, w.held} {
		for _, s := range t.shops {
			if strings.EqualFold(bare(s.name), name) {
				return s
			}
		}
	}
	return nil
}

// newCall makes a call from pairs of argument and text. Its JSON has a space
// after each colon and comma, the arguments in the order given.
func newCall(name string, pairs ...string) chat.ToolCall {
	var b bytes.Buffer
	for i := 0; i < len(pairs); i += 2 {
		text, err := json.Marshal(pairs[i+1])
		if err != nil {
			panic(err) // a string has a JSON
		}
		fmt.Fprintf(&b, `%s"%s": %s`, choose(i > 0, ", ", ""), pairs[i], text)
	}
	return chat.ToolCall{ID: "call_1", Name: name, Arguments: "{" + b.String() + "}"}
}
