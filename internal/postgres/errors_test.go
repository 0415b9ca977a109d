package postgres_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/internal/postgres"
)

func TestCodesOfAnswers(t *testing.T) {
	answer := func(severity, state string) error {
		return fmt.Errorf("wrapped: %w", &pgconn.PgError{Severity: severity, SeverityUnlocalized: severity, Code: state, Message: "message"})
	}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"no answer":                     {errors.New("no route to host"), postgres.CodeUnreachable},
		"no table":                      {answer("ERROR", "42P01"), postgres.CodeSchemaMissing},
		"a standby":                     {answer("ERROR", "25006"), core.CodeStoreReadOnly},
		"not prepared here":             {answer("ERROR", "26000"), postgres.CodePooler},
		"prepared by another":           {answer("ERROR", "42P05"), postgres.CodePooler},
		"prepared by another, unlike":   {answer("ERROR", "08P01"), postgres.CodePooler},
		"a pooler that ends all":        {answer("FATAL", "08P01"), postgres.CodeUnreachable},
		"a shutdown":                    {answer("FATAL", "57P01"), postgres.CodeUnreachable},
		"no connection left":            {answer("FATAL", "53300"), postgres.CodeUnreachable},
		"a right that the role has not": {answer("ERROR", "42501"), "given"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := core.Code(postgres.Failed(t.Context(), "given", "message", test.err)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
