package jsonraw

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var values = []string{
	`{}`, `[]`, `""`, `0`, `-0`, `-`, `01`, `1.`, `1.5e+3`, `1e`, `1E-2`, `true`, `tru`, `nul`, `null`, `nullx`,
	`{"a":1}`, `{"a":"x","c":{"c":"x","a":"y"},"c": "x","12345678":"y" ,"a":"z\n"}`, `{"a":{"a":"y"},"c":{},"12345678":["y"],"a":"z"}`,
	`{"c":"x", "a":"y" ,"12345678":"z" }`, `{"a":"x",}`, `{"a":"x","a":"x",1:2}`, `{"c":"x","a":"y"]`, `{"a":1,}`, `{"a" : [ 1 , {"b":null} ] }`, `{a:1}`, `{"a"}`, `{"a":}`, `[1,]`, `[,1]`, `[1 2]`, `{"a":1 "b":2}`,
	`"\u00e9"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud83dx\ude00"`, `"\ud800\ud0 0"`, `"\ud83d\n\ude00"`, `"\ud83d\u"`, `"\u12g4"`, `"\x"`, `"\`, `"`, "\"\x01\"", "\"\x7f\"", "\"\xff\"",
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
		if text, _, end, _ := unquote(b); text != nil && (end < 0 || !json.Valid(b[:end])) {
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

func unquote(b []byte) (text []byte, marks []uint32, end int, esc Escapes) {
	var u Unquoter
	u.Reset(0)
	return u.Unquote(b, 0)
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
	unquoted, marks, unquotedEnd, unquotedEsc := unquote(b)
	if !bytes.Equal(unquoted, got[6:]) || unquotedEnd != end || unquotedEsc != esc {
		t.Fatalf("Unquote(%q): got %q, %d, %d; want %q, %d, %d", b, unquoted, unquotedEnd, unquotedEsc, got[6:], end, esc)
	}
	for i, c := range unquoted {
		if (c == '"' || c == '\\' || c < ' ') && !slices.Contains(marks, uint32(i)) {
			t.Fatalf("Unquote(%q): got marks %v, want %d among them", b, marks, i)
		}
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
	checkTree(t, b, start, o.End())
}

// checkTree holds a Tree of the valid object at b[start] against ReadObject, with the
// marks of the text and without.
func checkTree(t *testing.T, b []byte, start, end int) {
	t.Helper()
	names := NewNames("a", "longer name than 16", "c", "12345678")
	tree := Tree{Members: []Member{}}
	if got := tree.Read(b, start, nil, names); got != end {
		t.Fatalf("Tree.Read(%q): got end %d, want %d", b, got, end)
	}
	unique := checkMembers(t, b, b[start:end], tree.Members, names)
	if tree.Unique != unique {
		t.Fatalf("%q: got unique %v, want %v", b, tree.Unique, unique)
	}
	if !utf8.Valid(b) {
		return
	}
	text, marks, _, _ := unquote(AppendString(nil, b))
	var marked Tree
	other, otherMarks, _, _ := unquote(AppendString(nil, []byte(`{"a":{"c":"x","a":"y"},"c":"x","12345678":"y","a":"z"}`)))
	marked.Read(other, 0, otherMarks, names)
	for range 2 { // with the order of other names in mind, and with that of its own
		end := marked.Read(text, start, marks, names)
		if diff := cmp.Diff(tree.Members, marked.Members, cmp.AllowUnexported(Member{}, shape{})); diff != "" || end < 0 || marked.Unique != tree.Unique {
			t.Fatalf("%q (-without marks +with marks):\n%s", b, diff)
		}
	}
}

// checkMembers holds the members of one level, and those within them, against ReadObject,
// and says whether each object has its names once.
func checkMembers(t *testing.T, text, object []byte, members []Member, names *Names) (unique bool) {
	t.Helper()
	unique = true
	seen := map[string]bool{}
	i := 0
	for o := ReadObject(object, 0); o.Next(); i += 1 + int(members[i].Inner) {
		m := &members[i]
		key, value := m.Key(text), m.Value(text)
		if !bytes.Equal(key, o.Key) || !bytes.Equal(value, o.Value) || m.First != value[0] || m.KeyEscapes != o.KeyEscapes || m.Escapes != o.ValueEscapes {
			t.Fatalf("%q: got member %q: %q, %+v, want %q: %q", text, key, value, m, o.Key, o.Value)
		}
		if got, want := text[m.Start:m.End], `"`+string(key)+`":`+string(value); m.Exact() && string(got) != want {
			t.Fatalf("%q: got %q for an exact member, want %q", text, got, want)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, value); err != nil || m.Exact() && !bytes.Equal(compact.Bytes(), value) {
			t.Fatalf("%q: got an exact value %q (%v), want %q", text, value, err, &compact)
		}
		if got, want := int(m.Height), nesting(value); got != want {
			t.Fatalf("%q: got height %d of %q, want %d", text, got, value, want)
		}
		if want := names.Find(key); m.Name != want && m.KeyEscapes == Plain {
			t.Fatalf("%q: got name %d of %q, want %d", text, m.Name, key, want)
		}
		unique = unique && !seen[string(key)] && m.KeyEscapes == Plain && m.Unique()
		seen[string(key)] = true
		if m.First == '{' && checkMembers(t, text, value, Within(members, i), names) != m.Unique() {
			t.Fatalf("%q: got unique %v of %q", text, m.Unique(), value)
		}
		if m.Simple() && (!m.Exact() || !m.Unique() || bytes.Contains(key, []byte(".")) || len(key) == 0 || len(key) > maxSimpleName) {
			t.Fatalf("%q: got a simple member %q", text, key)
		}
		for _, inner := range members[i+1:][:m.Inner] {
			if m.Exact() && !inner.Exact() || m.Unique() && !inner.Unique() || m.Simple() && !inner.Simple() {
				t.Fatalf("%q: got more of member %q than of %q inside it", text, key, inner.Key(text))
			}
		}
	}
	if i != len(members) {
		t.Fatalf("%q: got %d members, want %d", text, len(members), i)
	}
	return unique
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

func TestTreeKeepsWholeMembersOfWhatIsCutShort(t *testing.T) {
	var tree Tree
	text := []byte(`{"a":{"b":1},"c":{"d":2,"e":`)
	if end := tree.Read(text, 0, nil, nil); end >= 0 {
		t.Errorf("got end %d, want none", end)
	}
	var keys []string
	for _, m := range tree.Members {
		keys = append(keys, string(m.Key(text)))
	}
	if want := []string{"a", "b"}; !slices.Equal(keys, want) {
		t.Errorf("got members %v, want %v", keys, want)
	}
}

func TestTreeOfAFloodIsBounded(t *testing.T) {
	flood := []byte(`{"first":[` + strings.Repeat(`{"a":1},`, 2*maxMembers) + `1],"last":{"b":1}}`)
	var tree Tree
	if end := tree.Read(flood, 0, nil, nil); end != len(flood) {
		t.Fatalf("got end %d, want %d", end, len(flood))
	}
	last := tree.Members[len(tree.Members)-1]
	if len(tree.Members) > maxMembers+1 || string(last.Key(flood)) != "last" || last.Exact() || tree.Members[0].Exact() {
		t.Errorf("got %d members, the last %q, want at most %d, the last one of the first level, and none exact",
			len(tree.Members), last.Key(flood), maxMembers+1)
	}
}

func TestUniqueLooksWithinOneObject(t *testing.T) {
	for text, want := range map[string]bool{
		`{"a":1,"b":2}`:                                 true,
		`{"a":1,"b":{"a":2}}`:                           true,
		`{"a":[{"b":1},{"b":2}]}`:                       true,
		`{"a":1,"a":2}`:                                 false,
		`{"known":1,"b":2,"known":3}`:                   false,
		`{"x":{"a":1,"b":[{"c":1,"c":2}]}}`:             false,
		`{"a":{"b":1},"c":2,"a":3}`:                     false,
		`{"a":1,"\u0061":2}`:                            false,
		`{"abcdefgh1ijklmnop":1,"abcdefgh2ijklmnop":2}`: true, // one fingerprint
	} {
		var tree Tree
		tree.Read([]byte(`{"v":`+text+`}`), 0, nil, NewNames("known"))
		if got := tree.Members[0].Unique(); got != want || tree.Unique != want {
			t.Errorf("%s: got %v of the member and %v of the tree, want %v", text, got, tree.Unique, want)
		}
	}
}

func TestNamesAreKnownByAllTheirBytes(t *testing.T) {
	known := []string{"a", "1234567", "12345678", "123456789", "12345678x12345678", "requestParameters", "a"}
	names := NewNames(known...)
	for i, name := range known[:6] {
		if got := names.Find([]byte(name)); got != Name(i+1) {
			t.Errorf("%s: got number %d, want %d", name, got, i+1)
		}
	}
	for _, name := range []string{"", "b", "aa", "a\x00", "12345678y12345678", "1234567812345678", "x2345678", "1234567890"} {
		if got := names.Find([]byte(name)); got != 0 {
			t.Errorf("%q: got number %d, want none", name, got)
		}
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

func BenchmarkTree(b *testing.B) {
	text, marks, _, _ := unquote(AppendString(nil, []byte(`{"a":{"eventSource":"ssm.amazonaws.com","readOnly":true},"eventName":"SendCommand","awsRegion":"us-east-1","unknown":"203.0.113.9"}`)))
	names := NewNames("a", "eventSource", "eventName", "awsRegion", "readOnly")
	var tree Tree
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if end := tree.Read(text, 0, marks, names); end != len(text) {
			b.Fatal(end)
		}
	}
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
	var u Unquoter
	b.ReportAllocs()
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		u.Reset(1 << 20)
		u.Unquote(s, 0)
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
