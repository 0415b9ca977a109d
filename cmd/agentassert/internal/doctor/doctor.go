// Package doctor looks at everything that agentassert's calls depend on, and says what is
// wrong and what to do. It changes nothing: it makes, writes and removes no file, and
// takes no lock that anybody could notice. It sends nothing, unless told.
package doctor

import (
	"context"
	"io/fs"
	"net/http"
	"time"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/internal/egress"
)

// Subject is what is examined.
type Subject struct {
	// AuthFile is the auth.json, as the user named it. It is empty where there is
	// something in its place: KeyringHome, the home folder of a client that keeps its
	// sign-in in the keyring, or neither.
	AuthFile, KeyringHome string
	// Accounts take the place of AuthFile: they are examined one after another.
	// AccountProblems are about those that have no file that could be.
	Accounts        []Account
	AccountProblems []string
	// Beside and WithoutLocks are those of authfile.File.
	Beside, WithoutLocks bool
	// Manager is what calls are authorized with, except for whose they are.
	Manager host.ManagerConfig
	// Store is where identities are kept, where that is not AuthFile.
	Store *Store
	// Sandbox says where compiled code is kept. Start starts one without a cache, and ends
	// it; it is nil where none is used.
	Sandbox host.SandboxOptions
	Start   func(context.Context) error
	// Send asks the backend and a store in PostgreSQL, with no credential of the user's.
	// SendAssertion asks the backend with an assertion, too.
	Send, SendAssertion bool
	// Transport makes the one that requests would leave by.
	Transport func() (*http.Transport, error)
	// Said is what a person is told of an answer.
	Said func(mode, reason string, cause, notice error) []string
	// Now takes the place of time.Now.
	Now func() time.Time
}

// Account is one of many, with an auth.json of its own.
type Account struct{ Name, AuthFile string }

// examination is a subject, and what has been found out about it.
type examination struct {
	Subject
	findings []Finding

	// target is the auth.json behind all links, and info, where it is there, a file.
	target string
	info   fs.FileInfo
	// content is what was read of it, if isRead.
	content []byte
	isRead  bool
	// readOnly says why the file cannot be written, where it cannot.
	readOnly string
	// credentials are those of whoever is signed in, if that could be told.
	credentials *wire.Credentials
	// store has copies of the records.
	store *host.MemoryStore
	// identity is the stored one, empty where there is none or none to be read.
	identity record
	// base is the backend's, nil where the base URL is none.
	base *wire.BaseURL
	// authorities are those of the environment, nil for none.
	authorities *egress.Authorities
}

// Examine runs all checks. A subject that nothing could be found out about is still a
// report: errors are findings.
func Examine(ctx context.Context, s Subject) Report {
	if s.Now == nil {
		s.Now = time.Now
	}
	e := &examination{Subject: s, store: &host.MemoryStore{}}
	if s.Accounts != nil || s.AccountProblems != nil {
		e.checkBaseURL()
		e.checkAccounts(ctx)
	} else {
		e.checkUser(ctx)
	}
	e.checkClient()
	e.checkProxy()
	e.checkAuthorities()
	e.checkCache()
	e.checkSandbox(ctx)
	e.checkBackend(ctx)
	return newReport(e.findings)
}

// checkUser is about who is signed in, and what is kept of it.
func (e *examination) checkUser(ctx context.Context) {
	e.checkAuthFile(ctx)
	if e.info != nil {
		e.checkMount()
		e.checkRights()
		e.checkLinks()
		e.checkWriters()
		e.checkLocks()
	}
	e.checkBeside(ctx)
	e.checkKeyring(ctx)
	e.checkSignIn()
	e.checkStore(ctx)
	e.checkIdentity(ctx)
	e.checkBaseURL()
	e.checkCalls(ctx)
	e.checkClock()
}
