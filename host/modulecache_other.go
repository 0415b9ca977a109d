//go:build !unix

package host

import "io/fs"

// Elsewhere a mode does not tell who can write. A folder in the user's profile is
// the user's alone by what it inherits.

func ownedByUs(fs.FileInfo) bool        { return true }
func writableByOthers(fs.FileInfo) bool { return false }
func replaceable(fs.FileInfo) bool      { return false }
