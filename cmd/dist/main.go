// Command dist makes what a release consists of: archives and packages of the command for each system, the
// module, the test vectors, the packages of other languages, lists of what is in them, checksums and a signature.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// Exit codes.
const (
	exitOK     = 0
	exitUsage  = 2
	exitFailed = 3
)

const usage = `Usage: dist [flags]

dist makes a release of the commit that is checked out, in a folder, which it
replaces as a whole:

  agentassert_VERSION_OS_ARCH.tar.gz   the command, with man pages, completions and units; .zip for Windows
  agentassert_VERSION_linux_ARCH.deb   the same as packages, .rpm too
  agentassert_VERSION_OS_ARCH.cdx.json what is in the command: CycloneDX
  agentassert.wasm                     the module by itself
  agentassert_VERSION_wasm.tar.gz      the module, with ABI.md and the CDDL
  agentassert_VERSION_vectors.tar.gz   the test vectors
  SHA256SUMS, SHA256SUMS.minisig       the checksums of all, and their signature

and the packages for JavaScript, C and Python, as "make js-package packages"
makes them. The same commit, version and Go release give the same bytes.

Flags:
  -version V               such as v0.3.0; default: the tag of the commit, else a pseudo-version of it
  -out DIR                 default build/dist, in the repository
  -platforms LIST          such as linux/amd64,windows/arm64; default: all that are released
  -languages=false         leave out the packages for JavaScript, C and Python
  -signing-key FILE        a secret key of minisign, which signs SHA256SUMS
  -signing-password-file FILE
                           the key's password; default: MINISIGN_PASSWORD, or none

A working tree that is not what was committed gets a version that ends in
"+dirty"; it is refused where there is a version or a key.

Exit status: 0 done; 2 wrong usage; 3 refused or failed, and the folder is as it was.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are what the command line asks for.
type options struct {
	version, out, platforms string
	languages               bool
	key, password           string // files
}

// run is the program; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("dist", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.version, "version", "", "")
	flags.StringVar(&o.out, "out", "", "")
	flags.StringVar(&o.platforms, "platforms", "", "")
	flags.BoolVar(&o.languages, "languages", true, "")
	flags.StringVar(&o.key, "signing-key", "", "")
	flags.StringVar(&o.password, "signing-password-file", "", "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	if err == nil && flags.NArg() != 0 {
		err = fmt.Errorf("%q is not a flag", flags.Arg(0))
	}
	if err == nil && o.version != "" {
		err = checkVersion(o.version)
	}
	var platforms []platform
	if err == nil {
		platforms, err = parsePlatforms(o.platforms)
	}
	if err != nil {
		fmt.Fprintf(stderr, "dist: %v; see dist -help\n", err)
		return exitUsage
	}
	if err := distribute(ctx, o, platforms, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "dist: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// distribute makes the release beside where it is to be, and puts it there when it is complete.
func distribute(ctx context.Context, o options, platforms []platform, stdout, stderr io.Writer) error {
	say := func(format string, args ...any) { fmt.Fprintf(stderr, "dist: "+format+"\n", args...) }
	src, err := identify(ctx, o.version)
	if err != nil {
		return err
	}
	if src.dirty && (o.version != "" || o.key != "") {
		return fmt.Errorf("the working tree is not what was committed; commit, stash or remove:\n%s", src.changes)
	}
	if src.named && o.languages {
		if err := src.checkLanguages(); err != nil {
			return err
		}
	}
	// Before all else, for the password may be wrong.
	var sign *signer
	if o.key != "" {
		if sign, err = readSigner(o.key, o.password); err != nil {
			return err
		}
	}
	if o.out == "" {
		o.out = filepath.Join(src.root, "build", "dist")
	}
	place, err := newPlace(o.out)
	if err != nil {
		return err
	}
	defer place.discard()
	r := &release{source: src, out: place, say: say}
	say("%s, commit %.12s of %s, %s", src.version, src.commit, src.time.Format("2006-01-02"), src.goVersion)
	if err := r.makeAll(ctx, platforms, o.languages); err != nil {
		return err
	}
	sums, err := place.sums()
	if err != nil {
		return err
	}
	if err := place.write("SHA256SUMS", sums); err != nil {
		return err
	}
	if sign != nil {
		signature, err := sign.sign(sums, src.version)
		if err != nil {
			return err
		}
		if err := place.write("SHA256SUMS.minisig", signature); err != nil {
			return err
		}
		say("signed; the public key is %s", sign.public)
	}
	if err := place.commit(); err != nil {
		return err
	}
	return place.report(stdout)
}
