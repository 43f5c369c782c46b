package elastic

import (
	"testing"
	"time"
)

func TestLimitIsLearnedAndGrowsBackSlowly(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimit(5 << 20)
	want(t, "at first", l.now(now), 5<<20)
	l.refused(now, 4<<20)
	want(t, "after a refusal", l.now(now), 2<<20)
	l.refused(now, 8<<20) // was under way
	want(t, "after a late refusal", l.now(now), 2<<20)
	want(t, "before a minute", l.now(now.Add(regrowEvery-1)), 2<<20)
	want(t, "after a minute", l.now(now.Add(regrowEvery)), 2<<20+(2<<20)/10)
	want(t, "no faster when asked often", l.now(now.Add(regrowEvery)), 2<<20+(2<<20)/10)
	for minute := range 30 {
		l.now(now.Add(time.Duration(minute+2) * regrowEvery))
	}
	want(t, "in the end", l.now(now.Add(time.Hour)), 5<<20)
	for range 20 {
		l.refused(now, 1)
	}
	want(t, "at least", l.now(now), leastBytes)
}
