package main

import (
	"crypto/rand"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

func newKeygen(o *engineOptions) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make a private key and print it with its public key",
		Long: `Make a private key. The public key is printed as a comment before it, so that the
output is a key file for 'agentassert assert'. Keep it secret.`,
		Example: "  (umask 077; agentassert keygen > key.txt)",
		Args:    cobra.NoArgs,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			entropy := make([]byte, 32)
			if _, err := rand.Read(entropy); err != nil {
				return err
			}
			return o.withEngine(cmd.Context(), func(e host.Engine) error {
				pair, err := host.Call[wire.KeyPair](cmd.Context(), e, wire.MethodKeyGenerate, wire.KeyGenerateParams{Entropy: entropy})
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), struct {
						PrivateKey string `json:"private_key"`
						PublicKey  string `json:"public_key"`
					}{pair.PrivateKey, pair.PublicKey})
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "# public key: %s\n%s\n", pair.PublicKey, pair.PrivateKey)
				return err
			})
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: private_key, public_key")
	return cmd
}
