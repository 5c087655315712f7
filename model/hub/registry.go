package hub

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// planHF asks Hugging Face for the files of a revision, and chooses.
func (c *Client) planHF(ctx context.Context, n Name) (*Plan, error) {
	data, err := c.ask(ctx, fmt.Sprintf("%s/api/models/%s/revision/%s?blobs=true", c.o.Endpoint, n.Repo, url.PathEscape(n.Revision)), span{}, "application/json", maxListing)
	if err != nil {
		return nil, err
	}
	commit, files, err := parseRevision(data)
	if err != nil {
		return nil, err
	}
	if hex40.MatchString(n.Revision) && n.Revision != commit {
		return nil, fmt.Errorf("%w: commit %s was asked for, %s came", ErrListing, n.Revision, commit)
	}
	v, picked, err := choose(n, files)
	if err != nil {
		return nil, err
	}
	repo := n.repo(c.o.Caches.HuggingFace)
	dir := filepath.Join(repo, "snapshots", commit)
	p := &Plan{Name: n, Commit: commit, Path: filepath.Join(dir, filepath.FromSlash(v.Main)), Variants: variants(files)}
	for _, f := range picked {
		it := &Item{
			File: f, Weights: !beside(f.Path) && f.Path != indexFile,
			url:  fmt.Sprintf("%s/%s/resolve/%s/%s", c.o.Endpoint, n.Repo, commit, escapePath(f.Path)),
			blob: filepath.Join(repo, "blobs", f.Digest.Hex),
			link: filepath.Join(dir, filepath.FromSlash(f.Path)),
		}
		it.Have = there(it.link, f.Size) || there(it.blob, f.Size)
		p.Items = append(p.Items, it)
	}
	if n.Revision != commit {
		p.seals = []seal{{n.ref(c.o.Caches.HuggingFace), []byte(commit)}}
	}
	return p, nil
}

// escapePath escapes the parts of a path.
func escapePath(path string) string {
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// planOllama asks a registry of Ollama's kind for a manifest.
func (c *Client) planOllama(ctx context.Context, n Name) (*Plan, error) {
	base := "https://" + n.Host
	if n.Host == OllamaHost {
		base = c.o.Registry
	}
	base += "/v2/" + n.Repo
	data, err := c.ask(ctx, base+"/manifests/"+n.Revision, span{}, manifestType, maxListing)
	if err != nil {
		return nil, err
	}
	layers, err := parseManifest(data)
	if err != nil {
		return nil, err
	}
	model, notes, err := loadable(n, layers)
	if err != nil {
		return nil, err
	}
	cache, sealed := c.home(n, data)
	p := &Plan{Name: n, Path: model.blob(cache), Notes: notes}
	order := append(slices.DeleteFunc(layers, func(l layer) bool { return l.digest == model.digest }), model) // the weights last
	seen := map[Digest]bool{}
	for _, l := range order {
		if seen[l.digest] {
			continue // such as a license that is shared
		}
		seen[l.digest] = true
		blob := l.blob(cache)
		p.Items = append(p.Items, &Item{
			File: File{Path: l.kind, Size: l.size, Digest: l.digest}, Weights: l.kind == "model",
			Have: there(blob, l.size), url: base + "/blobs/" + l.digest.String(), blob: blob,
		})
	}
	if !sealed {
		p.seals = []seal{{n.manifest(cache), data}}
	}
	return p, nil
}

// home is the cache that holds this very manifest, or else the first.
func (c *Client) home(n Name, manifest []byte) (cache string, sealed bool) {
	for _, cache := range c.o.Caches.Ollama {
		if data, err := readSmall(n.manifest(cache), maxListing); err == nil && bytes.Equal(data, manifest) {
			return cache, true
		}
	}
	return c.o.Caches.Ollama[0], false
}
