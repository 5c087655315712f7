package engine

import (
	"maps"
	"math"
	"slices"
)

// account is what one tenant has had of the engine: the tokens computed for
// it. The queue serves whoever has had least (virtual token counter, Sheng
// 2024); one tenant alone is served in order of arrival.
type account struct {
	served uint64 // prompt tokens of admitted requests that were not cached, and tokens generated
	inside int    // requests submitted and not ended
}

// maxIdle is how many tenants are remembered before those without a request
// are forgotten.
const maxIdle = 1024

// account finds or opens the books of a tenant. A tenant that comes back is
// lifted to the level of the least served who is here: to have been away is
// no credit. With mu held.
func (e *Engine) account(tenant string) *account {
	a := e.tenants[tenant]
	if a == nil {
		if len(e.tenants) >= maxIdle {
			maps.DeleteFunc(e.tenants, func(_ string, o *account) bool { return o.inside == 0 })
		}
		a = &account{}
		e.tenants[tenant] = a
	}
	if a.inside == 0 {
		least := uint64(math.MaxUint64)
		for _, o := range e.tenants {
			if o.inside > 0 {
				least = min(least, o.served)
			}
		}
		if least < math.MaxUint64 {
			a.served = max(a.served, least)
		}
	}
	return a
}

// leave counts a request out. With mu held.
func (e *Engine) leave(t *task) {
	e.inside--
	t.account.inside--
	if t.req.Adapter != nil {
		t.req.Adapter.inside--
	}
}

// fairest is the place in the queue of the oldest request of the tenant that
// has had least; -1: the queue is empty. With mu held.
func (e *Engine) fairest() int {
	best := -1
	for i, t := range e.queue {
		if best < 0 || t.account.served < e.queue[best].account.served {
			best = i
		}
	}
	return best
}

// displace makes room in a full queue for a request of tenant a: the newest
// one of the tenant with most of them waiting has to go, if that is more than
// a would have. With mu held.
func (e *Engine) displace(a *account) bool {
	waiting := map[*account]int{}
	for _, t := range e.queue {
		waiting[t.account]++
	}
	victim := -1
	for i, t := range e.queue { // the last of the longest
		if n := waiting[t.account]; n > waiting[a]+1 && (victim < 0 || n >= waiting[e.queue[victim].account]) {
			victim = i
		}
	}
	if victim < 0 {
		return false
	}
	t := e.queue[victim]
	e.queue = slices.Delete(e.queue, victim, victim+1)
	e.leave(t)
	t.stream.end(ErrBusy)
	return true
}
