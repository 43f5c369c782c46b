package format

import (
	"testing"
	"time"
)

func TestUnixMilliCountsAsTheStandardLibrary(t *testing.T) {
	for day := time.Date(-1, 1, 1, 23, 59, 58, 0, time.UTC); day.Year() < 10_001; day = day.AddDate(0, 0, 13) {
		got, ok := unixMilli(day.Year(), int(day.Month()), day.Day(), 23, 59, 58)
		if !ok || got != day.UnixMilli() {
			t.Fatalf("%v: got %d and %v, want %d", day, got, ok, day.UnixMilli())
		}
	}
	for _, bad := range [][6]int{{2026, 2, 29, 0, 0, 0}, {2100, 2, 29, 0, 0, 0}, {2026, 4, 31, 0, 0, 0}, {2026, 0, 1, 0, 0, 0},
		{2026, 13, 1, 0, 0, 0}, {2026, 1, 0, 0, 0, 0}, {2026, 1, 1, 24, 0, 0}, {2026, 1, 1, 0, 60, 0}, {2026, 1, 1, 0, 0, 61}} {
		if got, ok := unixMilli(bad[0], bad[1], bad[2], bad[3], bad[4], bad[5]); ok {
			t.Errorf("%v: got %d, want no time", bad, got)
		}
	}
}

func TestTimesAreWrittenAsTheStandardLibraryDoes(t *testing.T) {
	f := NewFields(nil)
	for _, ms := range []int64{0, -1, 1, 999, 1_732_098_672_123, minTime, maxTime, -86_400_000, 86_399_999, 86_400_000} {
		f.Reset()
		f.end(f.time(f.begin(Event), `"start":"`, ms))
		want := time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
		if got := at(tree(t, f), "event.start"); got != want {
			t.Errorf("%d: got %v, want %s", ms, got, want)
		}
	}
	for _, ms := range []int64{minTime - 1, maxTime + 1} {
		f.Reset()
		if f.end(f.time(f.begin(Event), `"start":"`, ms)); len(f.AppendTo(nil)) > 0 {
			t.Errorf("%d: got %s, want nothing", ms, f.AppendTo(nil))
		}
	}
}

func TestDatesOfLogs(t *testing.T) {
	want := time.Date(2026, 11, 2, 10, 11, 12, 0, time.UTC).UnixMilli()
	for text, read := range map[string]func([]byte) (int64, bool){
		"2026-11-02T10:11:12Z":            rfc3339,
		"2026-11-02T10:11:12.000999Z":     rfc3339,
		"2026-11-02T12:41:12+02:30":       rfc3339,
		"2026-11-02T08:11:12-0200":        rfc3339,
		"02/Nov/2026:10:11:12":            apacheDate,
		"02/Nov/2026:10:11:12 ":           apacheDate,
		"02/Nov/2026:11:11:12 +0100":      apacheDate,
		"Mon Nov 02 10:11:12 2026":        errorDate,
		"Mon Nov  2 10:11:12.000123 2026": errorDate,
	} {
		if got, ok := read([]byte(text)); !ok || got != want {
			t.Errorf("%s: got %v and %v, want %v", text, time.UnixMilli(got).UTC(), ok, time.UnixMilli(want).UTC())
		}
	}
	for text, read := range map[string]func([]byte) (int64, bool){
		"2026-11-02": rfc3339, "2026-11-02T10:11:12": rfc3339, "2026-11-02 10:11:12Z": rfc3339, "2026-11-02T10:11:12.": rfc3339,
		"2026-11-02T10:11:12+99:00": rfc3339, "02/Foo/2026:10:11:12": apacheDate, "02/Nov/2026:10:11:12 UTC": apacheDate,
		"Mon Nov 02 10:11:12": errorDate, "Mon Nov 02 10:11:12 x": errorDate,
	} {
		if got, ok := read([]byte(text)); ok {
			t.Errorf("%s: got %v, want no time", text, time.UnixMilli(got).UTC())
		}
	}
}
