//go:build !unix

package localnats

import "os"

// lock does nothing here: this system has no flock, and `kfbus dev` is all that
// uses it.
func lock(*os.File) error { return nil }
