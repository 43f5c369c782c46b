package enrich

// cache is a bounded map in two generations. When the young one is full it
// becomes the old one and the former old one is forgotten; a hit in the old one
// moves back. What is asked for at least once per half-full cache stays, which is
// all that a least-recently-used list would buy.
type cache[V any] struct {
	young, old map[string]V
	half       int
}

func newCache[V any](limit int) cache[V] {
	return cache[V]{young: map[string]V{}, old: map[string]V{}, half: max(limit/2, 1)}
}

func (c *cache[V]) get(key []byte) (V, bool) {
	if v, ok := c.young[string(key)]; ok {
		return v, true
	}
	v, ok := c.old[string(key)]
	if ok {
		c.put(key, v)
	}
	return v, ok
}

func (c *cache[V]) put(key []byte, v V) {
	if len(c.young) >= c.half {
		clear(c.old)
		c.young, c.old = c.old, c.young
	}
	c.young[string(key)] = v
}

func (c *cache[V]) clear() {
	clear(c.young)
	clear(c.old)
}
