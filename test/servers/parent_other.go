//go:build !linux

package servers

import "syscall"

// dieWithParent does nothing: only Linux can tie a process to its parent. A
// server outlives a test that is killed with SIGKILL, and nothing else.
func dieWithParent(*syscall.SysProcAttr) {}
