package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/shipperd/shipperd/pkg/disk"
)

func TestReplaceOnThisMachine(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	for _, want := range []string{"first, and longer", "second"} {
		if err := disk.Replace(disk.OS{}, name, []byte(want)); err != nil {
			t.Fatal(err)
		}
		got, err := disk.ReadFile(disk.OS{}, name)
		if err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("got mode %o, want 600", got)
	}
	entries, err := disk.OS{}.ReadDir(filepath.Dir(name))
	if err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v in the folder, want the file alone", entries, err)
	}
}

func TestReplaceInAFolderThatIsNotThere(t *testing.T) {
	name := filepath.Join(t.TempDir(), "absent", "file")
	if err := disk.Replace(disk.OS{}, name, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v, want that there is no such folder", err)
	}
	if _, err := disk.ReadFile(disk.OS{}, name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v from reading, want that there is no such file", err)
	}
	if err := (disk.OS{}).SyncDir(filepath.Dir(name)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v from flushing it, want that there is no such folder", err)
	}
}

func TestLockOnThisMachine(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	unlock, err := disk.OS{}.TryLock(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (disk.OS{}).TryLock(name); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("got error %v from the second lock, want ErrLocked", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := disk.Lock(t.Context(), disk.OS{}, name, func() { t.Error("waits for a lock that is free") })
	if err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
}

func TestLockThatCannotBeTakenIsAnError(t *testing.T) {
	name := filepath.Join(t.TempDir(), "absent", "lock")
	if _, err := disk.Lock(t.Context(), disk.OS{}, name, func() {}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v, want that there is no such folder", err)
	}
}
