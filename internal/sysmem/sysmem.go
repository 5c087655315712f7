// Package sysmem says how much memory this machine, or the container around
// the process, has and leaves. Figures are bytes, zero where nobody says
// (systems other than Linux).
package sysmem

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// Total is the memory of the machine.
func Total() int64 {
	kib, _ := field("/proc/meminfo", "MemTotal:")
	return kib << 10
}

// Limit is what this process may use at most: the memory of the machine, or the
// container's limit where that is less.
func Limit() int64 {
	all := Total()
	if limit, ok := field("/sys/fs/cgroup/memory.max", ""); ok && (all == 0 || limit < all) {
		return limit
	}
	return all
}

// Free is what the system and the container's limit still leave.
func Free() int64 {
	kib, ok := field("/proc/meminfo", "MemAvailable:")
	if !ok {
		return 0
	}
	free := kib << 10
	limit, ok1 := field("/sys/fs/cgroup/memory.max", "")
	used, ok2 := field("/sys/fs/cgroup/memory.current", "")
	if ok1 && ok2 {
		files, _ := field("/sys/fs/cgroup/memory.stat", "file") // cached files give way
		free = min(free, max(0, limit-used+files))
	}
	return free
}

// field reads the number after the word name, or the first of the file when
// name is empty. A cgroup's "max" is no number.
func field(path, name string) (int64, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	words := strings.Fields(string(b))
	i := 0
	if name != "" {
		i = slices.Index(words, name) + 1
	}
	if i >= len(words) || name != "" && i == 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(words[i], 10, 64)
	return n, err == nil
}
