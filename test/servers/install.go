package servers

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// recipes holds the files that go beside the servers.
//
//go:embed recipes
var recipes embed.FS

// MissingError says that a tool is not on this machine, and how to get it.
type MissingError struct{ Tool, Get string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is missing; %s", e.Tool, e.Get)
}

// installed returns the folder in which r is installed, in the user's cache.
// Processes that come at the same time wait for the one that installs.
func (r recipe) installed(ctx context.Context) (home string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	all := filepath.Join(cache, "shipperd-test-servers")
	if err := os.MkdirAll(all, 0o755); err != nil {
		return "", err
	}
	home = filepath.Join(all, r.name)
	if _, err := os.Stat(home); err == nil {
		return home, nil
	}
	unlock, err := lock(filepath.Join(all, ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(home); err == nil {
		return home, nil
	}
	// Made aside and then moved: a broken download never looks like a server.
	aside, err := os.MkdirTemp(all, ".new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(aside)
	if err := r.install(ctx, aside); err != nil {
		return "", err
	}
	return home, os.Rename(aside, home)
}

// lock takes the file's lock; it ends with the process at the latest.
func lock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	return func() { f.Close() }, nil
}

// runTool runs a command in folder to its end; its error holds the output.
func runTool(ctx context.Context, folder, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// findJava returns a Java 17: of JAVA_HOME, of the PATH, or beside that one.
func findJava(ctx context.Context) (string, error) {
	var candidates []string
	if home := os.Getenv("JAVA_HOME"); home != "" {
		candidates = append(candidates, filepath.Join(home, "bin", "java"))
	}
	if onPath, err := exec.LookPath("java"); err == nil {
		candidates = append(candidates, onPath)
		if target, err := filepath.EvalSymlinks(onPath); err == nil {
			beside, _ := filepath.Glob(filepath.Join(target, "..", "..", "..", "*", "bin", "java"))
			candidates = append(candidates, beside...)
		}
	}
	for _, java := range candidates {
		out, err := exec.CommandContext(ctx, java, "-XshowSettings:properties", "-version").CombinedOutput()
		if err == nil && bytes.Contains(out, []byte("java.specification.version = 17\n")) {
			return java, nil
		}
	}
	return "", &MissingError{"a Java 17", "install a JDK 17 (Debian: openjdk-17-jdk-headless) or set JAVA_HOME"}
}

// findPython returns a Python 3.13, the one for which the packages are pinned.
func findPython(ctx context.Context) (string, error) {
	pyenv := os.Getenv("PYENV_ROOT")
	if pyenv == "" {
		pyenv = filepath.Join(os.Getenv("HOME"), ".pyenv")
	}
	inPyenv, _ := filepath.Glob(filepath.Join(pyenv, "versions", "3.13*", "bin", "python3"))
	for _, python := range append([]string{"python3.13", "python3"}, inPyenv...) {
		// A shim of pyenv is on the PATH also where its version is not selected.
		if exec.CommandContext(ctx, python, "-c", "import sys, venv; assert sys.version_info[:2] == (3, 13)").Run() == nil {
			return python, nil
		}
	}
	return "", &MissingError{"Python 3.13", "install python3.13 with its venv module, or `pyenv install 3.13`"}
}

// need returns an error when tool is not on the PATH.
func need(tool, get string) error {
	if _, err := exec.LookPath(tool); err != nil {
		return &MissingError{tool, get}
	}
	return nil
}
