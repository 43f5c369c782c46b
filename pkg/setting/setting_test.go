package setting_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.yaml.in/yaml/v3"

	"github.com/shipperd/shipperd/pkg/setting"
)

func TestSizesAreRead(t *testing.T) {
	for text, want := range map[string]setting.Size{
		"0": 0, "1": 1, "1023": 1023, "512KiB": 512 << 10, "8MiB": 8 << 20, "8 MiB": 8 << 20, "1GiB": 1 << 30, "0GiB": 0,
		"9223372036854775807": math.MaxInt64, "8589934591GiB": 8589934591 << 30,
	} {
		if got, err := setting.ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "8MB", "8M", "8mib", "-1", "-1KiB", "1.5MiB", "1e3", "0x10", "9223372036854775808", "8589934592GiB", "1KiBKiB", "1KiB ", " 1"} {
		if got, err := setting.ParseSize(text); !errors.Is(err, setting.ErrSize) {
			t.Errorf("%q: got %d, %v, want ErrSize", text, got, err)
		}
	}
}

func TestSizesAreWrittenInTheirLargestWholeUnit(t *testing.T) {
	for size, want := range map[setting.Size]string{
		0: "0", 1: "1", 1000: "1000", 1 << 10: "1KiB", 1<<10 + 1: "1025", 1536 << 10: "1536KiB", 64 << 20: "64MiB", 1 << 40: "1024GiB",
	} {
		if got := size.String(); got != want {
			t.Errorf("%d: got %s, want %s", size, got, want)
		}
	}
}

// Threat 12: a secret in a log, an error, a page or a file.
func TestThreat12SecretIsNeverPrinted(t *testing.T) {
	const value = "hunter2"
	holder := struct {
		Name    string                     `json:"name" yaml:"name"`
		Secret  setting.Secret             `json:"secret" yaml:"secret"`
		Pointer *setting.Secret            `json:"pointer" yaml:"pointer"`
		List    []setting.Secret           `json:"list" yaml:"list"`
		Map     map[string]any             `json:"map" yaml:"map"`
		Nested  struct{ S setting.Secret } `json:"nested" yaml:"nested"`
	}{Name: "visible", Secret: setting.NewSecret(value), List: []setting.Secret{setting.NewSecret(value)}}
	holder.Pointer = &holder.Secret
	holder.Map = map[string]any{"s": holder.Secret}
	holder.Nested.S = holder.Secret

	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10v"} {
		fmt.Fprintf(&out, verb+verb+"\n", holder, holder.Secret)
	}
	fmt.Fprintln(&out, holder.Secret, fmt.Errorf("connect with %v: %w", holder.Secret, errors.New("refused")))
	asJSON, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(asJSON)
	out.Write(asYAML)
	for _, encoder := range []zapcore.Encoder{
		zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
	} {
		log := zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.DebugLevel))
		log.Info("zap", zap.Any("any", holder), zap.Stringer("stringer", holder.Secret), zap.Reflect("reflect", holder.Secret))
	}
	text := out.String()
	for _, form := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value)} {
		if strings.Contains(text, form) {
			t.Errorf("%s is in:\n%s", form, text)
		}
	}
	if !strings.Contains(text, "visible") || !strings.Contains(text, "[redacted]") {
		t.Errorf("what is no secret is hidden too:\n%s", text)
	}
}

func TestSecretIsRevealedToItsOneUser(t *testing.T) {
	var holder struct {
		Secret setting.Secret `json:"secret"`
	}
	if !holder.Secret.IsZero() {
		t.Error("got a secret where there is none")
	}
	if err := json.Unmarshal([]byte(`{"secret":"hunter2"}`), &holder); err != nil || holder.Secret.Reveal() != "hunter2" || holder.Secret.IsZero() {
		t.Errorf("got %q, %v, want hunter2", holder.Secret.Reveal(), err)
	}
}

func FuzzSize(f *testing.F) {
	for _, seed := range []string{"8MiB", "0", "-1", "9223372036854775807", "1 KiB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size, err := setting.ParseSize(text)
		if err != nil {
			if !errors.Is(err, setting.ErrSize) {
				t.Fatalf("%q: got error %v, want ErrSize", text, err)
			}
			return
		}
		if back, err := setting.ParseSize(size.String()); size < 0 || err != nil || back != size {
			t.Fatalf("%q: got %d, written %s, read back %d, %v", text, size, size, back, err)
		}
	})
}
