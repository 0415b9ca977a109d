package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
	"github.com/agentassert/agentassert/host/keyringstore"
	"github.com/agentassert/agentassert/host/pgstore"
	"github.com/agentassert/agentassert/internal/privatefile"
)

const (
	// defaultStoreTable is package pgstore's.
	defaultStoreTable = "agentassert_records"
	// storeKeyVariable has the keys of a store where no file does.
	storeKeyVariable = "AGENTASSERT_STORE_KEY"
	// keyringPrefix, filePrefix and environmentPrefix begin values of --store.
	keyringPrefix     = "keyring:"
	filePrefix        = "file:"
	environmentPrefix = "env:"
	// maxKeyFile bounds a file with keys, in bytes: more than anybody rotates.
	maxKeyFile = 64 << 10
)

// storeHelp is for the commands that have these flags.
const storeHelp = `--store keeps the identity and its tasks in PostgreSQL, the system's keyring or files, and
leaves auth.json, which says who is signed in, unwritten. Whoever names the same
store and --store-name shares the identity; the records in PostgreSQL are sealed with
the keys in --store-key-file or ` + storeKeyVariable + `: the first one seals, all open.
--store file:PATH is for an auth.json that nothing can be written beside, as a
Kubernetes secret: the names of what it keeps begin with PATH, in a folder of this user's.`

// storeOptions are the flags that say where identities are kept.
type storeOptions struct {
	store, storeName, table, keyFile string
}

func (s *storeOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.store, "store", "", "keep the identity in postgres://HOST/DATABASE, keyring:SERVICE, file:PATH, or what the variable in env:NAME says")
	f.StringVar(&s.storeName, "store-name", "", "with --store: the name of the identity in there")
	f.StringVar(&s.keyFile, "store-key-file", "", "with --store postgres://: a file with keys, a line of base64 of 32 bytes each, which only its owner can read")
	f.StringVar(&s.table, "store-table", "", "with --store postgres://: the table, in the schema public, or schema.table (default: "+defaultStoreTable+")")
	must(cmd.MarkFlagFilename("store-key-file"))
	must(cmd.RegisterFlagCompletionFunc("store", cobra.FixedCompletions([]string{"postgres://", keyringPrefix, filePrefix, environmentPrefix},
		cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace)))
	completeNothing(cmd, "store-name", "store-table")
}

// given reports whether one of the flags is.
func (s *storeOptions) given() bool { return *s != storeOptions{} }

// storePlace is where --store says that identities are kept.
type storePlace struct {
	// postgres is the connection string, service the keyring's, or file a path.
	postgres, service, file string
	isKeyring               bool
}

// place reads the flags. What is in them is not in an error: it may be a password.
func (s *storeOptions) place() (storePlace, error) {
	for name, value := range map[string]string{"--store-name": s.storeName, "--store-key-file": s.keyFile, "--store-table": s.table} {
		if s.store == "" && value != "" {
			return storePlace{}, usage(fmt.Errorf("%s is for --store, which is not given", name))
		}
	}
	text, fromEnvironment := s.store, false
	if name, ok := strings.CutPrefix(text, environmentPrefix); ok {
		if text = os.Getenv(name); text == "" {
			return storePlace{}, usage(fmt.Errorf("--store %s%s: the variable is empty or not set", environmentPrefix, name))
		}
		fromEnvironment = true
	}
	if service, ok := strings.CutPrefix(text, keyringPrefix); ok {
		if s.keyFile != "" || s.table != "" {
			return storePlace{}, usage(errors.New("--store-key-file and --store-table are for PostgreSQL: a keyring has keys of its own, and no tables"))
		}
		return storePlace{service: service, isKeyring: true}, s.checkName()
	}
	if path, ok := strings.CutPrefix(text, filePrefix); ok {
		if path == "" {
			return storePlace{}, usage(errors.New("--store file: names no file; say, for example, --store file:/var/lib/agentassert/identity"))
		}
		if *s != (storeOptions{store: s.store}) {
			return storePlace{}, usage(errors.New("--store-name, --store-key-file and --store-table are for other stores: a file has its path, and its owner's rights"))
		}
		return storePlace{file: path}, nil
	}
	if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return storePlace{}, usage(errors.New("--store begins with postgres://, keyring:, file: or env:, and there is no other store"))
	}
	if !fromEnvironment && hasPassword(text) {
		return storePlace{}, usage(errors.New("--store has a password in it, which every program of the machine can read on a command line; put it into PGPASSWORD or ~/.pgpass, or the whole into a variable, and say --store env:NAME"))
	}
	return storePlace{postgres: text}, s.checkName()
}

func (s *storeOptions) checkName() error {
	if s.storeName == "" {
		return usage(errors.New("--store needs --store-name: whoever names the same one shares the identity"))
	}
	return nil
}

// hasPassword reports whether a connection string has a password, or cannot be read.
func hasPassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return true
	}
	_, given := u.User.Password()
	query := u.Query()
	return given || query.Has("password") || query.Has("sslpassword")
}

// keys returns the keys that records are sealed with. Nothing of them is in an error.
func (s *storeOptions) keys() ([]pgstore.Key, error) {
	text, from := os.Getenv(storeKeyVariable), storeKeyVariable
	switch {
	case s.keyFile != "" && text != "":
		return nil, usage(fmt.Errorf("the store's keys are in --store-key-file and in %s; which of them count? unset one", storeKeyVariable))
	case s.keyFile != "":
		var err error
		if text, err = privatefile.Read(s.keyFile, maxKeyFile); err != nil {
			return nil, fmt.Errorf("the keys in %s cannot be used: %w; make one with: (umask 077; openssl rand -base64 32 > FILE)", s.keyFile, err)
		}
		if len(text) > maxKeyFile {
			return nil, fmt.Errorf("the file %s is too large for one with keys", s.keyFile)
		}
		from = s.keyFile
	}
	var keys []pgstore.Key
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := pgstore.ParseKey(line)
		if err != nil {
			return nil, usage(fmt.Errorf("in %s, %w", from, err))
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, usage(fmt.Errorf("--store postgres:// needs a key, which the database does not get to know, in --store-key-file or %s; make one with: (umask 077; openssl rand -base64 32 > FILE)", storeKeyVariable))
	}
	return keys, nil
}

// open opens the store, which the caller closes.
func (s *storeOptions) open(ctx context.Context) (store host.Store, done func(), err error) {
	where, err := s.place()
	if err != nil {
		return nil, nil, err
	}
	if where.file != "" {
		kept := authfile.New(where.file)
		kept.Beside = true // there is no auth.json under this name
		return kept, func() {}, nil
	}
	if where.isKeyring {
		kept, err := keyringstore.Open(ctx, keyringstore.Config{Service: where.service, Account: s.storeName})
		if err != nil {
			return nil, nil, argument(err, core.CodeInvalidConfig)
		}
		return kept, func() {}, nil
	}
	kept, err := s.openPostgres(ctx, where)
	if err != nil {
		return nil, nil, err
	}
	// Without a table every call would get the bearer token, which is for what passes.
	if _, err := kept.Load(ctx, wire.SlotIdentity); core.Code(err) == pgstore.CodeSchemaMissing {
		kept.Close()
		return nil, nil, fmt.Errorf("there is no table for the identity; check its name, or make it with agentassert store migrate: %w", err)
	}
	return kept, kept.Close, nil
}

func (s *storeOptions) openPostgres(ctx context.Context, where storePlace) (*pgstore.Store, error) {
	keys, err := s.keys()
	if err != nil {
		return nil, err
	}
	store, err := pgstore.Open(ctx, pgstore.Config{ConnString: where.postgres, Keys: keys, Name: s.storeName, Table: s.table})
	return store, argument(err, core.CodeInvalidConfig)
}

func newStore() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store COMMAND",
		Short: "Look after the table in which identities are kept",
		Long: `Look after the table in PostgreSQL in which --store of other commands keeps
identities. The flags are those of these commands.`,
		Args: commandOrNothing,
		RunE: run(func(cmd *cobra.Command, _ []string) error { return cmd.Help() }),
	}
	cmd.AddCommand(newStoreMigrate(), newStoreReseal())
	return cmd
}

func newStoreMigrate() *cobra.Command {
	var s storeOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "migrate --store postgres://HOST/DATABASE --store-name NAME --store-key-file FILE",
		Short: "Make the table, where there is none",
		Long: `Make the table, where there is none. The role needs the right to; those of other
commands need SELECT, INSERT, UPDATE and DELETE.

--json prints one object: table, the name of the one that is there now.`,
		Example: "  (umask 077; openssl rand -base64 32 > keys)\n" +
			"  agentassert store migrate --store 'postgres://db.example.com/agents?sslmode=verify-full' --store-name fleet-1 --store-key-file keys",
		Args: noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			done := newProgress(cmd.ErrOrStderr()).goesOn("making the table …")
			err := s.withTable(cmd.Context(), func(store *pgstore.Store) error { return store.Migrate(cmd.Context()) })
			done()
			if err != nil {
				return err
			}
			made := struct {
				Table string `json:"table"`
			}{cmp.Or(s.table, defaultStoreTable)}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), made)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The table %s is there.\n", made.Table)
			return err
		}),
	}
	s.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as described above")
	must(cmd.MarkFlagRequired("store"))
	return cmd
}

func newStoreReseal() *cobra.Command {
	var s storeOptions
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "reseal --store postgres://HOST/DATABASE (--store-name NAME | --all-names) --store-key-file FILE",
		Short: "Seal all records with the first key",
		Long: `Seal the records that other keys have sealed with the first one, and print how many
those were. To change the key: give every machine the old key and the new one, in this
order; then the new one and the old one; run this until it succeeds; then give them the
new one alone. Nothing has to stand still for that.

--json prints one object: resealed, how many records. It is printed also where some could
not be, and the exit code is 3.`,
		Example: "  agentassert store reseal --store 'postgres://db.example.com/agents?sslmode=verify-full' --all-names --store-key-file keys",
		Args:    noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			reseal := (*pgstore.Store).Reseal
			if all {
				reseal = (*pgstore.Store).ResealAll
				s.storeName = "reseal" // which a store has to have, and this does not use
			}
			return s.withTable(cmd.Context(), func(store *pgstore.Store) error {
				done := newProgress(cmd.ErrOrStderr()).goesOn("sealing records …")
				n, err := reseal(store, cmd.Context())
				done()
				// Also of those before one that failed.
				return errors.Join(err, printResealed(cmd.OutOrStdout(), n, asJSON))
			})
		}),
	}
	s.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as described above")
	cmd.Flags().BoolVar(&all, "all-names", false, "the records of all names in the table, and not only of --store-name")
	must(cmd.MarkFlagRequired("store"))
	cmd.MarkFlagsOneRequired("store-name", "all-names")
	cmd.MarkFlagsMutuallyExclusive("store-name", "all-names")
	return cmd
}

// printResealed says how many records were sealed anew.
func printResealed(w io.Writer, n int, asJSON bool) error {
	if asJSON {
		return printJSON(w, struct {
			Resealed int `json:"resealed"`
		}{n})
	}
	what := "records were"
	if n == 1 {
		what = "record was"
	}
	_, err := fmt.Fprintf(w, "%d %s sealed with the first key.\n", n, what)
	return err
}

// withTable does something with a store in PostgreSQL.
func (s *storeOptions) withTable(ctx context.Context, do func(*pgstore.Store) error) error {
	where, err := s.place()
	if err != nil {
		return err
	}
	if where.postgres == "" {
		return usage(errors.New("--store keyring: and file: have no table; this is for postgres://"))
	}
	store, err := s.openPostgres(ctx, where)
	if err != nil {
		return err
	}
	defer store.Close()
	return do(store)
}
