package checkpoint

import (
	"errors"
	"io/fs"
	"syscall"
)

// The reasons why a Store fails, as a metrics label has them.
const (
	ReasonFull   = "full"   // the disk or its quota
	ReasonDenied = "denied" // the file may not be written
	ReasonOther  = "other"
)

// Reasons lists all reasons, for metrics.
func Reasons() []string { return []string{ReasonFull, ReasonDenied, ReasonOther} }

// Reason returns why a Store has returned err.
func Reason(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ReasonFull
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return ReasonDenied
	}
	return ReasonOther
}
