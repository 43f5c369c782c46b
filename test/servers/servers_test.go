package servers

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestMissingToolIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("JAVA_HOME", "")
	t.Setenv("PYENV_ROOT", t.TempDir())
	for _, tc := range []struct {
		recipe recipe
		tool   string
	}{
		{elasticsearch(), "Java 17"},
		{openSearch(), "Java 17"},
		{kinesis(), "npm"},
		{localStack(), "Python 3.13"},
	} {
		err := tc.recipe.install(t.Context(), t.TempDir())
		var missing *MissingError
		if !errors.As(err, &missing) || !strings.Contains(missing.Tool, tc.tool) {
			t.Errorf("install %s without tools: got %v, want a MissingError of %s", tc.recipe.name, err, tc.tool)
		}
	}
}

func TestNamedServerIsUsed(t *testing.T) {
	if testing.Short() {
		t.Skip("servers are not asked in short mode")
	}
	t.Setenv("SHIPPERD_TEST_ELASTICSEARCH", "http://127.0.0.1:1")
	if got, want := Elasticsearch(t), "http://127.0.0.1:1"; got != want {
		t.Errorf("Elasticsearch: got %s, want %s", got, want)
	}
}

func TestPollReturnsTheLastError(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	late, notYet := errors.New("too late"), errors.New("not yet")
	err := Poll(ctx, func() error {
		cancel(late)
		return notYet
	})
	if !errors.Is(err, late) || !errors.Is(err, notYet) {
		t.Errorf("Poll: got %v, want both %v and %v", err, late, notYet)
	}
}
