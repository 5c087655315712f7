package hub

import (
	"encoding/json"
	"fmt"
	"regexp"
)

// Bounds of what a registry may say.
const (
	maxListing = 32 << 20 // bytes of an answer
	maxFile    = 1 << 44  // bytes of a file: 16 TiB
	maxLayers  = 1000
)

// Digest is a checksum: the algorithm and its hexadecimal digits.
type Digest struct {
	Algorithm string // sha256, or git: the SHA-1 that git names a blob by
	Hex       string
}

// String writes the digest as algorithm:hex.
func (d Digest) String() string { return d.Algorithm + ":" + d.Hex }

// The algorithms.
const (
	sha256Name = "sha256"
	gitName    = "git"
)

var (
	hex64 = regexp.MustCompile(`^[0-9a-f]{64}$`)
	hex40 = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// File is one file of a repository.
type File struct {
	Path   string // below the repository's root, with slashes
	Size   int64  // bytes
	Digest Digest
}

// parseRevision reads the answer of /api/models/REPO/revision/REV?blobs=true:
// the commit, and all files with sizes and digests.
func parseRevision(data []byte) (commit string, files []File, err error) {
	var list struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name   string `json:"rfilename"`
			Size   *int64 `json:"size"`
			BlobID string `json:"blobId"`
			LFS    *struct {
				SHA256 string `json:"sha256"`
				Size   int64  `json:"size"`
			} `json:"lfs"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return "", nil, fmt.Errorf("%w: list of files: %w", ErrListing, err)
	}
	if !hex40.MatchString(list.SHA) {
		return "", nil, fmt.Errorf("%w: sha is %.80q, want a commit of 40 hexadecimal digits", ErrListing, list.SHA)
	}
	seen := map[string]bool{}
	for _, s := range list.Siblings {
		f := File{Path: s.Name, Digest: Digest{gitName, s.BlobID}, Size: -1}
		if s.Size != nil {
			f.Size = *s.Size
		}
		if s.LFS != nil {
			f.Size, f.Digest = s.LFS.Size, Digest{sha256Name, s.LFS.SHA256}
		}
		if err := f.check(seen); err != nil {
			return "", nil, err
		}
		if safePath(f.Path) { // a name that some systems forbid is none of a model's
			files = append(files, f)
		}
	}
	return list.SHA, files, nil
}

// check refuses what must not become a file.
func (f File) check(seen map[string]bool) error {
	switch {
	case hostile(f.Path):
		return fmt.Errorf("%w: it lists a file %.200q, which is no path inside a folder", ErrListing, f.Path)
	case seen[f.Path]:
		return fmt.Errorf("%w: it lists %s twice", ErrListing, f.Path)
	case f.Size < 0 || f.Size > maxFile:
		return fmt.Errorf("%w: %s has %d bytes, want 0 to %d", ErrListing, f.Path, f.Size, int64(maxFile))
	case !f.Digest.valid():
		return fmt.Errorf("%w: %s has digest %.100q, want 64 (sha256) or 40 (git) hexadecimal digits", ErrListing, f.Path, f.Digest)
	}
	seen[f.Path] = true
	return nil
}

func (d Digest) valid() bool {
	return d.Algorithm == sha256Name && hex64.MatchString(d.Hex) || d.Algorithm == gitName && hex40.MatchString(d.Hex)
}

// Types of an Ollama manifest and its layers.
const (
	manifestType = "application/vnd.docker.distribution.manifest.v2+json"
)

// layer is one blob of a manifest.
type layer struct {
	kind   string // model, template, system, params, license, ... ; config
	size   int64
	digest Digest
}

// parseManifest reads an Ollama manifest; the config comes first.
func parseManifest(data []byte) ([]layer, error) {
	type blob struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int64  `json:"size"`
	}
	var m struct {
		Schema    int    `json:"schemaVersion"`
		MediaType string `json:"mediaType"`
		Config    blob   `json:"config"`
		Layers    []blob `json:"layers"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("%w: manifest: %w", ErrListing, err)
	}
	if m.Schema != 2 || m.MediaType != manifestType && m.MediaType != "" || len(m.Layers) > maxLayers {
		return nil, fmt.Errorf("%w: manifest of schema %d, type %.100q, %d layers: want schema 2, %s, at most %d", ErrListing, m.Schema, m.MediaType, len(m.Layers), manifestType, maxLayers)
	}
	var layers []layer
	for i, b := range append([]blob{m.Config}, m.Layers...) {
		l := layer{kind: "config", size: b.Size}
		if i > 0 {
			l.kind = layerKind(b.MediaType)
		}
		var ok bool
		if l.digest, ok = parseDigest(b.Digest); !ok || b.Size < 0 || b.Size > maxFile {
			return nil, fmt.Errorf("%w: layer %s has digest %.100q and %d bytes, want sha256: and 64 hexadecimal digits, 0 to %d bytes", ErrListing, l.kind, b.Digest, b.Size, int64(maxFile))
		}
		layers = append(layers, l)
	}
	return layers, nil
}

// layerKind is the last word of a layer's type, without its parameters.
func layerKind(mediaType string) string {
	m := kindWord.FindStringSubmatch(mediaType)
	if m == nil {
		return "unknown"
	}
	return m[1]
}

var kindWord = regexp.MustCompile(`^application/vnd\.ollama\.image\.([a-z]{1,32})(?:;|$)`)

// parseDigest reads sha256:HEX.
func parseDigest(s string) (Digest, bool) {
	const prefix = sha256Name + ":"
	if len(s) != len(prefix)+64 || s[:len(prefix)] != prefix {
		return Digest{}, false
	}
	d := Digest{sha256Name, s[len(prefix):]}
	return d, d.valid()
}
