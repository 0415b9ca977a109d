//go:build !unix

package privatefile

import "io/fs"

// forbidden are the rights that a file does not give if it is private.
func forbidden(fs.FileInfo) fs.FileMode { return 0o077 }
