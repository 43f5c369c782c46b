// Package setting has the types of configuration values that the standard
// library lacks: sizes in bytes and secrets.
package setting

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written as 512KiB, 8MiB, 1GiB or a plain number.
type Size int64

// The units. Powers of 1,000 are refused: 8MB and 8MiB must not be guessed at.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

// ErrSize is wrapped by every error of ParseSize.
var ErrSize = errors.New("not a size")

// ParseSize reads s.
func ParseSize(s string) (Size, error) {
	unit, digits := Size(1), s
	for suffix, u := range map[string]Size{"KiB": KiB, "MiB": MiB, "GiB": GiB} {
		if d, ok := strings.CutSuffix(s, suffix); ok {
			unit, digits = u, strings.TrimSpace(d)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("%q: %w; write it as 512KiB, 8MiB, 1GiB or a number of bytes", s, ErrSize)
	}
	return Size(n) * unit, nil
}

// String writes s in its largest whole unit, so that ParseSize reads it back.
func (s Size) String() string {
	switch {
	case s != 0 && s%GiB == 0:
		return strconv.FormatInt(int64(s/GiB), 10) + "GiB"
	case s != 0 && s%MiB == 0:
		return strconv.FormatInt(int64(s/MiB), 10) + "MiB"
	case s != 0 && s%KiB == 0:
		return strconv.FormatInt(int64(s/KiB), 10) + "KiB"
	}
	return strconv.FormatInt(int64(s), 10)
}

// UnmarshalText reads a Size in YAML, JSON or a variable.
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSize(string(text))
	return err
}

// MarshalText writes it back.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

const redacted = "[redacted]"

// Secret is a string that no formatting verb, encoder or logger prints.
type Secret struct{ value string }

// NewSecret wraps value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the secret itself, for the one place that sends it.
func (s Secret) Reveal() string { return s.value }

// IsZero says whether there is none.
func (s Secret) IsZero() bool { return s.value == "" }

// String and the methods below hide the value.
func (s Secret) String() string { return redacted }

// GoString hides it from %#v.
func (s Secret) GoString() string { return redacted }

// Format hides it from every verb, those for bytes and numbers too.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText hides it from JSON, YAML and text encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText reads it from a configuration.
func (s *Secret) UnmarshalText(text []byte) error {
	s.value = string(text)
	return nil
}
