package pgstore_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host/pgstore"
)

func TestCodesOfAnswers(t *testing.T) {
	answer := func(severity, state string) error {
		return fmt.Errorf("wrapped: %w", &pgconn.PgError{Severity: severity, SeverityUnlocalized: severity, Code: state, Message: "message"})
	}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"no answer":                     {errors.New("no route to host"), pgstore.CodeUnreachable},
		"no table":                      {answer("ERROR", "42P01"), pgstore.CodeSchemaMissing},
		"a standby":                     {answer("ERROR", "25006"), core.CodeStoreReadOnly},
		"not prepared here":             {answer("ERROR", "26000"), pgstore.CodePooler},
		"prepared by another":           {answer("ERROR", "42P05"), pgstore.CodePooler},
		"prepared by another, unlike":   {answer("ERROR", "08P01"), pgstore.CodePooler},
		"a pooler that ends all":        {answer("FATAL", "08P01"), pgstore.CodeUnreachable},
		"a shutdown":                    {answer("FATAL", "57P01"), pgstore.CodeUnreachable},
		"no connection left":            {answer("FATAL", "53300"), pgstore.CodeUnreachable},
		"a right that the role has not": {answer("ERROR", "42501"), "given"},
	} {
		t.Run(name, func(t *testing.T) {
			checkCode(t, pgstore.Failed(t.Context(), "given", "message", test.err), test.want)
		})
	}
}
