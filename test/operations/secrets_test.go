package operations

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/test/daemon"
	"github.com/shipperd/shipperd/test/servers"
)

// The canaries: whoever finds one in an output has found a leak.
const (
	canaryPassword = "canary-password-hunter2"
	canaryKey      = "canary-api-key-Zm9v"
	canaryAWS      = "canary-aws-secret-wJalr"
	canaryURL      = "canary-in-a-url"
)

// hits returns the canaries that are in text, plain or as they go over the wire.
func hits(text []byte) (found []string) {
	basic := base64.StdEncoding.EncodeToString([]byte("shipper:" + canaryPassword))
	for _, canary := range []string{canaryPassword, basic, canaryKey, canaryAWS, canaryURL} {
		if bytes.Contains(text, []byte(canary)) {
			found = append(found, canary)
		}
	}
	return found
}

// secret writes a canary to a file of its own.
func secret(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// tell is an index that quotes the request's credentials in every way that it can:
// Elasticsearch 7.10.2 does so in some errors.
func tell(r *elasticfake.Request) elasticfake.Fault {
	header := r.Header.Get("Authorization")
	_, proof, _ := strings.Cut(header, " ")
	reason := fmt.Sprintf("%s of %s is not welcome", proof, header)
	switch r.Number {
	case 1:
		return elasticfake.Fault{Status: 429, Type: "x", Reason: "cannot parse POST /_bulk HTTP/1.1\r\nAuthorization: " + header}
	case 2:
		return elasticfake.Fault{Status: 401, Type: "security_exception", Reason: reason}
	case 3:
		return elasticfake.Fault{Status: 503, Reason: reason}
	}
	return elasticfake.Fault{Item: func(_ int, d elasticfake.Document) *elasticfake.ItemError {
		if strings.HasPrefix(d.ID, "bad") {
			return &elasticfake.ItemError{Status: 400, Type: "mapper_parsing_exception", Reason: reason}
		}
		return nil
	}}
}

func TestThreat12PlantedSecretsAreNowhereToBeSeen(t *testing.T) {
	t.Parallel()
	for name, auth := range map[string][]string{
		"password": {"SHIPPERD_ELASTICSEARCH_AUTH_USERNAME=shipper", "SHIPPERD_ELASTICSEARCH_AUTH_PASSWORD_FILE=" + secret(t, canaryPassword)},
		"API key":  {"SHIPPERD_ELASTICSEARCH_AUTH_API_KEY_FILE=" + secret(t, canaryKey)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port, err := servers.FreePort(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			pprof := "127.0.0.1:" + port
			s := newSite(t, nil, tell)
			p := s.daemon(t, append(auth, "SHIPPERD_LOG_LEVEL=debug", "SHIPPERD_ADMIN_PPROF_LISTEN="+pprof,
				"AWS_SECRET_ACCESS_KEY="+canaryAWS, "AWS_SESSION_TOKEN="+canaryAWS)...)
			p.Start()
			s.put("a", "bad", "good") // bad is refused in every form: a dead letter
			s.stream.Put(s.stream.Shards()[0], []byte("no payload"))
			p.AwaitMetric(`shipperd_events_total{group="other",outcome="dead_lettered"}`, 2)

			outputs := map[string][]byte{}
			for _, page := range []string{"/", "/metrics", "/healthz", "/readyz"} {
				outputs[page] = p.Get(page)
			}
			for _, page := range []string{"", "goroutine?debug=2", "heap?debug=1", "allocs", "threadcreate?debug=1", "trace?seconds=1"} {
				if outputs["pprof "+page], err = daemon.Get(t.Context(), "http://"+pprof+"/debug/pprof/"+page); err != nil {
					t.Error(err)
				}
			}
			for _, args := range [][]string{{"config", "show"}, {"validate"}, {"validate", "--check-environment", "--format", "json"}, {"replay"}} {
				_, out, errs := p.Run(args...) // some of them fail here
				outputs[strings.Join(args, " ")] = []byte(out + errs)
			}
			p.Stop(syscall.SIGQUIT) // the runtime prints every goroutine's stack, as in a panic
			files(t, p.Dir, outputs)
			for where, text := range outputs {
				if found := hits(text); len(found) > 0 {
					t.Errorf("%s: found %v in\n%s", where, found, text)
				}
			}
			if log := outputs["log"]; !bytes.Contains(log, []byte("[redacted]")) || !bytes.Contains(log, []byte("SIGQUIT")) {
				t.Errorf("got a log without what the index said or without stacks: the test looked at the wrong place")
			}
		})
	}
}

// files adds all files below dir, by their names there.
func files(t *testing.T, dir string, to map[string][]byte) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			to[name], err = os.ReadFile(filepath.Join(dir, name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestThreat12SecretsInURLsAreRefusedAndNotQuoted(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, nil)
	for _, setting := range []string{
		"SHIPPERD_ELASTICSEARCH_ENDPOINTS=https://shipper:" + canaryURL + "@search.example.com",
		"SHIPPERD_ELASTICSEARCH_ENDPOINTS=shipper:" + canaryURL + "@search.example.com",
		"SHIPPERD_ELASTICSEARCH_ENDPOINTS=https://shipper:" + canaryURL + "@search.example.com:port",
		"SHIPPERD_KINESIS_ENDPOINT=https://shipper:" + canaryURL + "@kinesis.example.com",
		"SHIPPERD_KINESIS_ENDPOINT=shipper:" + canaryURL + "@kinesis.example.com",
		"SHIPPERD_KINESIS_ENDPOINT=https://shipper:" + canaryURL + "@kinesis.example.com:port",
	} {
		for _, args := range [][]string{{"run"}, {"validate"}, {"validate", "--format", "json"}, {"config", "show"}} {
			code, out, errs := s.daemon(t, setting).Run(args...)
			if code != 78 || len(hits([]byte(out+errs))) > 0 {
				t.Errorf("%s with %s: got exit %d, want 78, and:\n%s%s", args, setting, code, out, errs)
			}
		}
	}
}
