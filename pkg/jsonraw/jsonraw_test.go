package jsonraw

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

var values = []string{
	`{}`, `[]`, `""`, `0`, `-0`, `-`, `01`, `1.`, `1.5e+3`, `1e`, `1E-2`, `true`, `tru`, `nul`, `null`, `nullx`,
	`{"a":1}`, `{"a":1,}`, `{"a" : [ 1 , {"b":null} ] }`, `{a:1}`, `{"a"}`, `{"a":}`, `[1,]`, `[,1]`, `[1 2]`, `{"a":1 "b":2}`,
	`"\u00e9"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud83dx\ude00"`, `"\u12g4"`, `"\x"`, `"\`, `"`, "\"\x01\"", "\"\x7f\"", "\"\xff\"",
	`"12345678\n12345678\"1234567"`, `"1234567`, ` {"a":1} `, "\t[1]\n", `{"a":1}{`, ``, ` `, "\"\u2028\u00e9\"",
	strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth), strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1),
	strings.Repeat(`{"a":`, MaxDepth) + "1" + strings.Repeat("}", MaxDepth),
}

// nesting returns how deep brackets outside strings nest.
func nesting(b []byte) (deepest int) {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\' && inString:
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest
}

func checkAgainstStandardLibrary(t *testing.T, b []byte) {
	t.Helper()
	want := json.Valid(b)
	if want && nesting(b) > MaxDepth {
		want = false
	}
	if got := Valid(b); got != want {
		t.Fatalf("Valid(%q): got %v, want %v", b, got, want)
	}
	if !want {
		if _, text, end, _ := Unquote(nil, b, 0); text != nil && (end < 0 || !json.Valid(b[:end])) {
			t.Fatalf("Unquote(%q): got %q, want none", b, text)
		}
		return
	}
	switch start := Space(b, 0); b[start] {
	case '"':
		checkString(t, b[start:])
	case '{':
		checkObject(t, b, start)
	}
}

func checkString(t *testing.T, b []byte) {
	t.Helper()
	end, esc := String(b, 0)
	inside := b[1 : end-1]
	var want string
	if err := json.Unmarshal(b[:end], &want); err != nil {
		t.Fatal(err)
	}
	got := Unescape([]byte("before"), inside)
	// Unescape leaves bytes that are no UTF-8 to AppendString.
	if text := strings.ToValidUTF8(string(got[6:]), "\ufffd"); text != want && utf8.Valid(inside) {
		t.Fatalf("Unescape(%q): got %q, want %q", inside, text, want)
	}
	_, unquoted, unquotedEnd, unquotedEsc := Unquote(nil, b, 0)
	if !bytes.Equal(unquoted, got[6:]) || unquotedEnd != end || unquotedEsc != esc {
		t.Fatalf("Unquote(%q): got %q, %d, %d; want %q, %d, %d", b, unquoted, unquotedEnd, unquotedEsc, got[6:], end, esc)
	}
	if plain := !bytes.Contains(inside, []byte(`\`)); plain != (esc == Plain) {
		t.Fatalf("String(%q): got escapes %d, want plain %v", b, esc, plain)
	}
	if esc != Surrogate && strings.ContainsRune(want, utf8.RuneError) && utf8.Valid(inside) &&
		!bytes.Contains(inside, []byte("\ufffd")) && !bytes.Contains(bytes.ToLower(inside), []byte(`\ufffd`)) {
		t.Fatalf("String(%q): got escapes %d, want Surrogate", b, esc)
	}
}

func checkObject(t *testing.T, b []byte, start int) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b[start:]))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	o := ReadObject(b, start)
	for o.Next() {
		key, err := d.Token()
		if err != nil {
			t.Fatalf("ReadObject(%q): got key %q, want none: %v", b, o.Key, err)
		}
		if got := Unescape(nil, o.Key); utf8.Valid(got) && string(got) != key {
			t.Fatalf("ReadObject(%q): got key %q, want %q", b, got, key)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(o.Value, value) {
			t.Fatalf("ReadObject(%q): got value %q, want %q", b, o.Value, value)
		}
	}
	if d.More() {
		t.Fatalf("ReadObject(%q): got no more members, want one", b)
	}
	if end := o.End(); end < 0 || Space(b, end) != len(b) {
		t.Fatalf("ReadObject(%q): got end %d, want %d", b, end, len(b))
	}
}

func TestValuesReadAsTheStandardLibraryReadsThem(t *testing.T) {
	for _, v := range values {
		checkAgainstStandardLibrary(t, []byte(v))
	}
}

func FuzzValue(f *testing.F) {
	for _, v := range values {
		f.Add([]byte(v))
	}
	f.Fuzz(checkAgainstStandardLibrary)
}

func TestObjectThatIsCutShortHasNoEnd(t *testing.T) {
	whole := `{ "a" : {"b":[1,2]} , "c\"" : "x\\" }`
	for n := range len(whole) {
		o := ReadObject([]byte(whole[:n]), 0)
		for o.Next() {
			continue
		}
		if o.End() >= 0 {
			t.Errorf("%q: got end %d, want -1", whole[:n], o.End())
		}
	}
}

func TestWhatNestsTooDeepSaysSo(t *testing.T) {
	deep := strings.Repeat(`{"a":[`, MaxDepth) + strings.Repeat(`]}`, MaxDepth)
	if got := Skip([]byte(deep), 0); got != TooDeep {
		t.Errorf("Skip: got %d, want %d", got, TooDeep)
	}
	o := ReadObject([]byte(`{"x":`+deep+`}`), 0)
	if o.Next() || o.End() != TooDeep {
		t.Errorf("ReadObject: got end %d, want %d", o.End(), TooDeep)
	}
}

func checkAppendString(t *testing.T, text []byte) {
	t.Helper()
	got := AppendString([]byte("before"), text)[6:]
	var back string
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatalf("AppendString(%q): got %q: %v", text, got, err)
	}
	// One U+FFFD for each bad byte, as encoding/json has it.
	want, _ := json.Marshal(string(text))
	var wantText string
	if err := json.Unmarshal(want, &wantText); err != nil {
		t.Fatal(err)
	}
	if back != wantText {
		t.Fatalf("AppendString(%q): got %q, want %q", text, back, wantText)
	}
	if bytes.ContainsFunc(got, func(r rune) bool { return r < ' ' }) || !utf8.Valid(got) {
		t.Fatalf("AppendString(%q): got %q, want no control characters and valid UTF-8", text, got)
	}
	if inside, ok := Inside(got); !ok || !slices.Equal(Unescape(nil, inside), []byte(wantText)) {
		t.Fatalf("Unescape(%q): got %q, want %q", inside, Unescape(nil, inside), wantText)
	}
}

func TestStringsComeBack(t *testing.T) {
	for _, s := range []string{"", "plain", `"quoted" \ and more text`, "line\nbreak\ttab\r\x00\x1f", "é\u2028😀", "\xff\xfe", "12345678\xe2\x82", strings.Repeat(`a\"`, 50)} {
		checkAppendString(t, []byte(s))
	}
}

func FuzzAppendString(f *testing.F) {
	f.Add([]byte("é \xff \"\\ \n 12345678"))
	f.Fuzz(checkAppendString)
}

// benchmarkMessage is a message as CloudTrail's are: a quote at every tenth byte.
func benchmarkMessage() []byte {
	line := strings.Repeat(`{"eventSource":"ssm.amazonaws.com","eventName":"SendCommand","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.9"},`, 10)
	return AppendString(nil, []byte(line))
}

func BenchmarkString(b *testing.B) {
	s := benchmarkMessage()
	b.ReportAllocs()
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		if end, _ := String(s, 0); end != len(s) {
			b.Fatal(end)
		}
	}
}

func BenchmarkUnescape(b *testing.B) {
	s := benchmarkMessage()
	var dst []byte
	b.ReportAllocs()
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		dst = Unescape(dst[:0], s[1:len(s)-1])
	}
}

func BenchmarkUnquote(b *testing.B) {
	s := benchmarkMessage()
	var dst []byte
	b.ReportAllocs()
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		dst, _, _, _ = Unquote(dst[:0], s, 0)
	}
}

func BenchmarkAppendString(b *testing.B) {
	text := Unescape(nil, benchmarkMessage())
	var dst []byte
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		dst = AppendString(dst[:0], text)
	}
}
