package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
)

func TestReasonOfAStoresError(t *testing.T) {
	for _, test := range []struct {
		cause error
		want  string
	}{
		{syscall.ENOSPC, ReasonFull},
		{syscall.EDQUOT, ReasonFull},
		{syscall.EACCES, ReasonDenied},
		{syscall.EROFS, ReasonDenied},
		{syscall.EIO, ReasonOther},
	} {
		err := fmt.Errorf("save the checkpoint: %w", errors.Join(&os.PathError{Op: "write", Path: "f", Err: test.cause}))
		if got := Reason(err); got != test.want {
			t.Errorf("%v: got reason %s, want %s", err, got, test.want)
		}
	}
}
