package main

import (
	"encoding/json"
	"runtime"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
)

// TestVersionOfARelease: what the linker says counts before what the build knows.
func TestVersionOfARelease(t *testing.T) {
	before := []string{version, commit, date}
	t.Cleanup(func() { version, commit, date = before[0], before[1], before[2] })
	version, commit, date = "1.2.3", "0123456789abcdef0123456789abcdef01234567", "2026-11-24T15:16:08Z"
	if got := tool(t, "", "--version"); got != (result{stdout: "agentassert 1.2.3 (0123456789ab, 2026-11-24T15:16:08Z)\n"}) {
		t.Errorf("--version: %+v", got)
	}
	var got versionReport
	if err := json.Unmarshal([]byte(tool(t, "", "version", "--json").stdout), &got); err != nil {
		t.Fatal(err)
	}
	want := versionReport{
		Version: version, Commit: commit, Date: date, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		ABI: wire.ABIVersion, Module: moduleHash(),
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestDescribeCommit(t *testing.T) {
	for want, r := range map[string]versionReport{
		"unknown":                             {},
		"abc":                                 {Commit: "abc"},
		"abc, 2026-11-24T15:16:08Z":           {Commit: "abc", Date: "2026-11-24T15:16:08Z"},
		"abc, 2026-11-24T15:16:08Z, modified": {Commit: "abc", Date: "2026-11-24T15:16:08Z", Modified: true},
	} {
		if got := r.describeCommit(); got != want {
			t.Errorf("%+v: %q, want %q", r, got, want)
		}
	}
}
