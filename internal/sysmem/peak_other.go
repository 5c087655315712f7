//go:build !unix

package sysmem

import "os"

// Peak is 0: the system does not say.
func Peak(*os.ProcessState) int64 { return 0 }
