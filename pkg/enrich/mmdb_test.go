package enrich

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// writeDatabase writes a file in MaxMind's format (maxmind.github.io/MaxMind-DB)
// that has one record, for one IPv4 network.
func writeDatabase(t *testing.T, path, network string, record map[string]any, modified time.Time) {
	t.Helper()
	prefix := netip.MustParsePrefix(network)
	octets := prefix.Addr().As4()
	nodes := uint32(prefix.Bits())
	var file []byte
	for i := range nodes {
		next := i + 1
		if next == nodes {
			next = nodes + 16 // the first byte of the data
		}
		children := [2]uint32{nodes, nodes} // nothing
		children[octets[i/8]>>(7-i%8)&1] = next
		for _, child := range children {
			file = append(file, byte(child>>16), byte(child>>8), byte(child))
		}
	}
	file = append(file, make([]byte, 16)...)
	file = appendValue(file, record)
	file = append(file, "\xab\xcd\xefMaxMind.com"...)
	file = appendValue(file, map[string]any{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0),
		"build_epoch": uint64(1_700_000_000), "database_type": "test", "description": map[string]any{},
		"ip_version": uint16(4), "languages": []any{}, "node_count": nodes, "record_size": uint16(24),
	})
	temporary := path + ".new"
	if err := os.WriteFile(temporary, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(temporary, modified, modified); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temporary, path); err != nil {
		t.Fatal(err)
	}
}

// appendValue writes the types that the tests need; all are shorter than 29 bytes
// or members.
func appendValue(dst []byte, value any) []byte {
	extended := func(kind byte, payload []byte) []byte {
		return append(append(dst, byte(len(payload)), kind-7), payload...)
	}
	switch v := value.(type) {
	case map[string]any:
		dst = append(dst, 7<<5|byte(len(v)))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			dst = appendValue(appendValue(dst, key), v[key])
		}
		return dst
	case []any:
		dst = append(dst, byte(len(v)), 11-7)
		for _, element := range v {
			dst = appendValue(dst, element)
		}
		return dst
	case string:
		return append(append(dst, 2<<5|byte(len(v))), v...)
	case float64:
		return binary.BigEndian.AppendUint64(append(dst, 3<<5|8), math.Float64bits(v))
	case uint16:
		return append(dst, 5<<5|2, byte(v>>8), byte(v))
	case uint32:
		return binary.BigEndian.AppendUint32(append(dst, 6<<5|4), v)
	case uint64:
		return extended(9, binary.BigEndian.AppendUint64(nil, v))
	}
	panic(fmt.Sprintf("no encoding for %T", value))
}

func databasePath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "city.mmdb")
}
