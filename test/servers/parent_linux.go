package servers

import "syscall"

// dieWithParent ends the server also where this process is killed with SIGKILL.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
