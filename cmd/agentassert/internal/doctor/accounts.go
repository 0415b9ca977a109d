package doctor

import (
	"context"

	"github.com/agentassert/agentassert/host"
)

const checkNameAccounts = "accounts"

// checkAccounts examines one account after another. Of those with which all is well there
// is one finding in all.
func (e *examination) checkAccounts(ctx context.Context) {
	for _, problem := range e.AccountProblems {
		e.problem(checkNameAccounts, "see that its folder has the auth.json of who it is for", "%s", problem)
	}
	well := 0
	for _, account := range e.Accounts {
		of := &examination{Subject: e.Subject, store: &host.MemoryStore{}}
		of.AuthFile = account.AuthFile
		of.checkUser(ctx)
		isWell := true
		for _, f := range of.findings {
			if f.Level == OK || f.Check == checkNameBaseURL {
				continue
			}
			isWell = false
			f.Message = "account " + account.Name + ": " + f.Message
			e.findings = append(e.findings, f)
		}
		if isWell {
			well++
		}
	}
	e.ok(checkNameAccounts, "of %d accounts nothing is to be said of %d", len(e.Accounts)+len(e.AccountProblems), well)
}
