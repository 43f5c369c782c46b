package format

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkFirstFit holds the short cut of firstFit against trying every candidate.
func checkFirstFit(t *testing.T, candidates []compiledMessage, message []byte) {
	t.Helper()
	var got, want values
	i := slices.IndexFunc(candidates, func(c compiledMessage) bool { return c.match(message, &want) == matched })
	m := firstFit(candidates, message, &got)
	if i < 0 {
		if m != nil {
			t.Fatalf("%q: got template %+v, want none", message, m)
		}
		return
	}
	if diff := cmp.Diff(want, got); m != &candidates[i] || diff != "" {
		t.Fatalf("%q: got template %+v, want %+v (-want +got):\n%s", message, m, candidates[i], diff)
	}
}

// TestNoTemplateThatFitsIsSteppedOver makes messages of all templates, and of the
// parts of two.
func TestNoTemplateThatFitsIsSteppedOver(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	fillings := []string{"root", "1.2.3.4", "22", "", "a b", "x from 9.9.9.9 port 1 ssh2", "a: b", "<invalid", "invalid user y", "port 5"}
	tricky := compileMessages([]sshdMessage{{"tricky", login(""), []string{
		`X {word}`, `X {word} {number}`, `X {word}y`, `X {word}z`, `X {word}y{tail}`, `X {until}a`, `X {until}b`,
		`X {user} 1`, `X {user} 1 {rest}`, `X {number}`, `X {number}{tail}`, `X {number}a`,
	}}})
	for _, candidates := range append(slices.Clone(sshdCatalogue[:]), tricky['X']) {
		for range 50 * len(candidates) {
			parts := candidates[random.IntN(len(candidates))].parts
			other := candidates[random.IntN(len(candidates))].parts
			cut := random.IntN(len(parts) + 1)
			var message []byte
			for _, p := range slices.Concat(parts[:cut], other[min(cut, len(other)):]) {
				if p.takes == takesLiteral {
					message = append(message, p.literal...)
				} else {
					message = append(message, fillings[random.IntN(len(fillings))]...)
				}
			}
			if random.IntN(4) == 0 {
				message = append(message, ": more"...)
			}
			checkFirstFit(t, candidates, message)
		}
	}
}

func FuzzFindMessage(f *testing.F) {
	f.Add([]byte("Failed password for invalid user a from 1.2.3.4 port 5 ssh2"))
	f.Add([]byte("Connection closed by authenticating user root 1.2.3.4 port 5"))
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) > 0 {
			checkFirstFit(t, sshdCatalogue[message[0]], message)
		}
	})
}
