package kinesis

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
)

func TestCheckSaysWhatItFoundOrWhatIsMissing(t *testing.T) {
	config := DefaultConfig()
	config.Stream = "logs"
	for _, op := range []string{"", opDescribe, opList, opIterator, opRecords} {
		service := &kinesisfake.Service{}
		service.Create("logs", 2)
		service.Hook = func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
			if call.Op == op {
				return nil, &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no"}
			}
			return next()
		}
		found, err := Check(t.Context(), service, config)
		switch {
		case op == "":
			if err != nil || !strings.Contains(found, "2 open shards") {
				t.Errorf("got %q, %v, want 2 open shards", found, err)
			}
		case err == nil || !strings.Contains(err.Error(), "kinesis:"+op):
			t.Errorf("%s refused: got %v, want the permission kinesis:%s named", op, err, op)
		}
	}
}
