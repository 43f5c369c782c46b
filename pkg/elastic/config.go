package elastic

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config is the section elasticsearch of the configuration.
type Config struct {
	Endpoints    []string      `yaml:"endpoints"`     // URLs; without a scheme https
	Timeout      time.Duration `yaml:"timeout"`       // of one request, reply included
	Gzip         string        `yaml:"gzip"`          // auto, on, off; auto is on for https
	MaxRequests  int           `yaml:"max_requests"`  // ceiling of the requests in flight
	BlockedAfter time.Duration `yaml:"blocked_after"` // until a blocked index's events, and those that are refused in every form, are dead letters
	Template     string        `yaml:"template"`      // ensure, check, off
	Auth         AuthConfig    `yaml:"auth"`
	TLS          TLSConfig     `yaml:"tls"`
}

// AuthConfig says who shipperd is to the cluster.
type AuthConfig struct {
	Type         string `yaml:"type"` // auto, none, basic, api_key, sigv4
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"` // read at start and again after a 401
	APIKeyFile   string `yaml:"api_key_file"`  // the same; holds what follows "ApiKey "
	Region       string `yaml:"region"`        // of sigv4; else that of the host name, else the SDK's
	Service      string `yaml:"service"`       // of sigv4; es for domains
	RoleARN      string `yaml:"role_arn"`      // of sigv4; assumed before signing
}

// TLSConfig holds files in PEM form.
type TLSConfig struct {
	CAFile   string `yaml:"ca_file"`   // instead of the system's authorities
	CertFile string `yaml:"cert_file"` // of the client
	KeyFile  string `yaml:"key_file"`
}

// DefaultConfig returns the configuration without endpoints.
func DefaultConfig() Config {
	return Config{
		// A bulk of 5 MiB takes a cluster a second; 30 s is one that is in trouble.
		Timeout: 30 * time.Second,
		Gzip:    "auto",
		// Indexing pressure is 10 % of the heap, 200 MB of 2 GB, for all clients:
		// 8 x 5 MiB leaves four fifths of it to others.
		MaxRequests:  8,
		BlockedAfter: 15 * time.Minute,
		Template:     "ensure",
		Auth:         AuthConfig{Type: "auto", Service: "es"},
	}
}

// Validate returns all mistakes, each with its key.
func (c *Config) Validate() error {
	var errs []error
	wrong := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: "+format, append([]any{key}, args...)...))
	}
	if len(c.Endpoints) == 0 {
		wrong("endpoints", "at least one is needed")
	}
	for i, endpoint := range c.Endpoints {
		if _, err := parseEndpoint(endpoint); err != nil {
			wrong(fmt.Sprintf("endpoints[%d]", i), "%w", err)
		}
	}
	if c.Timeout <= 0 {
		wrong("timeout", "%v is not above zero", c.Timeout)
	}
	if c.MaxRequests < 1 || c.MaxRequests > maxRequests {
		wrong("max_requests", "%d is not from 1 to %d", c.MaxRequests, maxRequests)
	}
	if c.BlockedAfter <= 0 {
		wrong("blocked_after", "%v is not above zero", c.BlockedAfter)
	}
	oneOf := func(key, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			wrong(key, "%q is none of %s", value, strings.Join(allowed, ", "))
		}
	}
	oneOf("gzip", c.Gzip, "auto", "on", "off")
	oneOf("template", c.Template, "ensure", "check", "off")
	oneOf("auth.type", c.Auth.Type, "auto", "none", "basic", "api_key", "sigv4")
	if c.Auth.Type == "basic" && c.Auth.Username == "" {
		wrong("auth.username", "auth.type basic needs it")
	}
	if c.Auth.Username != "" && c.Auth.PasswordFile == "" && c.Auth.Type != "none" {
		wrong("auth.password_file", "auth.username needs it")
	}
	if c.Auth.Type == "api_key" && c.Auth.APIKeyFile == "" {
		wrong("auth.api_key_file", "auth.type api_key needs it")
	}
	if c.Auth.Service == "" && (c.Auth.Type == "auto" || c.Auth.Type == "sigv4") {
		wrong("auth.service", "sigv4 needs it; es for a domain")
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		wrong("tls.cert_file", "tls.cert_file and tls.key_file belong together")
	}
	return errors.Join(errs...)
}

// maxRequests bounds max_requests: 64 x 5 MiB is what a 3 GB heap takes at all.
const maxRequests = 64

// parseEndpoint reads an endpoint. Its errors do not quote it: it may hold a
// password, in the wrong place.
func parseEndpoint(endpoint string) (*url.URL, error) {
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return nil, errors.New("is no URL like https://host:9200")
	case u.User != nil:
		return nil, errors.New("has a user name in it; use auth.username and auth.password_file")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("scheme %q is neither https nor http", u.Scheme)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("has a query or a fragment")
	case forbiddenHost(u.Hostname()):
		return nil, fmt.Errorf("%s is a link-local address; instance metadata lives there, no cluster", u.Hostname())
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}, nil
}

func forbiddenHost(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && forbidden(address)
}

// metadataIPv6 is the instance metadata service's address that is not link-local.
var metadataIPv6 = netip.MustParseAddr("fd00:ec2::254") //nolint:gochecknoglobals // a constant

// forbidden says whether nothing of ours must ever be sent to address: whoever
// can write a configuration or a DNS record must not have shipperd talk to the
// metadata service.
func forbidden(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	return address.IsLinkLocalUnicast() || address == metadataIPv6
}

// isLoopback says whether host is this machine.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}
