// Package interop holds this project against the reference client, which it runs
// as a process of its own. Its tests have the build tag interop; the command
// "make interop" runs them. README.md says what they prove.
package interop
