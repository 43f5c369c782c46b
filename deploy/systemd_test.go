package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const unitFile = "systemd/shipperd.service"

func TestUnitSupervisesByTheDaemonsOwnProgress(t *testing.T) {
	settings := readUnit(t)
	for key, want := range map[string][]string{
		"Type":                     {"notify"},
		"ExecStartPre":             nil, // its exit status 78 would not keep systemd from trying again
		"ExecStart":                {"/usr/bin/shipperd run"},
		"ExecReload":               {"/bin/kill -HUP $MAINPID"}, // validate would not see the credentials
		"Restart":                  {"always"},
		"RestartPreventExitStatus": {"78"},
		"StartLimitIntervalSec":    {"0"},
		"WatchdogSec":              {"60"},
		"StateDirectory":           {"shipperd"},
		"WorkingDirectory":         {"/var/lib/shipperd"},
		"NoNewPrivileges":          {"yes"},
		"ProtectSystem":            {"strict"},
		"LoadCredential":           {"elasticsearch-password", "elasticsearch-api-key"},
	} {
		if diff := cmp.Diff(want, settings[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
}

// readUnit gives the values of each key in the order of the file.
func readUnit(t *testing.T) map[string][]string {
	t.Helper()
	settings := map[string][]string{}
	for line := range strings.Lines(string(readFile(t, unitFile))) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			settings[key] = append(settings[key], value)
		}
	}
	return settings
}

func TestSystemdAcceptsTheUnit(t *testing.T) {
	analyze := lookTool(t, "systemd-analyze")
	// verify wants every command to exist; the test binary stands in for the daemon.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := strings.ReplaceAll(string(readFile(t, unitFile)), "/usr/bin/shipperd", self)
	copied := filepath.Join(t.TempDir(), "shipperd.service")
	writeFile(t, copied, unit)
	if said := run(t, analyze, "verify", "--man=no", copied); said != "" {
		t.Errorf("verify says:\n%s", said)
	}
}

func TestUnitIsHardened(t *testing.T) {
	// 20 stands for an exposure level of 2.0; what is left is the network, which the daemon lives on.
	run(t, lookTool(t, "systemd-analyze"), "security", "--offline=true", "--threshold=20", "--no-pager", unitFile)
}

// lookTool finds a program that the test needs and skips the test, with its name, where there is none.
func lookTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: not checked with it", name)
	}
	return path
}

// run fails the test with what the program printed when it does not end with 0, and returns what it printed otherwise.
func run(t *testing.T, command ...string) string {
	t.Helper()
	printed, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(command, " "), err, printed)
	}
	return string(printed)
}
