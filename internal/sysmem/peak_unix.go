//go:build unix

package sysmem

import (
	"os"
	"runtime"
	"syscall"
)

// Peak is the most memory that a process which has ended had at once, in bytes;
// 0 where the system does not say.
func Peak(p *os.ProcessState) int64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	switch {
	case !ok:
		return 0
	case runtime.GOOS == "darwin" || runtime.GOOS == "ios": // there it is bytes
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}
