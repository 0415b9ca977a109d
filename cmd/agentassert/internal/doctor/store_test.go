package doctor_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/doctor"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
)

func TestStore(t *testing.T) {
	never := func(context.Context) (host.Store, func(), error) {
		t.Error("the store was opened")
		return nil, nil, errors.New("never")
	}
	t.Run("flags", func(t *testing.T) {
		s := subjectOf(t, newFile(t, document))
		s.Store = &doctor.Store{Err: errors.New("--store needs --store-name; name it"), Open: never}
		want{"store", doctor.Problem, []string{"--store-name"}}.in(t, examine(t, s))
	})
	t.Run("not asked", func(t *testing.T) {
		s := subjectOf(t, newFile(t, document))
		s.Store = &doctor.Store{Postgres: func() string { return "postgres://db.invalid/x" }, Open: never}
		want{"store", doctor.Note, []string{"not asked", "--send"}}.in(t, examine(t, s))
	})
	t.Run("keyring", func(t *testing.T) {
		s := subjectOf(t, newFile(t, document))
		s.Store = &doctor.Store{Open: func(context.Context) (host.Store, func(), error) {
			return nil, nil, &core.Error{Code: "keyring_unavailable", Message: "the system's keyring cannot be read; unlock it"}
		}}
		want{"store", doctor.Problem, []string{"keyring", "unlock it"}}.in(t, examine(t, s))
		s.Store.Open = func(context.Context) (host.Store, func(), error) { return &host.MemoryStore{}, func() {}, nil }
		want{"store", doctor.OK, []string{"keyring"}}.in(t, examine(t, s))
	})
	t.Run("file", func(t *testing.T) {
		s := subjectOf(t, newFile(t, document))
		path := filepath.Join(t.TempDir(), "identity")
		s.Store = &doctor.Store{File: path, Open: never}
		want{"store", doctor.OK, []string{"can be written"}}.in(t, examine(t, s))
		write(t, path+".identity", identity(t, ""))
		report := examine(t, s)
		want{"store", doctor.OK, []string{"has 1 records"}}.in(t, report)
		want{"calls", doctor.OK, []string{"agent-1"}}.in(t, report)
		s.Store.File = filepath.Join(t.TempDir(), "gone", "identity")
		want{"store", doctor.Problem, []string{"nothing can be kept"}}.in(t, examine(t, s))
	})
}
