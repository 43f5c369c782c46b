package torture

import (
	"testing"
)

// built builds the daemon for a test that takes the daemon's own time.
func built(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it runs the real daemon for a minute")
	}
	binary, err := Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// TestNothingIsLostOrDoubledByKills kills a few daemons; make torture kills many.
func TestNothingIsLostOrDoubledByKills(t *testing.T) {
	const kills = 45
	report, err := Run(t.Context(), built(t), Options{Kills: kills, Seed: 1, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = report.WriteTo(t.Output())
	if report.Lost != 0 || report.Duplicated != 0 {
		t.Errorf("got %d events lost and %d duplicated, want none", report.Lost, report.Duplicated)
	}
	if report.Kills != kills || report.Events == 0 {
		t.Errorf("got %d kills and %d events, want %d kills and events: the test tests too little", report.Kills, report.Events, kills)
	}
	if got := report.pointsHit(); got < 20 {
		t.Errorf("got %d named points, want 20 or more: %v", got, report.Points)
	}
}

// TestEveryFaultShowsAndLosesNothing runs the table of faults.
func TestEveryFaultShowsAndLosesNothing(t *testing.T) {
	count, err := RunFaults(t.Context(), built(t))
	if err != nil {
		t.Error(err)
	}
	if count < 40 {
		t.Errorf("got %d kinds of faults, want 40 or more", count)
	}
}
