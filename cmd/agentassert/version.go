package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/wasm"
)

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of the tool, the ABI and the module",
		Args:  cobra.NoArgs,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return printJSON(cmd.OutOrStdout(), struct {
					Version string `json:"version"`
					ABI     int    `json:"abi"`
					Module  string `json:"module_sha256"`
				}{toolVersion(), wire.ABIVersion, moduleHash()})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "agentassert %s\nabi %d\nmodule sha256 %s\n", toolVersion(), wire.ABIVersion, moduleHash())
			return err
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: version, abi, module_sha256")
	return cmd
}

// toolVersion is the module version that the tool was built from.
func toolVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func moduleHash() string {
	sum := sha256.Sum256(wasm.Module)
	return hex.EncodeToString(sum[:])
}
