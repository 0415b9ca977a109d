package main

import (
	"testing"
	"time"
)

func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"agent-1":        "agent-1",
		"a b: ö":         "a b: ö",
		"":               `""`,
		" a":             `" a"`,
		"a\nb":           `"a\nb"`,
		"\x1b[31ma":      `"\x1b[31ma"`,
		"a\u009b31mb":    `"a\u009b31mb"`,
		"a\u202eb":       `"a\u202eb"`,
		"a\xffb":         `"a\xffb"`,
		"a\u00a0b":       "\"a\\u00a0b\"",
		"a\u2028b\u200b": `"a\u2028b\u200b"`,
	} {
		if got := shown(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestContentTime: a time that is none is shown as it is.
func TestContentTime(t *testing.T) {
	now := time.Unix(1795533368, 0).UTC()
	for _, tt := range []struct {
		c    content
		want string
	}{
		{content{Envelope: &envelope{Timestamp: "2026-11-24T15:16:05Z"}}, "2026-11-24T15:16:05Z, 3s ago"},
		{content{Envelope: &envelope{Timestamp: "2026-11-24T16:16:08+00:30"}}, "2026-11-24T16:16:08+00:30, in 30m"},
		{content{Envelope: &envelope{Timestamp: "then\x1b"}}, `"then\x1b"`},
		{content{Instance: &instanceClaims{IssuedAt: 1795529768}}, "2026-11-24T14:16:08Z, 1h ago"},
	} {
		if got := tt.c.time(now); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.c, got, tt.want)
		}
	}
}
