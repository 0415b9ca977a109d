package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

func newKeygen(o *engineOptions) *cobra.Command {
	var asJSON bool
	var out, format string
	cmd := &cobra.Command{
		Use:        "keygen [--out FILE] [--format FORMAT]",
		SuggestFor: []string{"genkey", "generate"},
		Short:      "Make a private key, and print its public key",
		Long: `Make a private key, write it to a new file that only you can read, and print its
public key. The file has the public key too, in a comment: it is a key file for
'agentassert assert'.

Without --out both are printed, for a program that keeps them. A shell that
writes that to a file makes one which others can read.

--format has it in another form:
` + keyFormatsHelp + `

--json prints one object:
  private_key  in the format, of key-file the base64 alone, of jwk an object, of raw
               base64; left out with --out
  public_key   ssh-ed25519 …`,
		Example: "  agentassert keygen --out key.txt\n  agentassert keygen --out key.pem --format pem",
		Args:    noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains(privateKeyFormats, format) {
				return usage(fmt.Errorf("--format is %s, not %q", strings.Join(privateKeyFormats, ", "), format))
			}
			entropy := make([]byte, 32)
			if _, err := rand.Read(entropy); err != nil {
				return err
			}
			return o.withEngine(cmd.Context(), func(e host.Engine) error {
				pair, err := host.Call[wire.KeyPair](cmd.Context(), e, wire.MethodKeyGenerate, wire.KeyGenerateParams{Entropy: entropy})
				if err != nil {
					return err
				}
				made, err := exportPrivateKey(cmd.Context(), e, pair, format)
				if err != nil {
					return err
				}
				if out != "" {
					if err := writeKey(out, made.text()); err != nil {
						return err
					}
					made.key = nil
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), struct {
						PrivateKey any    `json:"private_key,omitempty"`
						PublicKey  string `json:"public_key"`
					}{made.json(), made.public})
				}
				return made.print(cmd.OutOrStdout(), false)
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "write the key to this file, which must not be there yet, and print the public key alone")
	f.StringVar(&format, "format", keyFileFormat, "the form of the key, as listed above")
	f.BoolVar(&asJSON, "json", false, "print JSON, as described above")
	must(cmd.MarkFlagFilename("out"))
	must(cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(privateKeyFormats, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// writeKey writes a new file, whole or not at all.
func writeKey(path, text string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("there is a file %s already, which stays as it is: a key in it would be lost; choose another name", path)
	}
	if err != nil {
		return fmt.Errorf("the key cannot be written: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("the key cannot be written: %w", err), os.Remove(path))
		}
	}()
	if _, err := f.WriteString(text); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}
