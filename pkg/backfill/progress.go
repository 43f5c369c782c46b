package backfill

import (
	"sync"
	"time"
)

// Progress is how far a job has been read. What was read is delivered a little
// later.
type Progress struct {
	Job    Job
	At     time.Time // all events before it have been read
	Events int64     // in this run
	Bytes  int64     // of records, in this run
	Done   bool
	// Left is the time until the end at the mean pace of this run, 0 while that is
	// not known: logs are rarely spread evenly, so it is a guess.
	Left time.Duration
}

// Fraction returns how much of the job's time has been read, 0 to 1.
func (p Progress) Fraction() float64 {
	return float64(p.At.Sub(p.Job.From)) / float64(p.Job.To.Sub(p.Job.From))
}

// meter keeps the progress of a run. It is safe for concurrent use.
type meter struct {
	mu      sync.Mutex
	now     Progress
	started time.Time // when this run began to read
	from    time.Time // and at which event time
}

func (m *meter) start(j Job, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = Progress{Job: j, At: at}
	m.started, m.from = time.Now(), at
}

func (m *meter) read(events int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.Events += int64(events)
	m.now.Bytes += bytes
}

func (m *meter) reached(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.At = at
}

func (m *meter) end(j Job) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.Job, m.now.At, m.now.Done = j, j.To, true
}

func (m *meter) progress() Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.now
	if read := p.At.Sub(m.from); read > 0 && !p.Done {
		pace := float64(time.Since(m.started)) / float64(read)
		p.Left = time.Duration(pace * float64(p.Job.To.Sub(p.At)))
	}
	return p
}
