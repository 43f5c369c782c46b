package enrich

import (
	"fmt"
	"math"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// databases is one state of what is loaded. It is never changed.
type databases struct{ city, asn database }

// database is a database in MaxMind's format, in its own nested layout
// (GeoIP2, GeoLite2) or in the flat one of ip-location-db; or nothing.
type database struct{ reader *maxminddb.Reader }

// file is a configured database's file as it was last looked at.
type file struct {
	key, path string
	size      int64
	modified  time.Time
}

// load reads the file if it has changed, and returns nil if not. It is read into
// memory and not mapped: when somebody writes over a mapped file instead of
// renaming a new one onto it, the process dies.
func (f *file) load() (*maxminddb.Reader, error) {
	if f.path == "" {
		return nil, nil
	}
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	if info.Size() == f.size && info.ModTime().Equal(f.modified) {
		return nil, nil
	}
	f.size, f.modified = info.Size(), info.ModTime()
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return reader, nil
}

// entry is the record of one address.
type entry struct{ maxminddb.Result }

func (d database) lookup(addr netip.Addr) (entry, bool) {
	if d.reader == nil {
		return entry{}, false
	}
	r := d.reader.Lookup(addr)
	return entry{r}, r.Found()
}

// text returns the string at the first path that leads to one. A record that is
// damaged or of another shape has none.
func (e entry) text(paths ...[]any) string {
	for _, path := range paths {
		var s string
		if e.DecodePath(&s, path...) == nil && s != "" {
			return s
		}
	}
	return ""
}

// number returns the number at the first path that leads to one, else NaN.
func (e entry) number(paths ...[]any) float64 {
	for _, path := range paths {
		n := math.NaN()
		if e.DecodePath(&n, path...) == nil && !math.IsNaN(n) {
			return n
		}
	}
	return math.NaN()
}

func path(elem ...any) []any { return elem }

// appendMembers appends `"geo":{…},"as":{…},` for a public address, as far as the
// databases know it.
func (d *databases) appendMembers(dst []byte, addr netip.Addr) []byte {
	if e, ok := d.city.lookup(addr); ok {
		dst = closeObject(e.appendGeo(append(dst, `"geo":{`...)))
	}
	if e, ok := d.asn.lookup(addr); ok {
		dst = closeObject(e.appendAS(append(dst, `"as":{`...)))
	}
	return dst
}

// closeObject replaces the comma after the last member. An empty object stays one.
func closeObject(dst []byte) []byte {
	if last := len(dst) - 1; dst[last] == ',' {
		dst = dst[:last]
	}
	return append(dst, "},"...)
}

func (e entry) appendGeo(dst []byte) []byte {
	country := e.text(path("country", "iso_code"), path("country_code"))
	region := e.text(path("subdivisions", 0, "iso_code"))
	if region != "" && country != "" {
		region = country + "-" + region // as ISO 3166-2 and ECS have it
	}
	dst = appendText(dst, "continent_code", e.text(path("continent", "code")))
	dst = appendText(dst, "country_iso_code", country)
	dst = appendText(dst, "country_name", e.text(path("country", "names", "en")))
	dst = appendText(dst, "region_iso_code", region)
	dst = appendText(dst, "region_name", e.text(path("subdivisions", 0, "names", "en"), path("state1")))
	dst = appendText(dst, "city_name", e.text(path("city", "names", "en"), path("city")))
	lat := e.number(path("location", "latitude"), path("latitude"))
	lon := e.number(path("location", "longitude"), path("longitude"))
	// An index refuses a geo_point off the globe. No comparison is true of NaN.
	if math.Abs(lat) <= 90 && math.Abs(lon) <= 180 {
		dst = append(dst, `"location":{"lat":`...)
		dst = strconv.AppendFloat(dst, lat, 'f', -1, 64)
		dst = append(dst, `,"lon":`...)
		dst = strconv.AppendFloat(dst, lon, 'f', -1, 64)
		dst = append(dst, "},"...)
	}
	return dst
}

func (e entry) appendAS(dst []byte) []byte {
	var number uint32
	if e.DecodePath(&number, "autonomous_system_number") == nil && number > 0 {
		dst = append(dst, `"number":`...)
		dst = strconv.AppendUint(dst, uint64(number), 10)
		dst = append(dst, ',')
	}
	if name := e.text(path("autonomous_system_organization")); name != "" {
		dst = closeObject(appendText(append(dst, `"organization":{`...), "name", name))
	}
	return dst
}

// appendText appends a member, unless it is empty.
func appendText(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	dst = append(dst, `":`...)
	return append(jsonraw.AppendString(dst, []byte(value)), ',')
}
