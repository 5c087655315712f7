// Package mapfile shows a file as memory, read-only: mapped where the system
// can, read elsewhere. Files are replaced by renaming (package atomicfile), so
// a mapped one does not shrink under its reader.
package mapfile
