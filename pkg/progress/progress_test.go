package progress_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shipperd/shipperd/pkg/progress"
)

func expect(t *testing.T, m *progress.Monitor, limit time.Duration, want string, wantAge time.Duration) {
	t.Helper()
	name, age, stuck := m.Stuck(limit)
	if name != want || age != wantAge || stuck != (want != "") {
		t.Errorf("got %q stuck for %v (%v), want %q for %v", name, age, stuck, want, wantAge)
	}
}

func TestOnlyATaskAtWorkIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m progress.Monitor
		expect(t, &m, 0, "", 0)
		waiting, working := m.Begin("waiting"), m.Begin("working")
		waiting.Wait()
		<-time.After(time.Minute)
		expect(t, &m, time.Minute, "", 0) // the limit itself is within it
		<-time.After(time.Nanosecond)
		expect(t, &m, time.Minute, "working", time.Minute+time.Nanosecond)

		working.Work() // a step
		<-time.After(time.Minute)
		expect(t, &m, time.Minute, "", 0)

		waiting.Work() // the wait is over, and counts from here
		<-time.After(30 * time.Second)
		expect(t, &m, 20*time.Second, "working", 90*time.Second)
		working.Wait()
		expect(t, &m, 20*time.Second, "waiting", 30*time.Second)
		waiting.End()
		<-time.After(time.Hour)
		expect(t, &m, 0, "", 0)
	})
}

func TestTheTaskThatIsStuckLongestIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m progress.Monitor
		for _, name := range []string{"first", "second", "third"} {
			m.Begin(name)
			<-time.After(time.Second)
		}
		expect(t, &m, time.Second, "first", 3*time.Second)
	})
}

func TestWithoutAMonitorNothingHappens(*testing.T) {
	var m *progress.Monitor
	task := m.Begin("work")
	task.Wait()
	task.Work()
	task.End()
}

func TestTasksComeAndGoAtOnce(t *testing.T) {
	var m progress.Monitor
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				task := m.Begin("work")
				task.Wait()
				task.Work()
				m.Stuck(time.Hour)
				task.End()
			}
		})
	}
	all.Wait()
	if name, _, stuck := m.Stuck(-time.Hour); stuck {
		t.Errorf("got the ended task %q", name)
	}
}
