package enrich

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestAddressesAreReadAsNetipReadsThem(t *testing.T) {
	for text, want := range map[string]string{
		"1.2.3.4": "1.2.3.4", "255.255.255.255": "255.255.255.255", "0.0.0.0": "0.0.0.0",
		"::1": "::1", "2001:DB8::1": "2001:db8::1", "::ffff:1.2.3.4": "1.2.3.4", "fe80::1%eth0": "fe80::1",
		"192.030.0.6": "", "256.1.1.1": "", "1.2.3": "", "1.2.3.4.5": "", "1.2.3.4 ": "", "1..2.3": "", "": "", "-": "",
		"example.com": "", "host:80": "", "1.2.3.4:80": "", ":": "", ":::": "", strings.Repeat("1:", 99): "",
	} {
		got := ""
		if addr, ok := ParseAddr([]byte(text)); ok {
			got = addr.String()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "::1", "::ffff:1.2.3.4", "fe80::1%eth0", "1.2.3.04", "999.1.1.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := netip.ParseAddr(s)
		got, ok := ParseAddr([]byte(s))
		if ok != (err == nil && len(s) <= maxAddress) || ok && got != want.WithZone("").Unmap() {
			t.Errorf("%q: got %v and %v, want %v and %v", s, got, ok, want, err)
		}
	})
}

func TestScopesAndDirections(t *testing.T) {
	scopes := map[string]Scope{
		"8.8.8.8": Public, "2a02:cf40::": Public, "10.0.0.1": Private, "172.31.0.1": Private, "fd00::1": Private,
		"100.64.0.1": Shared, "100.128.0.1": Public, "127.0.0.1": Loopback, "::1": Loopback,
		"169.254.169.254": LinkLocal, "fe80::1": LinkLocal, "224.0.0.1": Multicast, "0.0.0.0": Unspecified, "::": Unspecified,
	}
	for text, want := range scopes {
		if got := ScopeOf(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	for _, test := range []struct {
		source, destination Scope
		want                string
	}{
		{Private, LinkLocal, "internal"}, {Private, Public, "outbound"}, {Public, Shared, "inbound"}, {Public, Public, "external"},
	} {
		if got := Direction(test.source, test.destination); got != test.want {
			t.Errorf("%s to %s: got %s, want %s", test.source, test.destination, got, test.want)
		}
	}
}

// The values are those of the specification's own baseline.
func TestCommunityIDIsThatOfTheSpecification(t *testing.T) {
	for _, test := range []struct {
		source, destination         string
		sourcePort, destinationPort uint16
		protocol                    uint8
		want                        string
	}{
		{"128.232.110.120", "66.35.250.204", 34855, 80, 6, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"192.168.1.52", "8.8.8.8", 54585, 53, 17, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
	} {
		flow := Flow{netip.MustParseAddr(test.source), netip.MustParseAddr(test.destination), test.sourcePort, test.destinationPort, test.protocol}
		back := Flow{flow.Destination, flow.Source, flow.DestinationPort, flow.SourcePort, flow.Protocol}
		for _, f := range []Flow{flow, back} {
			if got := string(f.AppendCommunityID(nil)); got != test.want {
				t.Errorf("%v: got %s, want %s", f, got, test.want)
			}
		}
	}
	one, other := netip.MustParseAddr("1.2.3.4"), netip.MustParseAddr("::1")
	there, back := Flow{one, one, 5, 80, 6}, Flow{one, one, 80, 5, 6}
	if got, want := string(there.AppendCommunityID(nil)), string(back.AppendCommunityID(nil)); got != want {
		t.Errorf("between the ports of one host: got %s and %s, want the same", got, want)
	}
	for _, f := range []Flow{{one, other, 1, 1, 6}, {one, one, 0, 0, 1}, {other, other, 0, 0, 58}, {}} {
		if f.HasCommunityID() {
			t.Errorf("%v: got an id, want none", f)
		}
	}
}

func TestCacheIsBoundedAndKeepsWhatIsUsed(t *testing.T) {
	c := newCache[int](100)
	for i := range 10_000 {
		c.put(fmt.Appendf(nil, "%d", i), i)
		if n := len(c.young) + len(c.old); n > 100 {
			t.Fatalf("got %d entries after %d, want at most 100", n, i)
		}
		if _, ok := c.get([]byte("0")); !ok {
			t.Fatalf("what is asked for all the time was forgotten after %d", i)
		}
	}
}

func TestHitsAllocateNothing(t *testing.T) {
	l := newEnricher(t, Config{}).Lookup()
	addresses, agent := [][]byte{[]byte("203.0.113.9"), []byte("2001:db8::1")}, []byte("Mozilla/5.0")
	allocs := testing.AllocsPerRun(100, func() {
		for _, text := range addresses {
			l.Address(text)
		}
		l.UserAgent(agent)
	})
	if allocs != 0 {
		t.Errorf("got %v allocations, want 0", allocs)
	}
}

// The values are those of Elastic's user agent processor.
func TestUserAgentsAreThoseOfElastic(t *testing.T) {
	l := newEnricher(t, Config{}).Lookup()
	for text, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 6.1; rv:15.0) Gecko/20120716 Firefox/15.0a2": `"name":"Firefox Alpha","version":"15.0.a2","os":{"name":"Windows","version":"7","full":"Windows 7"},`,
		"aws-cli/2.15.30 Python/3.11.8 Linux/5.10":                            `"name":"aws-cli","version":"2.15.30","os":{"name":"Linux","version":"5.10","full":"Linux 5.10"},`,
		"":                       "",
		"\xff\"":                 `"name":"Other",`,
		strings.Repeat("x", 513): "",
	} {
		if got := l.UserAgent([]byte(text)); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// TestThreat18UserAgentsAreRationed sends strings that nobody has seen before.
func TestThreat18UserAgentsAreRationed(t *testing.T) {
	e := newEnricher(t, Config{})
	l := e.Lookup()
	l.credit = 3 * parseCost
	parsed := 0
	for i := range 1000 {
		if l.UserAgent(fmt.Appendf(nil, "curl/%d", i)) != "" {
			parsed++
		}
	}
	// Three at once, and 10 of the 1,000 units that the look-ups earned.
	if parsed != 13 {
		t.Errorf("got %d parsed, want 13", parsed)
	}
	if got := testutil.ToFloat64(e.metrics.unparsed); got != 987 {
		t.Errorf("got %v counted as unparsed, want 987", got)
	}
	if l.UserAgent([]byte("curl/0")) == "" {
		t.Error("what was parsed before is not answered from the cache")
	}
}
