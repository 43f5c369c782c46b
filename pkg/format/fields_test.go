package format

import "testing"

func TestRootsThatAreComeBackToStandOnce(t *testing.T) {
	f := NewFields(nil)
	f.Members(Source, `"a":1,`)
	f.Members(User, `"b":2,`)
	f.Members(URL, `"c":3,`)
	f.Members(Source, `"d":4,`) // the first of three
	f.Members(URL, `"e":5,`)    // in the middle
	f.Members(URL, `"f":6,`)    // the last
	f.Members(User, `"g":7,`)
	want := `"source":{"a":1,"d":4},"url":{"c":3,"e":5,"f":6},"user":{"b":2,"g":7},`
	if got := string(f.AppendTo(nil)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRootsWithNothingInThemAreLeftOut(t *testing.T) {
	f := NewFields(nil)
	f.end(f.begin(Source))
	f.Members(User, `"a":1,`)
	f.end(f.begin(URL))
	b := f.begin(HTTP)
	f.end(closeObject(append(b, `"request":{`...), len(b)))
	f.Members(Source, `"b":2,`)
	want := `"user":{"a":1},"source":{"b":2},`
	if got := string(f.AppendTo(nil)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOnlyLinesWithoutEscapesAreCopiedAsTheyStand(t *testing.T) {
	for text, want := range map[string]bool{
		`203.0.113.9 - - [20/Nov/2026:10:11:12 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"`:           true,
		`203.0.113.9 - - [20/Nov/2026:10:11:12 +0000] "GET / HTTP/1.1" 200 5`:                      true,
		`203.0.113.9 - - [20/Nov/2026:10:11:12 +0000] "GET /\" HTTP/1.1" 200 5 "-" "curl"`:         false,
		`203.0.113.9 - a"b [20/Nov/2026:10:11:12 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"`:         false,
		"203.0.113.9 - - [20/Nov/2026:10:11:12 +0000] \"GET /\x01 HTTP/1.1\" 200 5 \"-\" \"curl\"": false,
		`203.0.113.9 - - [20/Nov/2026:10:11:12 +0000] "GET / HTTP/1.1" 200 5 "-" "curl" "x"`:       false,
	} {
		line := Line{Text: []byte(text)}
		newFormat(t, "apache", Options{}).Parse(&line, NewFields(nil))
		if line.Plain {
			t.Errorf("%s: got plain values, want it not known", text)
		}
		line.SetMarks(marksOf(line.Text))
		newFormat(t, "apache", Options{}).Parse(&line, NewFields(nil))
		if line.Plain != want {
			t.Errorf("%s: got plain values %v, want %v", text, line.Plain, want)
		}
	}
}
