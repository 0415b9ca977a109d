package authority_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
)

func TestLogDecisions(t *testing.T) {
	k := newKey(t, 1)
	known := directory{
		agents: map[string]authority.Agent{"a": {PublicKey: k.Public(), AccountID: "acct-1"}},
		tasks:  map[[2]string]authority.TaskStatus{{"a", "t"}: authority.TaskActive},
	}
	sign := func(k *core.PrivateKey, agent, task string) string {
		header, err := core.BuildAssertion(k, agent, task, start.Unix())
		if err != nil {
			t.Fatal(err)
		}
		return header
	}
	for _, tt := range []struct {
		name   string
		agents authority.Directory
		header string
		level  slog.Level // of the logger
		want   string     // the line, without time and duration
	}{
		{"let in", known, sign(k, "a", "t"), slog.LevelDebug,
			`{"account_id":"acct-1","agent_runtime_id":"a","level":"DEBUG","msg":"request let in","remembered":false,"task_id":"t"}`},
		{"let in, and nobody asks", known, sign(k, "a", "t"), slog.LevelInfo, ``},
		{"forged", known, sign(newKey(t, 2), "a", "t"), slog.LevelInfo,
			`{"agent_runtime_id":"a","code":"unknown_agent","level":"INFO","msg":"request refused","reason":"invalid_signature","remembered":false,"task_id":"t"}`},
		{"no assertion", known, "", slog.LevelInfo,
			`{"code":"unauthenticated","level":"INFO","msg":"request refused","reason":"unauthenticated","remembered":false}`},
		{"refused, and nobody asks", known, "", slog.LevelWarn, ``},
		{"long", known, sign(k, strings.Repeat("a", 4096), "t"), slog.LevelInfo,
			`{"agent_runtime_id":"` + strings.Repeat("a", 256) + `…","code":"unknown_agent","level":"INFO","msg":"request refused","reason":"unknown_agent","remembered":false,"task_id":"t"}`},
		{"at fault", directory{failure: errors.New("the database is away")}, sign(k, "a", "t"), slog.LevelError,
			`{"agent_runtime_id":"a","code":"directory_failed","error":"the database is away","level":"ERROR","msg":"request refused","reason":"directory_failed","remembered":false,"task_id":"t"}`},
		{"at fault itself", directory{agents: map[string]authority.Agent{"a": {PublicKey: k.Public()}}}, sign(k, "a", "t"), slog.LevelError,
			`{"agent_runtime_id":"a","code":"internal","level":"ERROR","msg":"request refused","reason":"internal","remembered":false,"task_id":"t"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			now := start
			if strings.Contains(tt.want, `"internal"`) {
				now = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) // which RFC 3339 cannot write
			}
			v := newVerifier(t, authority.VerifierOptions{
				Agents: tt.agents, Now: func() time.Time { return now },
				Decided: authority.LogDecisions(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: tt.level}))),
			})
			r := &http.Request{Header: http.Header{}}
			if tt.header != "" {
				r.Header.Set("Authorization", tt.header)
			}
			// The error is the decision's.
			_, _ = v.Verify(r)
			got := ""
			if out.Len() > 0 {
				var line map[string]any
				if err := json.Unmarshal(out.Bytes(), &line); err != nil { // one line
					t.Fatalf("%v: %s", err, &out)
				}
				if d, ok := line["duration"].(float64); !ok || d <= 0 {
					t.Errorf("the duration is %v", line["duration"])
				}
				delete(line, "time")
				delete(line, "duration")
				text, err := json.Marshal(line)
				if err != nil {
					t.Fatal(err)
				}
				got = string(text)
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
