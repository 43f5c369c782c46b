package story

import (
	"testing"

	"github.com/shipperd/shipperd/test/daemon"
)

// newShipperd prepares a shipperd of the account that indexes into lab.
func newShipperd(t *testing.T, binary string, aws *account, lab *daemon.Index) *daemon.Test {
	t.Helper()
	settings := []string{"AWS_ACCESS_KEY_ID=" + aws.id, "SHIPPERD_DOCUMENTS_INDEX_PREFIX=" + lab.Prefix}
	for variable, file := range databases() {
		settings = append(settings, variable+"="+file)
	}
	return daemon.NewTest(t, binary, daemon.Peers{Stream: stream, Region: region, Kinesis: aws.url, Search: lab.URL}, settings...)
}

// run runs a command to its end. Where it fails, the test's log has the reason.
func run(t *testing.T, shipperd *daemon.Test, args ...string) (code int, stdout string) {
	t.Helper()
	code, stdout, stderr := shipperd.Run(args...)
	if code != 0 {
		t.Logf("%v ended with %d\n%s", args, code, stderr)
	}
	return code, stdout
}
