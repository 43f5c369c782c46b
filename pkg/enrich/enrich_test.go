package enrich

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
)

func newEnricher(t testing.TB, config Config) *Enricher {
	t.Helper()
	e, err := New(config, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// members returns what the databases know of an address.
func members(t testing.TB, l *Lookup, text string) string {
	t.Helper()
	a := l.Address([]byte(text))
	if a == nil {
		t.Fatalf("%s: got no address", text)
	}
	known, ok := strings.CutPrefix(a.Members, fmt.Sprintf(`"address":%q,"ip":%[1]q,"scope":%[2]q,`, a.Text, a.Scope))
	if !ok {
		t.Fatalf("%s: got members %s, want the address, its ip and its scope first", text, a.Members)
	}
	return known
}

func TestBothLayoutsGiveTheSameGeo(t *testing.T) {
	nested := map[string]any{
		"continent":    map[string]any{"code": "EU"},
		"country":      map[string]any{"iso_code": "SE", "names": map[string]any{"en": "Sweden"}},
		"subdivisions": []any{map[string]any{"iso_code": "E", "names": map[string]any{"en": "Ostergotland"}}},
		"city":         map[string]any{"names": map[string]any{"en": "Link\u00f6ping \"x\""}},
		"location":     map[string]any{"latitude": 58.4167, "longitude": 15.6167},
	}
	flat := map[string]any{"country_code": "SE", "state1": "Ostergotland", "city": "Link\u00f6ping", "latitude": 58.4167, "longitude": 15.6167}
	for _, test := range []struct {
		name   string
		record map[string]any
		want   string
	}{
		{"nested", nested, `"geo":{"continent_code":"EU","country_iso_code":"SE","country_name":"Sweden","region_iso_code":"SE-E","region_name":"Ostergotland","city_name":"Linköping \"x\"","location":{"lat":58.4167,"lon":15.6167}},`},
		{"flat", flat, `"geo":{"country_iso_code":"SE","region_name":"Ostergotland","city_name":"Linköping","location":{"lat":58.4167,"lon":15.6167}},`},
		{"country only", map[string]any{"country_code": "SE"}, `"geo":{"country_iso_code":"SE"},`},
		{"off the globe", map[string]any{"latitude": 91.0, "longitude": 15.0}, `"geo":{},`},
		{"other kinds", map[string]any{"city": uint16(5), "country": "SE", "location": []any{}, "latitude": "58"}, ``},
	} {
		path := databasePath(t)
		writeDatabase(t, path, "89.160.0.0/16", test.record, time.Unix(1, 0))
		l := newEnricher(t, Config{City: path}).Lookup()
		if got := members(t, l, "89.160.20.156"); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
		if got := members(t, l, "89.161.20.156"); got != "" {
			t.Errorf("%s: got %s for an unknown address, want nothing", test.name, got)
		}
	}
}

func TestPrivateAddressesAreNotLookedUp(t *testing.T) {
	path := databasePath(t)
	writeDatabase(t, path, "10.0.0.0/8", map[string]any{"country_code": "SE"}, time.Unix(1, 0))
	l := newEnricher(t, Config{City: path}).Lookup()
	if got := members(t, l, "10.1.2.3"); got != "" {
		t.Errorf("got %s, want nothing", got)
	}
}

func TestReloadKeepsTheOldDatabaseWhenTheNewOneIsBroken(t *testing.T) {
	path := databasePath(t)
	writeDatabase(t, path, "89.0.0.0/8", map[string]any{"country_code": "SE"}, time.Unix(1, 0))
	e := newEnricher(t, Config{City: path})
	l := e.Lookup()
	check := func(when, want string) {
		t.Helper()
		if got := members(t, l, "89.1.1.1"); got != want {
			t.Errorf("%s: got %s, want %s", when, got, want)
		}
	}
	const first, second = `"geo":{"country_iso_code":"SE"},`, `"geo":{"country_iso_code":"NO"},`
	check("at start", first)

	if err := os.WriteFile(path, []byte("half a datab"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.Reload(); err == nil || !strings.Contains(err.Error(), "geo.city") {
		t.Errorf("got %v, want an error that names geo.city", err)
	}
	if got := testutil.ToFloat64(e.metrics.reloadErrors.WithLabelValues("city")); got != 1 {
		t.Errorf("got %v errors counted, want 1", got)
	}
	check("after a broken file", first)
	if err := e.Reload(); err != nil {
		t.Errorf("the same broken file was read again: %v", err)
	}

	writeDatabase(t, path, "89.0.0.0/8", map[string]any{"country_code": "NO"}, time.Unix(2, 0))
	if err := e.Reload(); err != nil {
		t.Error(err)
	}
	check("after a good file", second)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := e.Reload(); err == nil {
		t.Error("got no error for a file that is gone")
	}
	check("without a file", second)
}

func TestRunLoadsAChangedDatabaseWithinAMinute(t *testing.T) {
	path := databasePath(t)
	writeDatabase(t, path, "89.0.0.0/8", map[string]any{"country_code": "SE"}, time.Unix(1, 0))
	synctest.Test(t, func(t *testing.T) {
		e := newEnricher(t, Config{City: path})
		l := e.Lookup()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := e.Run(ctx); err != nil {
				t.Errorf("run: %v", err)
			}
		})
		writeDatabase(t, path, "89.0.0.0/8", map[string]any{"country_code": "NO"}, time.Unix(2, 0))
		before := members(t, l, "89.1.1.1")
		<-time.After(reloadInterval)
		synctest.Wait()
		after := members(t, l, "89.1.1.1")
		if !strings.Contains(before, "SE") || !strings.Contains(after, "NO") {
			t.Errorf("got %s and then %s, want SE and then NO", before, after)
		}
		cancel()
		wg.Wait()
	})
}

func TestWorkersLookUpWhileDatabasesChange(t *testing.T) {
	path := databasePath(t)
	writeDatabase(t, path, "89.0.0.0/8", map[string]any{"country_code": "SE"}, time.Unix(0, 0))
	e := newEnricher(t, Config{City: path})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			l := e.Lookup()
			for i := range 2000 {
				if got := members(t, l, fmt.Sprintf("89.0.%d.%d", i%200, i%7)); got != `"geo":{"country_iso_code":"SE"},` {
					t.Errorf("got %s", got)
					return
				}
				l.UserAgent(fmt.Appendf(nil, "agent %d", i%20))
			}
		})
	}
	for i := range 50 {
		writeDatabase(t, path, "89.0.0.0/8", map[string]any{"country_code": "SE"}, time.Unix(int64(i+1), 0))
		if err := e.Reload(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func TestNewRefusesAFileThatIsNoDatabase(t *testing.T) {
	path := databasePath(t)
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{ASN: path}, zap.NewNop(), prometheus.NewRegistry()); err == nil || !strings.Contains(err.Error(), "geo.asn") {
		t.Errorf("got %v, want an error that names geo.asn", err)
	}
}

func TestValidateNamesTheKeys(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("default: %v", err)
	}
	directory := t.TempDir()
	err := Config{City: directory, ASN: filepath.Join(directory, "none")}.Validate()
	for _, key := range []string{"geo.city", "geo.asn"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("got %v, want %s named", err, key)
		}
	}
}

// maxMind returns a Lookup on MaxMind's test databases.
func maxMind(t testing.TB) *Lookup {
	t.Helper()
	root := os.Getenv("SHIPPERD_CORPORA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "corpora")
	}
	config := Config{
		City: filepath.Join(root, "maxmind-db-test", "GeoLite2-City-Test.mmdb"),
		ASN:  filepath.Join(root, "maxmind-db-test", "GeoLite2-ASN-Test.mmdb"),
	}
	if err := config.Validate(); err != nil {
		t.Skipf("the corpus is not here, so nothing was tested: %v; set SHIPPERD_CORPORA", err)
	}
	return newEnricher(t, config).Lookup()
}

func TestMaxMindTestAddressesAreExact(t *testing.T) {
	l := maxMind(t)
	for address, want := range map[string]string{
		"89.160.20.156": `"geo":{"continent_code":"EU","country_iso_code":"SE","country_name":"Sweden","region_iso_code":"SE-E","region_name":"Östergötland County","city_name":"Linköping","location":{"lat":58.4167,"lon":15.6167}},"as":{"number":29518,"organization":{"name":"Bredband2 AB"}},`,
		"2a02:cf40::":   `"geo":{"continent_code":"EU","country_iso_code":"NO","country_name":"Norway","location":{"lat":62,"lon":10}},`,
		"1.128.0.0":     `"as":{"number":1221,"organization":{"name":"Telstra Pty Ltd"}},`,
		"10.0.0.1":      "",
	} {
		if got := members(t, l, address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

func BenchmarkAddressHit(b *testing.B) {
	l := newEnricher(b, Config{}).Lookup()
	texts := [][]byte{[]byte("203.0.113.9"), []byte("2001:db8::1")}
	b.ReportAllocs()
	for b.Loop() {
		for _, text := range texts {
			l.Address(text)
		}
	}
}

func BenchmarkAddressMiss(b *testing.B) {
	l := maxMind(b)
	text := []byte("89.160.20.156")
	b.ReportAllocs()
	for b.Loop() {
		l.addresses.clear()
		l.Address(text)
	}
}
