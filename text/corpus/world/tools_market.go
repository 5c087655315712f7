package world

import (
	"slices"
	"strings"
)

// The market is all shops beyond the two towns: more shops and goods than anybody could
// learn by heart, so that a call must copy its arguments from the question and
// an answer must copy the result. Their names follow a pattern, and everything
// about them follows from the name and the seed.

// drawMarketShop draws a name such as "Balanden's".
func drawMarketShop(r *rng, s Split) string { return invented(r, s) + "'s" }

// drawStall draws a shop of Train named as those of the towns are, "the Golden
// Trumpet", with a noun that neither town has: mostly one that is made up.
func (w *World) drawStall(r *rng) string {
	noun := pick(r, shopNouns[1])
	if r.chance(w.often(50)) {
		noun = w.madeUp(r, Train)
	}
	return "the " + pick(r, stallAdjectives()) + " " + noun
}

// stallAdjectives begin the names of stalls: those of shops, and the looks of
// goods.
func stallAdjectives() []string {
	list := append([]string(nil), shopAdjectives...)
	for _, look := range marketGoods()[0] {
		if look = title(look); !slices.Contains(list, look) {
			list = append(list, look)
		}
	}
	return list
}

// marketName is the name of a shop of the market as the market writes it: one
// that drawMarketShop draws, or an adjective of stalls and any word.
func marketName(name string) (string, bool) {
	words := strings.Fields(strings.ToLower(name))
	for i := range words {
		words[i] = title(words[i])
	}
	name = strings.Join(words, " ")
	return name, isMarketShop(name) || len(words) == 2 && slices.Contains(stallAdjectives(), words[0])
}

// isMarketShop tells whether a name is one that drawMarketShop draws.
func isMarketShop(name string) bool {
	family, ok := strings.CutSuffix(name, "'s")
	return ok && composed(family, syllables[:])
}

// marketGoods are a look and a thing: "blue lantern". No shop of the towns
// sells one of them.
func marketGoods() [][]string {
	return [][]string{
		strings.Fields("blue striped wooden silver tiny old painted copper soft long round glass folding green heavy woollen yellow paper carved plain purple brass leather spotted thin"),
		{" "},
		strings.Fields("lantern blanket mirror brush pillow clock spoon stool button ribbon shovel trumpet umbrella bell box candle chain comb cushion flag broom curtain necklace suitcase tray statue hook jar net whip"),
	}
}

// drawMarketGood draws one.
func drawMarketGood(r *rng, s Split) string {
	halves := marketGoods()
	for {
		if name := pick(r, halves[0]) + " " + pick(r, halves[2]); splitOf(name) == s {
			return name
		}
	}
}

// drawAnyGood draws what a shop of the market may sell, for a drill: a good of
// any trade, one of the market, or a look and a good of one word.
func drawAnyGood(r *rng) string {
	good := strings.ReplaceAll(pick(r, pick(r, trades).goods), "_", " ")
	switch {
	case r.chance(40):
		return drawMarketGood(r, Train)
	case r.chance(50) && !strings.Contains(good, " "):
		return pick(r, marketGoods()[0]) + " " + good
	}
	return good
}

// isAnyGood tells whether a name is one that drawAnyGood draws.
func isAnyGood(name string) bool {
	if isMarketGood(name) || isTradeGood(name) {
		return true
	}
	look, good, ok := strings.Cut(name, " ")
	return ok && slices.Contains(marketGoods()[0], look) && !strings.Contains(good, " ") && isTradeGood(good)
}

// isTradeGood tells whether the shops of a trade sell a good.
func isTradeGood(name string) bool {
	name = strings.ReplaceAll(name, " ", "_")
	return slices.ContainsFunc(trades, func(t trade) bool { return slices.Contains(t.goods, name) })
}

// isMarketGood tells whether a name is one that drawMarketGood draws.
func isMarketGood(name string) bool { return composed(name, marketGoods()) }

// composed tells whether a name is made of one of each of the lists in turn.
func composed(name string, lists [][]string) bool {
	if len(lists) == 0 {
		return name == ""
	}
	for _, part := range lists[0] {
		if rest, ok := strings.CutPrefix(name, part); ok && composed(rest, lists[1:]) {
			return true
		}
	}
	return false
}

// marketPrice is what a good costs at a shop of the market, in coins, 1-99; a
// shop has six of seven goods. Without a shop it is the price of the market.
func (w *World) marketPrice(good, shop string) (price int, sold bool) {
	h := hash(hash(mix(w.seed), good), shop)
	return 1 + int(h%99), shop == "" || h/99%7 != 0
}

// marketHours is when a shop of the market is open on a day, from Monday.
func (w *World) marketHours(shop string, day int) span {
	h := hash(mix(w.seed+1), shop)
	if int(h%7) == day {
		return span{} // closed on one day
	}
	h = mix(h + uint64(day))
	open := 6 + int(h%5)
	return span{open, open + 4 + int(h/5%8)}
}
