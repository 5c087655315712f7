package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weft/infer/plan"
	"weft/model/hub"
)

// hubCommit is the one commit of the repositories that holdHub plays.
const hubCommit = "89abcdef0123456789abcdef0123456789abcdef"

// hubFile is a file of a repository: bytes, or only a size that nobody has.
type hubFile struct {
	data []byte
	size int
	sum  string
}

// holdHub plays Hugging Face and Ollama's registry for the rest of a script, and
// puts the address into an environment variable: acme/chat is the folder that it
// is given, acme/huge does not fit any machine, acme/many offers several GGUFs,
// acme/gated asks for a token; library/tiny is a GGUF's beginning.
func holdHub(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: holdhub NAME FOLDER")
	}
	chat := map[string]hubFile{}
	for _, name := range []string{"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"} {
		data, err := os.ReadFile(ts.MkAbs(args[1]) + "/" + name)
		ts.Check(err)
		chat[name] = hubFile{data: data, size: len(data)}
	}
	absent := func(size int) hubFile { return hubFile{size: size, sum: strings.Repeat("a", 64)} }
	h := hubServer{
		repos: map[string]map[string]hubFile{
			"acme/chat": chat,
			"acme/huge": {"config.json": chat["config.json"], "model.safetensors": absent(1 << 43)},
			"acme/many": {"m-Q4_K_M.gguf": absent(1000), "m-Q8_0.gguf": absent(2000)},
		},
		blobs: map[string][]byte{},
	}
	h.layer("application/vnd.docker.container.image.v1+json", "{}")
	h.layer("application/vnd.ollama.image.model", "GGUF\x03\x00\x00\x00"+strings.Repeat("\x00", 16))
	h.layer("application/vnd.ollama.image.template", "{{ .Prompt }}")
	s := httptest.NewServer(&h)
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.URL)
}

type hubServer struct {
	repos  map[string]map[string]hubFile
	layers []map[string]any
	blobs  map[string][]byte // by digest
}

func (h *hubServer) layer(mediaType, data string) {
	sum := sha256.Sum256([]byte(data))
	digest := "sha256:" + hex.EncodeToString(sum[:])
	h.blobs[digest] = []byte(data)
	h.layers = append(h.layers, map[string]any{"mediaType": mediaType, "digest": digest, "size": len(data)})
}

func (h *hubServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	repo, isList := strings.CutPrefix(r.URL.Path, "/api/models/")
	repo, isList = strings.CutSuffix(repo, "/revision/main")
	blob, isBlob := strings.CutPrefix(r.URL.Path, "/v2/library/tiny/blobs/")
	switch {
	case repo == "acme/gated":
		w.WriteHeader(http.StatusUnauthorized)
	case isList && h.repos[repo] != nil:
		h.list(w, h.repos[repo])
	case r.URL.Path == "/v2/library/tiny/manifests/latest":
		_ = json.NewEncoder(w).Encode(map[string]any{"schemaVersion": 2, "config": h.layers[0], "layers": h.layers[1:]})
	case isBlob && h.blobs[blob] != nil:
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(h.blobs[blob])))
	default:
		repo, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/resolve/"+hubCommit+"/")
		f := h.repos[repo][name]
		if f.data == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(f.data)))
	}
}

func (h *hubServer) list(w http.ResponseWriter, files map[string]hubFile) {
	var siblings []map[string]any
	for name, f := range files {
		if f.sum == "" {
			sum := sha256.Sum256(f.data)
			f.sum = hex.EncodeToString(sum[:])
		}
		siblings = append(siblings, map[string]any{"rfilename": name, "size": f.size, "lfs": map[string]any{"sha256": f.sum, "size": f.size}})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"sha": hubCommit, "siblings": siblings})
}

// What does not fit is said with numbers, and with what would.
func TestFitJudges(t *testing.T) {
	variants := []hub.Variant{{Select: "Q4_K_M", Main: "a.gguf", Bytes: 5 << 30}, {Select: "Q8_0", Main: "b.gguf", Bytes: 9 << 30}, {Select: "Q2_K", Main: "c.gguf", Bytes: 3 << 30}}
	f := fit{Weights: 9 << 30, Context: 4096, Cache: 1 << 30, Memory: 8 << 30, Free: 6 << 30, Fetch: 9 << 30, Disk: 1 << 30}
	f.judge(variants, nil)
	got := f.refusal().Error()
	for _, want := range []string{"10.0 GiB of memory", "9.0 GiB weights", "there are 8.0 GiB", "needs 9.0 GiB of disk, and 1.0 GiB are free", ":Q4_K_M would fit (5.0 GiB)", "--force"} {
		if !strings.Contains(got, want) {
			t.Errorf("refusal %q does not say %q", got, want)
		}
	}
	small := fit{Weights: 1 << 30, Context: 4096, Cache: 1 << 30, Memory: 8 << 30, Fetch: 1 << 30, Disk: 9 << 30}
	if small.judge(nil, nil); len(small.Problems) > 0 || small.Advice != "" {
		t.Errorf("what fits is refused: %+v", small)
	}
	bf16 := fit{Weights: 13 << 30, Context: 4096, Memory: 9 << 30, shape: plan.Shape{
		Layers: 32, Dim: 4096, FFN: 11008, Heads: 32, KVHeads: 32, HeadDim: 128, Vocab: 32000, Context: 4096,
	}}
	if bf16.judge(nil, nil); !strings.Contains(bf16.Advice, "with --type q8_0 it would fit (6.9 GiB") {
		t.Errorf("advice is %q", bf16.Advice)
	}
	none := fit{Weights: 99 << 30, Context: 4096, Memory: 8 << 30}
	if none.judge(nil, nil); !strings.Contains(none.Advice, "weights of up to 8.0 GiB") {
		t.Errorf("advice is %q", none.Advice)
	}
	long := fit{Weights: 1 << 30, Context: 1 << 20, Cache: 9 << 30, Memory: 8 << 30}
	if long.judge(nil, nil); !strings.Contains(long.Advice, "smaller --context") {
		t.Errorf("advice is %q", long.Advice)
	}
}
