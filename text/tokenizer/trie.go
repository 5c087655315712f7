package tokenizer

import (
	"slices"
	"strings"
)

// trie finds the tokens that a text begins with. Nodes lie level by level, so
// that the children of one are neighbours, in the order of their bytes.
type trie struct {
	nodes []trieNode
	roots [256]int32 // nodes of the first byte; 0 none
}

// trieNode is 12 bytes. Node 0 is the root.
type trieNode struct {
	first    int32  // first child
	value    int32  // id of the token that ends here; -1 none
	children uint16 // up to 256
	label    byte   // the byte that leads here
}

// trieKey is a token to be found.
type trieKey struct {
	text string
	id   int32
}

// newTrie builds a trie of tokens of different texts, none of them empty. It
// changes the order of keys.
func newTrie(keys []trieKey) *trie {
	slices.SortFunc(keys, func(a, b trieKey) int { return strings.Compare(a.text, b.text) })
	// span is a node whose children are still to be made: its keys are those that
	// share depth bytes.
	type span struct{ from, to, depth int }
	t := &trie{nodes: []trieNode{{value: -1}}}
	spans := []span{{0, len(keys), 0}}
	for i := 0; i < len(spans); i++ {
		s := spans[i]
		if s.from < s.to && len(keys[s.from].text) == s.depth {
			t.nodes[i].value = keys[s.from].id
			s.from++
		}
		t.nodes[i].first = int32(len(t.nodes))
		for at := s.from; at < s.to; {
			b, end := keys[at].text[s.depth], at+1
			for end < s.to && keys[end].text[s.depth] == b {
				end++
			}
			t.nodes = append(t.nodes, trieNode{value: -1, label: b})
			t.nodes[i].children++
			spans = append(spans, span{at, end, s.depth + 1})
			at = end
		}
	}
	for k := range int32(t.nodes[0].children) {
		t.roots[t.nodes[t.nodes[0].first+k].label] = t.nodes[0].first + k
	}
	return t
}

// next is the node that byte b leads to from a node, 0 when there is none.
func (t *trie) next(node int32, b byte) int32 {
	if node == 0 {
		return t.roots[b]
	}
	n := &t.nodes[node]
	lo, hi := n.first, n.first+int32(n.children)
	for lo < hi {
		mid := (lo + hi) / 2
		switch l := t.nodes[mid].label; {
		case l == b:
			return mid
		case l < b:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return 0
}

// longest is the longest token that text begins with; id is -1 when there is none.
func (t *trie) longest(text string) (n int, id int32) {
	id = -1
	for i, node := 0, int32(0); i < len(text); i++ {
		if node = t.next(node, text[i]); node == 0 {
			break
		}
		if v := t.nodes[node].value; v >= 0 {
			n, id = i+1, v
		}
	}
	return n, id
}
