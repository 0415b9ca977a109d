// Package interop holds this project against the reference client, in several
// releases, which it runs as processes of their own. Its tests have the build tag
// interop; the command "make interop" runs them. README.md says what they prove.
package interop
