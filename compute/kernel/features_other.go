//go:build !amd64 || purego

package kernel

// best returns generic: no assembly was built in.
func best() tier { return generic }

// Features lists the instruction sets in use: none in this build.
func Features() []string { return nil }
