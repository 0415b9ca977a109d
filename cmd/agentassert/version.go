package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/wasm"
)

// What a release says of itself: its version, such as 1.2.3, the commit, and the commit's
// time in RFC 3339. The linker sets them (-X main.version=…); otherwise the build knows
// what it was made from.
var version, commit, date string

// versionReport is what there is to know about a build.
type versionReport struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	ABI      int    `json:"abi"`
	Module   string `json:"module_sha256"`
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version [--json]",
		Short: "Print the versions of the tool, the ABI and the module",
		Long: `Print the versions of the tool, of the ABI, and of the WebAssembly module that uses
the keys: its SHA-256 is that of the file agentassert.wasm of the same release.

--json prints one object:
  version        the tool's, or devel
  commit, date   what it was built from, and when that was committed, in RFC 3339;
                 left out where the build does not know
  modified       true where it was built from something else than the commit
  go, platform   the Go toolchain, and the system and processor it is for
  abi            the version of the module's ABI, a number
  module_sha256  in hexadecimal`,
		Example: "  agentassert version\n  agentassert version --json | jq -r .module_sha256",
		Args:    noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			report := newVersionReport()
			if asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "agentassert %s\ncommit %s\ngo %s %s\nabi %d\nmodule sha256 %s\n",
				report.Version, report.describeCommit(), report.Go, report.Platform, report.ABI, report.Module)
			return err
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as described above")
	return cmd
}

func newVersionReport() versionReport {
	r := versionReport{
		Version: toolVersion(), Commit: commit, Date: date,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		ABI: wire.ABIVersion, Module: moduleHash(),
	}
	if commit != "" {
		return r // a release, whose build may know less, and not more
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				r.Commit = s.Value
			case "vcs.time":
				r.Date = cmp.Or(r.Date, s.Value)
			case "vcs.modified":
				r.Modified = s.Value == "true"
			}
		}
	}
	return r
}

// describeCommit is what a person is told of the commit.
func (r versionReport) describeCommit() string {
	said := cmp.Or(r.Commit, "unknown")
	if r.Date != "" {
		said += ", " + r.Date
	}
	if r.Modified {
		said += ", modified"
	}
	return said
}

// oneLineVersion is what --version prints.
func oneLineVersion() string {
	r := newVersionReport()
	if r.Commit == "" {
		return r.Version
	}
	r.Commit = r.Commit[:min(len(r.Commit), 12)]
	return fmt.Sprintf("%s (%s)", r.Version, r.describeCommit())
}

// toolVersion is the version of the release, or of the module that the tool was built from.
func toolVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func moduleHash() string {
	sum := sha256.Sum256(wasm.Module)
	return hex.EncodeToString(sum[:])
}
