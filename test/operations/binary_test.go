package operations

import (
	"bytes"
	"context"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/shipperd/shipperd/test/daemon"
)

func TestBinaryIsSmallStaticAndReproducible(t *testing.T) {
	t.Parallel()
	const most = 30_000_000
	var builds [2][]byte
	for i := range builds {
		name := filepath.Join(t.TempDir(), "shipperd")
		if err := daemon.Build(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		var err error
		if builds[i], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	first := builds[0]
	if !bytes.Equal(first, builds[1]) {
		t.Error("two builds differ")
	}
	if len(first) > most {
		t.Errorf("got %d bytes, want %d at most", len(first), most)
	}
	if runtime.GOOS == "linux" {
		file, err := elf.NewFile(bytes.NewReader(first))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range file.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("got a segment %v, want a static binary", p.Type)
			}
		}
	}
}

// The image holds the binary and a folder for state, and runs as nobody: what an
// attacker may do in it is what the daemon itself needs. Here its root is a folder
// that the user cannot write to, without /etc, /tmp, /proc or a shell.
func TestThreat22ImageNeedsNoRightsAndNoOtherFile(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root may change the root folder of a process")
	}
	const user = 65532
	s := newSite(t, nil, nil)
	root := t.TempDir()
	state := filepath.Join(root, "state")
	image, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "shipperd"), image, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(state, user, user); err != nil {
		t.Fatal(err)
	}
	p := s.daemon(t, "SHIPPERD_CHECKPOINT_FILE=/state/checkpoint.json", "SHIPPERD_DEAD_LETTERS_DIR=/state/dead-letters")
	inImage := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "/shipperd", args...)
		cmd.Env, cmd.Dir = p.Env, "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: user, Gid: user}}
		return cmd
	}
	p.Launch(inImage("run"))
	s.put("a")
	p.AwaitMetric(`shipperd_events_total{group="other",outcome="indexed"}`, 1)
	if out, err := inImage("healthcheck").CombinedOutput(); err != nil {
		t.Errorf("healthcheck: %v: %s", err, out)
	}
	p.Terminate()
	files, err := os.ReadDir(root)
	if err != nil || len(files) != 2 {
		t.Errorf("got %v, %v in its root, want the binary and the state alone", files, err)
	}
}
