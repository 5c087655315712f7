package world

import (
	"fmt"
	"strconv"
	"strings"

	"weft/chat"
)

// use is one use of a tool: a question, the call that it needs, and what to say
// to the result.
type use struct {
	level    int
	question string
	call     chat.ToolCall
	answer   func(r *rng, result string) (text string, label Label)
	then     *use // what is called with the result, before the answer; its call is nil until then
}

// drawUse draws a use of the split: in 20, 6 of the calculator, 11 of the
// price list and 3 of a chain of both, then the opening hours.
func (w *World) drawUse(r *rng, s Split) use {
	switch k := r.IntN(20); {
	case k < 6:
		return calculatorUse(r, s)
	case k < 11:
		return w.priceUse(r, s)
	case k < 13:
		return w.anywhereUse(r, s)
	default:
		return w.hoursUse(r, s)
	}
}

// calculatorUse asks for two numbers of up to four digits (level 1; 2 beyond
// two digits), for a price of many (level 2), or for three numbers (level 3).
func calculatorUse(r *rng, s Split) use {
	u := use{level: 1}
	var expression string
	switch k := r.IntN(10); {
	case k < 7:
		p := drawForCalculator(r, s)
		if expression = p.String(); len(expression) > len("99 * 99") {
			u.level = 2
		}
		u.question = say(r, s, "tool.calc", "x", expression, "w", p.inWords())
	case k < 9:
		p := problem{2 + r.IntN(48), times, 2 + r.IntN(97)}
		for !p.in(s) {
			p = problem{2 + r.IntN(48), times, 2 + r.IntN(97)}
		}
		u.level, expression = 2, p.String()
		u.question = say(r, s, "tool.calc.cost", "n", strconv.Itoa(p.a), "p", strconv.Itoa(p.b), "goods", plural(drawMarketGood(r, s)))
	default:
		a, b, c := 2+r.IntN(98), 2+r.IntN(98), 2+r.IntN(28)
		for !inAll([]problem{{a, plus, b}, {a + b, times, c}}, s) {
			a, b, c = 2+r.IntN(98), 2+r.IntN(98), 2+r.IntN(28)
		}
		u.level, expression = 3, fmt.Sprintf("(%d + %d) * %d", a, b, c)
		u.question = say(r, s, "tool.calc.both", "a", strconv.Itoa(a), "b", strconv.Itoa(b), "c", strconv.Itoa(c))
	}
	u.call = newCall(toolCalculator, "expression", expression)
	u.answer = func(r *rng, result string) (string, Label) {
		return reply(r, "tool.result", "v", result), accept(result)
	}
	return u
}

// drawForCalculator draws two numbers that nobody wants to work out by hand.
func drawForCalculator(r *rng, s Split) problem {
	for {
		p := problem{withDigits(r, 2+r.IntN(3)), pick(r, []op{plus, minus, times, times, over}), withDigits(r, 2+r.IntN(2))}
		if p.op == over { // mostly without a remainder
			p.b = 2 + r.IntN(48)
			if r.IntN(3) > 0 {
				p.a = p.b * (2 + r.IntN(98))
			}
		}
		if p.in(s) && !p.small() {
			return p
		}
	}
}

// inWords says a problem without a sign: "17 times 23".
func (p problem) inWords() string {
	return fmt.Sprintf("%d %s %d", p.a, map[op]string{plus: "plus", minus: "minus", times: "times", over: "divided by"}[p.op], p.b)
}

// shopAndGood draws a shop, as it stands in a sentence, and a good that it may
// sell: of the town of the split (level 1), or of the market (level 2). One in
// ten of the town's shops is asked for what it does not sell. In a drill most
// shops are of the market and sell anything, so that neither name can be known.
func (w *World) shopAndGood(r *rng, s Split) (shop, item string, level int) {
	if w.drill {
		switch k := r.IntN(10); {
		case k < 6:
			return w.drawStall(r), drawAnyGood(r), 1
		case k < 8:
			return drawMarketShop(r, s), drawAnyGood(r), 2
		}
	}
	if r.IntN(2) == 0 {
		return drawMarketShop(r, s), drawMarketGood(r, s), 2
	}
	t := pick(r, w.town(s).shops)
	if r.IntN(10) == 0 {
		return t.name, drawMarketGood(r, s), 1
	}
	return t.name, pick(r, t.goods).name, 1
}

// priceUse asks what something costs at a shop, or what several cost, which
// needs the calculator as well (level 3).
func (w *World) priceUse(r *rng, s Split) use {
	shop, item, level := w.shopAndGood(r, s)
	u := use{level: level, call: newCall(toolPrice, "item", item, "shop", bare(shop))}
	if n := 3 + r.IntN(17); r.IntN(4) == 0 && w.chain(&u, s, n, item, shop) {
		u.question = say(r, s, "tool.price.many", "n", strconv.Itoa(n), "goods", plural(item), "shop", shop)
		return u
	}
	u.question = say(r, s, "tool.price.shop", "a", withA(item), "shop", shop)
	u.answer = func(r *rng, result string) (string, Label) {
		if result == notFound {
			return reply(r, "tool.unsold", "a", withA(item), "shop", shop), Label{Kind: KindUnknown}
		}
		return reply(r, "tool.sold", "a", withA(item), "p", result, "shop", shop), accept(result)
	}
	return u
}

// chain makes u a use of two calls, where the price list has the item and the
// product belongs to the split.
func (w *World) chain(u *use, s Split, n int, item, shop string) bool {
	coinsEach, _, ok := strings.Cut(w.lookUpPrice(item, bare(shop)), " coin")
	price, err := strconv.Atoi(coinsEach)
	p := problem{n, times, price}
	if !ok || err != nil || price < 2 || !p.in(s) {
		return false
	}
	second := newCall(toolCalculator, "expression", p.String())
	second.ID = "call_2"
	u.level, u.then = 3, &use{call: second, answer: func(r *rng, result string) (string, Label) {
		return reply(r, "tool.cost", "n", strconv.Itoa(n), "goods", plural(item), "p", result+" coins", "shop", shop), accept(result)
	}}
	return true
}

// anywhereUse asks what something costs without naming a shop.
func (w *World) anywhereUse(r *rng, s Split) use {
	item, level := drawMarketGood(r, s), 2
	if s == Train && r.IntN(2) == 0 {
		item, level = pick(r, pick(r, w.train.shops).goods).name, 1
	}
	return use{
		level: level, question: say(r, s, "tool.price", "a", withA(item)), call: newCall(toolPrice, "item", item),
		answer: func(r *rng, result string) (string, Label) {
			if result == notFound {
				return reply(r, "tool.unsold.where", "a", withA(item)), Label{Kind: KindUnknown}
			}
			list := strings.Split(result, ", ")
			if k := len(list) - 1; k > 0 {
				list = []string{strings.Join(list[:k], ", ") + " and " + list[k]}
			}
			price, _, _ := strings.Cut(result, " at ")
			return reply(r, "tool.sold.where", "a", withA(item), "p", list[0]), accept(price)
		},
	}
}

// hoursUse asks when a shop is open; one in ten times about one that nobody
// knows.
func (w *World) hoursUse(r *rng, s Split) use {
	shop, _, level := w.shopAndGood(r, s)
	if r.IntN(10) == 0 {
		shop, level = drawMarketShop(r, s)+" "+one(r, "Corner", "Cellar", "Yard", "Attic"), 2
	}
	day := pick(r, weekdays[:])
	return use{
		level: level, question: say(r, s, "tool.hours", "shop", shop, "day", day),
		call: newCall(toolHours, "shop", bare(shop), "day", day),
		answer: func(r *rng, result string) (string, Label) {
			switch result {
			case notFound:
				return reply(r, "tool.nohours", "shop", shop), Label{Kind: KindUnknown}
			case "closed":
				return reply(r, "tool.closed", "shop", shop, "day", day), accept("closed")
			}
			from, to, _ := strings.Cut(strings.TrimPrefix(result, "from "), " to ")
			return reply(r, "tool.open", "shop", shop, "day", day, "from", from, "to", to), accept("from " + from + " to " + to)
		},
	}
}
