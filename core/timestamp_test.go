package core

import (
	"testing"
	"time"
)

func TestTimestampAgreesWithPackageTime(t *testing.T) {
	for unix := int64(minTime); unix <= maxTime; unix += secondsPerDay - 1 {
		want := time.Unix(unix, 0).UTC().Format("2006-01-02T15:04:05Z")
		got, err := formatTimestamp(unix)
		if err != nil || got != want {
			t.Fatalf("formatTimestamp(%d) = %q, %v; want %q", unix, got, err, want)
		}
		back, err := parseTimestamp(got)
		if err != nil || back != unix {
			t.Fatalf("parseTimestamp(%q) = %d, %v; want %d", got, back, err, unix)
		}
	}
}
