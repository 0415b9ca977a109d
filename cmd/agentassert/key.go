package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// keyFileFormat is the form of the files that keygen writes: the form that is kept, with the
// public key in a comment.
const keyFileFormat = "key-file"

var (
	privateKeyFormats = []string{keyFileFormat, wire.KeyFormatPKCS8V1, wire.KeyFormatPEM, wire.KeyFormatJWK, wire.KeyFormatOpenSSH, wire.KeyFormatRaw}
	publicKeyFormats  = []string{wire.KeyFormatOpenSSH, wire.KeyFormatSPKI, wire.KeyFormatPEM, wire.KeyFormatJWK, wire.KeyFormatRaw}
)

// keyFormatsHelp is for the commands that write private keys.
const keyFormatsHelp = `  key-file  what 'agentassert assert' and auth.json have: base64 of PKCS#8 version 2
  pkcs8-v1  base64 of PKCS#8 version 1
  pem       the same in PEM, for OpenSSL, Node, Go, Python
  jwk       a JWK, for Web Crypto and jose
  openssh   for ssh-keygen
  raw       the 32 bytes of the seed`

func newKey(o *engineOptions) *cobra.Command {
	var public, asJSON bool
	var format, out string
	cmd := &cobra.Command{
		Use:        "key [--public] [--format FORMAT] [--out FILE] FILE",
		SuggestFor: []string{"convert", "import", "export", "pubkey"},
		Short:      "Read a key in any form, and print its public key, or it in another form",
		Long: `Read an Ed25519 private key in any form, and print its public key; with --format the
private key in another form. FILE is a file; - is standard input, such as another
program's output. What is read: PEM, PKCS#8, JWK, OpenSSH without a passphrase, a
seed, as text or as bytes.

--format of a private key:
` + keyFormatsHelp + `

With --public a public key is read in any form, and printed in one of these:
  openssh   ssh-ed25519 … (the default)
  spki      base64 of SubjectPublicKeyInfo
  pem       the same in PEM
  jwk       a JWK
  raw       the 32 bytes

A private key is better written with --out: to a new file that only you can read.

--json prints one object:
  public_key  ssh-ed25519 …
  key         in the format: a text, of jwk an object, of raw base64;
              left out without --format, and with --out`,
		Example: "  agentassert key ~/.ssh/id_ed25519\n" +
			"  agentassert key --format pem --out key.pem key.txt\n" +
			"  agentassert key --public --format jwk agent.pub",
		Args: oneKeyFile,
		RunE: run(func(cmd *cobra.Command, args []string) error {
			formats := privateKeyFormats
			if public {
				formats = publicKeyFormats
			}
			if format != "" && !slices.Contains(formats, format) {
				return usage(fmt.Errorf("--format is %s, not %q", strings.Join(formats, ", "), format))
			}
			if out != "" && format == "" {
				return usage(fmt.Errorf("--out goes with --format: %s", strings.Join(formats, ", ")))
			}
			data, err := readKeyFile(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			return o.withEngine(cmd.Context(), func(e host.Engine) error {
				made, err := convertKey(cmd.Context(), e, data, public, format)
				if err != nil {
					return err
				}
				if out != "" {
					if err := writeKey(out, made.text()); err != nil {
						return err
					}
					made.key = nil
				}
				return made.print(cmd.OutOrStdout(), asJSON)
			})
		}),
	}
	f := cmd.Flags()
	f.BoolVar(&public, "public", false, "FILE holds a public key")
	f.StringVar(&format, "format", "", "the form to print the key in, as listed above")
	f.StringVar(&out, "out", "", "write it to this file, which must not be there yet, and print the public key alone")
	f.BoolVar(&asJSON, "json", false, "print JSON, as described above")
	must(cmd.MarkFlagFilename("out"))
	must(cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formatsOfKeys(), cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// formatsOfKeys are all there are.
func formatsOfKeys() []string {
	formats := slices.Concat(privateKeyFormats, publicKeyFormats)
	slices.Sort(formats)
	return slices.Compact(formats)
}

// oneKeyFile takes the name of a file.
func oneKeyFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("'%s' needs one argument, the key's FILE, or - to read it from standard input", cmd.CommandPath())
	}
	return nil
}

// maxEncodedKey bounds what is read of a key's file, in bytes.
const maxEncodedKey = 64 << 10

// readKeyFile reads a key's file, in whatever form.
func readKeyFile(path string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("the key file cannot be opened: %w; 'agentassert keygen --out FILE' makes one", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxEncodedKey))
	if err != nil {
		return nil, fmt.Errorf("the key file cannot be read: %w", err)
	}
	return data, nil
}

// importPrivateKey returns a key that is in whatever form in the form that is kept.
func importPrivateKey(ctx context.Context, e host.Engine, data []byte) (wire.KeyPair, error) {
	return host.Call[wire.KeyPair](ctx, e, wire.MethodKeyImport, wire.EncodedKey{Bytes: data})
}

// convertKey reads a key, and makes what is to be printed of it.
func convertKey(ctx context.Context, e host.Engine, data []byte, public bool, format string) (printedKey, error) {
	if !public {
		pair, err := importPrivateKey(ctx, e, data)
		if err != nil || format == "" {
			return printedKey{public: pair.PublicKey}, err
		}
		return exportPrivateKey(ctx, e, pair, format)
	}
	imported, err := host.Call[wire.ImportedPublicKey](ctx, e, wire.MethodPublicKeyImport, wire.EncodedKey{Bytes: data})
	made := printedKey{public: imported.PublicKey, format: format}
	switch {
	case err != nil || format == "":
		return made, err
	case format == wire.KeyFormatOpenSSH:
		made.key = []byte(made.public)
		return made, nil
	}
	return made.exported(ctx, e, wire.KeyExportParams{PublicKey: made.public, KeyFormat: format})
}

// exportPrivateKey makes what is to be printed of a private key.
func exportPrivateKey(ctx context.Context, e host.Engine, pair wire.KeyPair, format string) (printedKey, error) {
	made := printedKey{public: pair.PublicKey, format: format}
	if format == keyFileFormat {
		made.key = []byte(pair.PrivateKey)
		return made, nil
	}
	return made.exported(ctx, e, wire.KeyExportParams{PrivateKey: pair.PrivateKey, KeyFormat: format})
}

// printedKey is a key as it is printed. It holds a secret, if the key is one.
type printedKey struct {
	public, format string
	key            []byte // nil where the public key is all that is wanted
}

func (k printedKey) exported(ctx context.Context, e host.Engine, params wire.KeyExportParams) (printedKey, error) {
	exported, err := host.Call[wire.EncodedKey](ctx, e, wire.MethodKeyExport, params)
	k.key = slices.Concat([]byte(exported.Key), exported.Bytes)
	return k, err
}

// text is what a file with the key holds.
func (k printedKey) text() string {
	switch k.format {
	case wire.KeyFormatRaw:
		return string(k.key)
	case keyFileFormat:
		return fmt.Sprintf("# public key: %s\n%s\n", k.public, k.key)
	}
	return strings.TrimSuffix(string(k.key), "\n") + "\n"
}

// json is the key as a member of an object.
func (k printedKey) json() any {
	switch {
	case k.key == nil:
		return nil
	case k.format == wire.KeyFormatRaw:
		return k.key // which is base64
	case k.format == wire.KeyFormatJWK:
		return json.RawMessage(k.key)
	}
	return string(k.key)
}

func (k printedKey) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, struct {
			PublicKey string `json:"public_key"`
			Key       any    `json:"key,omitempty"`
		}{k.public, k.json()})
	}
	text := k.public + "\n"
	if k.key != nil {
		text = k.text()
	}
	_, err := io.WriteString(w, text)
	return err
}
