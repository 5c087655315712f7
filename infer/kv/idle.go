package kv

// idlers is a queue of pages in which each page stands at most once, and from
// whose middle pages can be taken. Entry len-1 is its head.
type idlers struct{ next, prev []int32 }

func newIdlers(pages int) idlers {
	q := idlers{make([]int32, pages+1), make([]int32, pages+1)}
	q.next[pages], q.prev[pages] = int32(pages), int32(pages)
	return q
}

// push puts a page at the end.
func (q *idlers) push(p int32) {
	head := int32(len(q.next) - 1)
	last := q.prev[head]
	q.next[last], q.prev[p], q.next[p], q.prev[head] = p, last, head, p
}

// remove takes a page out.
func (q *idlers) remove(p int32) {
	q.next[q.prev[p]], q.prev[q.next[p]] = q.next[p], q.prev[p]
}

// first is the page that has been in the queue longest; false: there is none.
func (q *idlers) first() (p int32, ok bool) {
	p = q.next[len(q.next)-1]
	return p, int(p) < len(q.next)-1
}
