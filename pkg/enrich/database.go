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

// place is what a record says of where an address is. nil coordinates are unknown.
type place struct {
	continent, countryCode, country, regionCode, region, city string
	latitude, longitude                                       *float64
}

type names struct {
	EN string `maxminddb:"en"`
}

// nestedPlace is a record of GeoIP2 and GeoLite2.
type nestedPlace struct {
	Continent struct {
		Code string `maxminddb:"code"`
	} `maxminddb:"continent"`
	Country struct {
		ISOCode string `maxminddb:"iso_code"`
		Names   names  `maxminddb:"names"`
	} `maxminddb:"country"`
	Subdivisions []struct {
		ISOCode string `maxminddb:"iso_code"`
		Names   names  `maxminddb:"names"`
	} `maxminddb:"subdivisions"`
	City struct {
		Names names `maxminddb:"names"`
	} `maxminddb:"city"`
	Location struct {
		Latitude  *float64 `maxminddb:"latitude"`
		Longitude *float64 `maxminddb:"longitude"`
	} `maxminddb:"location"`
}

// flatPlace is a record of ip-location-db.
type flatPlace struct {
	CountryCode string   `maxminddb:"country_code"`
	State1      string   `maxminddb:"state1"`
	City        string   `maxminddb:"city"`
	Latitude    *float64 `maxminddb:"latitude"`
	Longitude   *float64 `maxminddb:"longitude"`
}

// place reads the record of addr. A damaged one, or one of another layout, tells
// nothing.
func (d database) place(addr netip.Addr) place {
	if d.reader == nil {
		return place{}
	}
	result := d.reader.Lookup(addr)
	var flat flatPlace
	if err := result.Decode(&flat); err == nil && flat != (flatPlace{}) {
		return place{
			countryCode: flat.CountryCode, region: flat.State1, city: flat.City,
			latitude: flat.Latitude, longitude: flat.Longitude,
		}
	}
	var nested nestedPlace
	if err := result.Decode(&nested); err != nil {
		return place{}
	}
	p := place{
		continent: nested.Continent.Code, countryCode: nested.Country.ISOCode, country: nested.Country.Names.EN,
		city: nested.City.Names.EN, latitude: nested.Location.Latitude, longitude: nested.Location.Longitude,
	}
	if len(nested.Subdivisions) > 0 {
		p.regionCode, p.region = nested.Subdivisions[0].ISOCode, nested.Subdivisions[0].Names.EN
	}
	return p
}

// network is an autonomous system; both layouts call its fields the same.
type network struct {
	Number       uint32 `maxminddb:"autonomous_system_number"`
	Organization string `maxminddb:"autonomous_system_organization"`
}

func (d database) network(addr netip.Addr) (n network) {
	if d.reader == nil || d.reader.Lookup(addr).Decode(&n) != nil {
		return network{}
	}
	return n
}

// appendMembers appends `"geo":{…},"as":{…},` for a public address, as far as the
// databases know it.
func (d *databases) appendMembers(dst []byte, addr netip.Addr) []byte {
	if p := d.city.place(addr); p != (place{}) {
		dst = p.appendTo(dst)
	}
	if n := d.asn.network(addr); n.Number > 0 {
		dst = n.appendTo(dst)
	}
	return dst
}

func (p *place) appendTo(dst []byte) []byte {
	dst = append(dst, `"geo":{`...)
	dst = appendText(dst, "continent_code", p.continent)
	dst = appendText(dst, "country_iso_code", p.countryCode)
	dst = appendText(dst, "country_name", p.country)
	if p.countryCode != "" && p.regionCode != "" {
		dst = appendText(dst, "region_iso_code", p.countryCode+"-"+p.regionCode) // ISO 3166-2
	}
	dst = appendText(dst, "region_name", p.region)
	dst = appendText(dst, "city_name", p.city)
	// An index refuses a geo_point off the globe. No comparison is true of NaN.
	if p.latitude != nil && p.longitude != nil && math.Abs(*p.latitude) <= 90 && math.Abs(*p.longitude) <= 180 {
		dst = append(dst, `"location":{"lat":`...)
		dst = strconv.AppendFloat(dst, *p.latitude, 'f', -1, 64)
		dst = append(dst, `,"lon":`...)
		dst = strconv.AppendFloat(dst, *p.longitude, 'f', -1, 64)
		dst = append(dst, "},"...)
	}
	return closeObject(dst)
}

func (n network) appendTo(dst []byte) []byte {
	dst = append(dst, `"as":{"number":`...)
	dst = strconv.AppendUint(dst, uint64(n.Number), 10)
	dst = append(dst, ',')
	if n.Organization != "" {
		dst = closeObject(appendText(append(dst, `"organization":{`...), "name", n.Organization))
	}
	return closeObject(dst)
}

// closeObject replaces the comma after the last member. An empty object stays one.
func closeObject(dst []byte) []byte {
	if last := len(dst) - 1; dst[last] == ',' {
		dst = dst[:last]
	}
	return append(dst, "},"...)
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
