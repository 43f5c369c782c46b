package elastic

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/record"
)

// roundTrip is a RoundTripper in front of another.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Scenario: Elasticsearch 12.
//
// The signature covers the bytes on the wire, on every attempt anew,
// with credentials of that moment.
func TestSigV4SignsTheWireBytesOfEveryAttempt(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "token")
	synctest.Test(t, func(t *testing.T) {
		server := &elasticfake.Server{Full: true, Script: func(r *elasticfake.Request) elasticfake.Fault {
			if r.Number == 1 {
				return elasticfake.Fault{Status: 503}
			}
			return elasticfake.Fault{}
		}}
		w := newWorld(t, server, func(c *Config) {
			c.Endpoints = []string{"search-lab-x.eu-west-1.es.amazonaws.com/prefix"}
		})
		for _, e := range w.sink.endpoints.all {
			e.base = roundTrip(func(r *http.Request) (*http.Response, error) {
				checkSignature(t, r)
				if r.URL.Path != "/prefix/_bulk" || r.Header.Get("Content-Encoding") != "gzip" {
					t.Errorf("got %s %q, want gzip to /prefix/_bulk", r.URL.Path, r.Header.Get("Content-Encoding"))
				}
				return server.RoundTrip(r)
			})
		}
		<-time.After(time.Minute)
		w.write(makeRecord("a", today, 50))
		want(t, "requests", server.Requests(), 2)
	})
}

// checkSignature signs r again and compares.
func checkSignature(t *testing.T, r *http.Request) {
	t.Helper()
	reader, err := r.GetBody()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	body, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	want(t, "X-Amz-Content-Sha256", r.Header.Get("X-Amz-Content-Sha256"), hash)
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		t.Fatal(err)
	}
	again := r.Clone(t.Context())
	again.Header.Del("Authorization")
	credentials := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret", SessionToken: "token"}
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, again, hash, "es", "eu-west-1", at); err != nil {
		t.Fatal(err)
	}
	want(t, "Authorization", r.Header.Get("Authorization"), again.Header.Get("Authorization"))
	for _, header := range []string{"host", "content-encoding", "content-length", "content-type", "x-amz-security-token"} {
		if !strings.Contains(r.Header.Get("Authorization"), header) {
			t.Errorf("%s is not signed: %s", header, r.Header.Get("Authorization"))
		}
	}
}

func TestAutoChoosesTheAuth(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		endpoint string
		auth     AuthConfig
		want     string
	}{
		{"localhost:9200", AuthConfig{}, ""},
		{"localhost:9200", AuthConfig{Username: "u", PasswordFile: secret}, "Basic dTpzM2NyZXQ="},
		{"localhost:9200", AuthConfig{APIKeyFile: secret}, "ApiKey s3cret"},
		{"vpc-a-b.us-east-1.es.amazonaws.com", AuthConfig{}, "AWS4-HMAC-SHA256 Credential=id"},
		{"vpc-a-b.us-east-1.es.amazonaws.com", AuthConfig{Username: "u", PasswordFile: secret}, "Basic dTpzM2NyZXQ="},
	} {
		u, err := parseEndpoint(test.endpoint)
		if err != nil {
			t.Fatal(err)
		}
		test.auth.Type, test.auth.Service = "auto", "es"
		a, err := newAuth(t.Context(), test.auth, u)
		if err != nil {
			t.Errorf("%s %+v: %v", test.endpoint, test.auth, err)
			continue
		}
		r := httptest.NewRequest(http.MethodPost, u.String(), nil)
		if err := a.authorize(t.Context(), r, nil); err != nil {
			t.Fatal(err)
		}
		if got := r.Header.Get("Authorization"); !strings.HasPrefix(got, test.want) || (test.want == "") != (got == "") {
			t.Errorf("%s %+v: got %q, want %q", test.endpoint, test.auth, got, test.want)
		}
		if test.want != "" && strings.HasPrefix(test.want, "AWS4") && !strings.Contains(r.Header.Get("Authorization"), "/us-east-1/es/") {
			t.Errorf("got %q, want region us-east-1", r.Header.Get("Authorization"))
		}
	}
}

// Scenario: Elasticsearch 11.
//
// A password that is changed in its file is used after the next 401.
func TestThreat15RotatedPasswordIsReadAfter401(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "password")
		write := func(password string) {
			if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
				t.Error(err)
			}
		}
		write("old")
		server := &elasticfake.Server{Script: func(r *elasticfake.Request) elasticfake.Fault {
			if _, password, _ := (&http.Request{Header: r.Header}).BasicAuth(); password != "new" {
				return elasticfake.Fault{Status: 401, Type: "security_exception", Reason: "unable to authenticate"}
			}
			return elasticfake.Fault{}
		}}
		w := newWorld(t, server, func(c *Config) { c.Auth.Username, c.Auth.PasswordFile = "shipper", file })
		go func() {
			<-time.After(time.Minute)
			write("new")
		}()
		w.write(makeRecord("a", today, 10))
	})
}

// The password is planted, quoted by the server in every way it can, and looked for
// in everything that leaves the sink.
func TestThreat12PasswordIsNowhereToBeSeen(t *testing.T) {
	const password = "correct-horse-battery"
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
		server := &elasticfake.Server{Script: func(r *elasticfake.Request) elasticfake.Fault {
			header := r.Header.Get("Authorization")
			quoted := "failed: " + header + " " + password + ` at [Source: (byte[])"POST /_bulk HTTP/1.1` + "\r\nAuthorization: " + header
			switch r.Number {
			case 1:
				return elasticfake.Fault{Status: 429, Type: "x", Reason: quoted}
			case 2:
				return elasticfake.Fault{Status: 401, Type: "security_exception", Reason: quoted}
			case 3:
				return elasticfake.Fault{Reset: true}
			}
			return elasticfake.Fault{Item: func(i int, d elasticfake.Document) *elasticfake.ItemError {
				switch {
				case i == 0 && bytes.Contains(d.Source, []byte(`"status"`)):
					return &elasticfake.ItemError{Status: 400, Type: "mapper_parsing_exception", Reason: quoted}
				case strings.HasPrefix(d.Index, "cwl-blocked"):
					return &elasticfake.ItemError{Status: 403, Type: typeClusterBlock, Reason: quoted}
				}
				return nil
			}}
		}}
		w := newWorld(t, server, func(c *Config) {
			c.Auth.Username, c.Auth.PasswordFile, c.BlockedAfter = "shipper", file, time.Minute
		})
		r := makeRecord("a", today, 3)
		addEvent(r, "cwl-blocked", "b", `{"@message":"x"}`)
		go func() {
			for range 20 {
				<-time.After(10 * time.Second)
				w.write(makeRecord(time.Now().String(), today, 2))
			}
		}()
		w.write(r)
		<-time.After(time.Hour)

		var everything bytes.Buffer
		for _, entry := range w.logs.All() {
			line, _ := json.Marshal(entry.ContextMap())
			everything.WriteString(entry.Message + string(line))
		}
		letters, _ := json.Marshal(w.letters.all())
		everything.Write(letters)
		documents, _ := json.Marshal(server.Documents(today))
		everything.Write(documents)
		families, _ := w.registry.Gather()
		for _, f := range families {
			everything.WriteString(f.String())
		}
		for _, secret := range []string{password, "c2hpcHBlcjpjb3JyZWN0LWhvcnNlLWJhdHRlcnk"} {
			if i := strings.Index(everything.String(), secret); i >= 0 {
				t.Errorf("found %q in ...%s", secret, everything.String()[max(0, i-200):i+50])
			}
		}
		want(t, "letters", len(w.letters.all()), 1)
		want(t, "lines", w.logged("bulk requests fail") > 0 && w.logged("paused") > 0, true)
	})
}

func TestThreat11RedirectsAreNotFollowed(t *testing.T) {
	var stolen atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	defer thief.Close()
	server := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	w := newWorld(t, &elasticfake.Server{}, nil)
	e := w.sink.endpoints.all[0]
	transport, err := newTransport(TLSConfig{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	e.base = transport
	e.url, _ = parseEndpoint(server.URL)
	r := makeRecord("a", today, 1)
	docs := w.sink.collect(nil, []*record.Record{r})
	want(t, "class", w.sink.send(t.Context(), e, docs, false).class, paused)
	want(t, "requests to the thief", stolen.Load(), 0)
}

func TestThreat11LinkLocalAddressesAreRefusedWhereTheyAreDialed(t *testing.T) {
	for address, refused := range map[string]bool{
		"169.254.169.254:80": true, "[fe80::1%eth0]:80": true, "[fd00:ec2::254]:80": true,
		"[::ffff:169.254.1.1]:80": true, "127.0.0.1:9200": false, "10.0.0.1:443": false, "[fd00::1]:443": false,
	} {
		if got := refuseForbidden("tcp", address, nil) != nil; got != refused {
			t.Errorf("%s: got refused %v, want %v", address, got, refused)
		}
	}
	want(t, "metadata", forbidden(netip.MustParseAddr("169.254.169.254")), true)
}

func TestTransportIsReplacedAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport, err := newTransport(TLSConfig{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		r := transport.(*rotating)
		first := r.transport(time.Now())
		<-time.After(connectionLife - time.Nanosecond)
		want(t, "the same before", r.transport(time.Now()) == first, true)
		<-time.After(time.Nanosecond)
		want(t, "the same after", r.transport(time.Now()) == first, false)
	})
}
