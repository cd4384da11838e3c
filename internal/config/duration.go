package config

import (
	"fmt"
	"strings"
	"time"
)

// Duration is a length of time as rel.toml has it: "30s", "200ms", "1h30m". It is a struct so that the decoder cannot take a
// bare number for nanoseconds.
type Duration struct{ time.Duration }

// UnmarshalText reads "30s".
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return &durationError{string(text)}
	}
	d.Duration = v
	return nil
}

// durationError is a text that is no duration.
type durationError struct{ text string }

func (e *durationError) Error() string {
	return fmt.Sprintf("%q is no duration: it wants a number with a unit, as \"30s\", \"200ms\" or \"1h30m\"", e.text)
}

// MarshalText writes "10m", not "10m0s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d Duration) String() string {
	s := d.Duration.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func seconds(n int) Duration { return Duration{time.Duration(n) * time.Second} }
