package operations

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
)

const (
	exitFailed = 1
	exitConfig = 78
)

// fault is something that is wrong around a shipperd, and what it has to say of it.
type fault struct {
	name     string
	hook     kinesisfake.Hook
	script   func(*elasticfake.Request) elasticfake.Fault
	settings []string
	check    bool // by validate --check-environment, else by run
	code     int
	want     []string
}

// refuses has a call of the stream end with an error of this code.
func refuses(op, code string) kinesisfake.Hook {
	return func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
		if call.Op == op {
			return nil, &smithy.GenericAPIError{Code: code, Message: "no"}
		}
		return next()
	}
}

// answers has every request to the index end so.
func answers(status int, kind string) func(*elasticfake.Request) elasticfake.Fault {
	return func(*elasticfake.Request) elasticfake.Fault {
		return elasticfake.Fault{Status: status, Type: kind, Reason: "no"}
	}
}

// peerFaults are faults of stream and index, which validate finds.
func peerFaults() []fault {
	return []fault{
		{name: "no stream", settings: []string{"SHIPPERD_KINESIS_STREAM=absent"}, want: []string{"FAILED  stream absent", "check kinesis.stream and kinesis.region"}},
		{name: "no region", settings: []string{"SHIPPERD_KINESIS_REGION="}, want: []string{"FAILED  stream logs", "kinesis.region", "AWS_REGION"}},
		{name: "no credentials", settings: []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="}, want: []string{"FAILED  stream logs", "there are no AWS credentials; give the task or instance a role"}},
		{name: "wrong endpoint", settings: []string{"SHIPPERD_KINESIS_ENDPOINT=http://127.0.0.1:1"}, want: []string{"FAILED  stream logs", "127.0.0.1:1", "refused"}},
		{name: "no permission to describe", hook: refuses("DescribeStreamSummary", "AccessDeniedException"), want: []string{"FAILED  stream logs", "allow kinesis:DescribeStreamSummary on the stream"}},
		{name: "no permission to read", hook: refuses("GetRecords", "AccessDeniedException"), want: []string{"FAILED  stream logs", "allow kinesis:GetRecords on the stream"}},
		{name: "no permission to decrypt", hook: refuses("GetRecords", "KMSAccessDeniedException"), want: []string{"FAILED  stream logs", "allow kms:Decrypt on the stream's key"}},
		{name: "no index", settings: []string{"SHIPPERD_ELASTICSEARCH_ENDPOINTS=http://127.0.0.1:1"}, want: []string{"FAILED  index http://127.0.0.1:1", "refused", "check elasticsearch.endpoints"}},
		{name: "wrong password", script: answers(http.StatusUnauthorized, "security_exception"), want: []string{"FAILED  index", "check elasticsearch.auth"}},
		{name: "no permission to write", script: answers(http.StatusForbidden, "security_exception"), want: []string{"FAILED  index", "allow es:ESHttpPost on the domain"}},
		{name: "read-only cluster", script: answers(http.StatusForbidden, "cluster_block_exception"), want: []string{"FAILED  index", "free disk space or remove the block"}},
		{name: "wrong path", script: answers(http.StatusNotFound, ""), want: []string{"FAILED  index", "check the path of elasticsearch.endpoints"}},
	}
}

// localFaults are faults of this machine, of which the daemon dies.
func localFaults(t *testing.T) []fault {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	inFile := filepath.Join(file, "below")
	return []fault{
		{name: "no configuration", settings: []string{"SHIPPERD_KINESIS_STREAM="}, code: exitConfig, want: []string{"kinesis.stream:", "set it in /etc/shipperd/shipperd.yaml, or as SHIPPERD_KINESIS_STREAM"}},
		{name: "no such file", settings: []string{"SHIPPERD_CONFIG=/absent"}, code: exitConfig, want: []string{"/absent", "no such file"}},
		{name: "no region", settings: []string{"SHIPPERD_KINESIS_REGION="}, code: exitConfig, want: []string{"kinesis.region", "AWS_REGION"}},
		{name: "no password", settings: []string{"SHIPPERD_ELASTICSEARCH_AUTH_USERNAME=u", "SHIPPERD_ELASTICSEARCH_AUTH_PASSWORD_FILE=/absent"}, code: exitConfig, want: []string{"elasticsearch", "/absent", "no such file"}},
		{name: "no certificate", settings: []string{"SHIPPERD_ELASTICSEARCH_TLS_CA_FILE=" + file}, code: exitConfig, want: []string{"tls.ca_file", file, "holds no certificate"}},
		{name: "damaged database", settings: []string{"SHIPPERD_GEO_CITY=" + file}, code: exitConfig, want: []string{"geo.city", file, "invalid MaxMind DB"}},
		{name: "damaged checkpoint", settings: []string{"SHIPPERD_CHECKPOINT_FILE=" + file}, code: exitConfig, want: []string{"checkpoint.file", file, "put a backup in its place, or move it away"}},
		{name: "no folder for the checkpoint", settings: []string{"SHIPPERD_CHECKPOINT_FILE=" + inFile}, code: exitFailed, want: []string{"checkpoint.file", file, "not a directory"}},
		{name: "no folder for dead letters", settings: []string{"SHIPPERD_DEAD_LETTERS_DIR=" + inFile}, code: exitFailed, want: []string{"dead_letters.dir", file, "not a directory"}},
	}
}

// Who reads it at three in the morning has to learn what happened, to what, and what to
// do.
func TestFaultsAreToldWithTheirPlaceAndAWayOut(t *testing.T) {
	t.Parallel()
	faults := localFaults(t)
	for _, f := range peerFaults() {
		f.check, f.code = true, exitFailed
		faults = append(faults, f)
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			args := []string{"run"}
			if f.check {
				args = []string{"validate", "--check-environment"}
			}
			code, out, errs := newSite(t, f.hook, f.script).daemon(t, f.settings...).Run(args...)
			if code != f.code {
				t.Errorf("got exit %d, want %d", code, f.code)
			}
			for _, want := range f.want {
				if !strings.Contains(out+errs, want) {
					t.Errorf("got %s%s\nwant %q in it", out, errs, want)
				}
			}
		})
	}
}

// Nobody would see what becomes of a daemon without its endpoint.
func TestDaemonEndsWhereItsEndpointCannotListen(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, nil)
	taken := strings.TrimPrefix(s.peers.Search, "http://")
	code, _, log := s.daemon(t, "SHIPPERD_ADMIN_LISTEN="+taken).Run("run")
	if code != exitFailed || !strings.Contains(log, "admin.listen: ") || !strings.Contains(log, "stop what listens there") {
		t.Errorf("got exit %d and %s\nwant %d and advice", code, log, exitFailed)
	}
}
