package elastic

import (
	"strings"
	"testing"
)

func TestValidateNamesEveryMistake(t *testing.T) {
	c := Config{
		Endpoints: []string{"http://user:hunter2@host:9200", "ftp://host", "https://169.254.169.254/x", "https://", "%%hunter2", "https://h?q=hunter2"},
		Gzip:      "maybe", MaxRequests: 1000, Template: "yes",
		Auth: AuthConfig{Type: "basic"}, TLS: TLSConfig{CertFile: "x"},
	}
	err := c.Validate()
	if err == nil {
		t.Fatal("got nil, want an error")
	}
	for _, key := range []string{
		"endpoints[0]", "endpoints[1]", "endpoints[2]", "endpoints[3]", "endpoints[4]", "endpoints[5]",
		"timeout", "gzip", "max_requests", "blocked_after", "template", "auth.username", "tls.cert_file",
	} {
		if !strings.Contains(err.Error(), key+": ") {
			t.Errorf("no mistake for %s in:\n%v", key, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error quotes a password:\n%v", err)
	}
	c = DefaultConfig()
	c.Endpoints = []string{"search.example.org", "http://127.0.0.1:9200/path/"}
	if err := c.Validate(); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestEndpointWithoutSchemeIsHTTPS(t *testing.T) {
	for endpoint, want := range map[string]string{
		"host":                   "https://host",
		"host:9200/":             "https://host:9200",
		"http://[::1]:9200/a/b/": "http://[::1]:9200/a/b",
	} {
		if u, err := parseEndpoint(endpoint); err != nil || u.String() != want {
			t.Errorf("parseEndpoint(%q): got %v, %v, want %s", endpoint, u, err, want)
		}
	}
}
